//! `node export`: a data node as a file. JSON with the node's files needs nothing but the store, so stored
//! data stays accessible even without its plugin. Other formats are written by a plugin that declares the
//! type.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use ferry_engine::{
    node::{ARRAY, ConvertError, declared_types, lend::is_inside, version_of},
    store::{Node, NodeFile, NodeKind, Reader},
};
use serde_json::{Value, json};

use crate::{
    error::{Failure, Result},
    inputs::Reading,
    output::{self, Format},
    session::Session,
};

/// Arguments of `node export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Id, uuid or label
    #[arg(value_name = "NODE")]
    name: String,
    /// File to write, or directory for a node that has files [default: standard output]. Without --format, the
    /// file's name says the format
    #[arg(short = 'o', long, value_name = "DIR|FILE")]
    output: Option<PathBuf>,
    /// Write over what is there
    #[arg(short = 'f', long)]
    force: bool,
}

/// Exports the node.
pub(super) async fn run(session: &Session, args: ExportArgs) -> Result {
    let reader = session.reader().await?;
    let node = reader.find_node(&args.name)?;
    if node.kind != NodeKind::Data {
        return Err(Failure::usage(format!("node {} is a process, not data", node.id))
            .help(format!("`ferry process show {}` names its inputs and outputs", node.id)));
    }
    match format(session, &args).as_deref() {
        None | Some("json") => generic(&reader, &node, &args),
        Some(format) => special(session, &reader, &node, format, &args).await,
    }
}

/// Returns the format that was asked for, else that of the file's extension.
fn format(session: &Session, args: &ExportArgs) -> Option<String> {
    if session.file_format.is_some() || session.format == Format::Json {
        return Some(session.file_format.clone().unwrap_or_else(|| "json".to_owned()));
    }
    let path = args.output.as_ref().filter(|path| !path.is_dir())?;
    path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase())
}

/// Writes the body as JSON, and the files beside it.
fn generic(reader: &Reader, node: &Node, args: &ExportArgs) -> Result {
    let files = reader.files(node.id)?;
    let text = format!("{}\n", serde_json::to_string_pretty(&document(node, &files)).unwrap_or_default());
    let name = format!("{}.json", node.id);
    match (&args.output, files.is_empty()) {
        (None, true) => output::file(text.as_bytes()),
        (None, false) => Err(Failure::usage(format!("node {} has files: say where they go", node.id))
            .help("give a directory with -o DIR")),
        (Some(path), true) if !path.is_dir() => put(path, text.as_bytes(), args.force),
        (Some(path), true) => put(&path.join(name), text.as_bytes(), args.force),
        (Some(dir), false) => {
            make_dir(dir)?;
            files.iter().try_for_each(|file| copy(reader, file, dir, args.force))?;
            put(&dir.join(name), text.as_bytes(), args.force)
        }
    }
}

fn document(node: &Node, files: &[NodeFile]) -> Value {
    json!({
        "uuid": node.uuid.to_string(),
        "type": node.node_type,
        "version": version_of(&node.body),
        "label": node.label,
        "description": node.description,
        "created": node.created.to_string(),
        "value": serde_json::to_value(&node.body).unwrap_or_default(),
        "files": files.iter().map(|file| &file.path).collect::<Vec<_>>(),
    })
}

/// Writes a format that the type supports.
async fn special(session: &Session, reader: &Reader, node: &Node, format: &str, args: &ExportArgs) -> Result {
    let bytes = match node.node_type.as_str() {
        // The engine's own.
        ARRAY if format == "npy" => only_file(reader, node)?,
        _ => by_plugin(session, reader, node, format).await?,
    };
    match &args.output {
        None => output::file(&bytes),
        Some(dir) if dir.is_dir() => put(&dir.join(format!("{}.{format}", node.id)), &bytes, args.force),
        Some(path) => put(path, &bytes, args.force),
    }
}

async fn by_plugin(session: &Session, reader: &Reader, node: &Node, format: &str) -> Result<Vec<u8>> {
    let mut declared = declared_types(reader)?;
    declared.retain(|each| each.data_type.name == node.node_type);
    let Some(found) = declared.iter().find(|each| each.data_type.writes.iter().any(|known| known == format))
    else {
        return Err(no_such(node, format, &declared));
    };
    let reading = Reading::new(reader, &session.builder);
    let written = match reading.converter() {
        Ok(converter) => converter.write(found, node, format).await,
        Err(error) => Err(error),
    };
    written.map_err(|error| {
        let what = |text: String| {
            format!("node {} ({}) can't be written as {format}: {text}", node.id, node.node_type)
        };
        match error {
            ConvertError::Refused(message) => Failure::new(what(message))
                .help(format!("`ferry node export {} --format json` always works", node.id)),
            ConvertError::Plugin(error) => Failure::new(what(error.to_string())),
            ConvertError::Store(error) => error.into(),
        }
    })
}

fn no_such(node: &Node, format: &str, declared: &[ferry_engine::node::Declared]) -> Failure {
    let name = &node.node_type;
    let json = format!("`ferry node export {} --format json -o DIR` needs no plugin", node.id);
    if declared.is_empty() {
        let why = match name.contains('.') {
            true => format!("no plugin that is here knows `{name}`, so it can't be written as {format}"),
            false => format!("`{name}` is not written as {format}"),
        };
        return Failure::new(why).help(json);
    }
    let mut known: Vec<&str> =
        declared.iter().flat_map(|each| &each.data_type.writes).map(String::as_str).collect();
    known.sort_unstable();
    known.dedup();
    known.push("json");
    Failure::usage(format!("`{name}` is not written as `{format}`"))
        .help(format!("there are: {}", known.join(", ")))
}

/// Returns the bytes of the one file of a node.
fn only_file(reader: &Reader, node: &Node) -> Result<Vec<u8>> {
    let files = reader.files(node.id)?;
    let [file] = files.as_slice() else {
        return Err(Failure::new(format!(
            "a .npy file is one array, and node {} has {}",
            node.id,
            files.len()
        ))
        .help(format!("`ferry node export {} -o DIR` writes each to a file", node.id)));
    };
    let mut bytes = Vec::new();
    reader.open_object(&file.digest)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn copy(reader: &Reader, file: &NodeFile, dir: &Path, force: bool) -> Result {
    if !is_inside(&file.path) {
        return Err(Failure::new(format!("the node's file `{}` would leave {}", file.path, dir.display())));
    }
    let place = dir.join(&file.path);
    make_dir(place.parent().unwrap_or(dir))?;
    let failed = |error: io::Error| cannot(&place, &error);
    let mut target = create(&place, force)?;
    io::copy(&mut reader.open_object(&file.digest)?, &mut target).map_err(failed)?;
    output::line(place.display().to_string())
}

fn put(place: &Path, bytes: &[u8], force: bool) -> Result {
    io::Write::write_all(&mut create(place, force)?, bytes).map_err(|error| cannot(place, &error))?;
    output::line(place.display().to_string())
}

/// Creates a new file, so that no existing one is lost.
fn create(place: &Path, force: bool) -> Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).truncate(force).create(force).create_new(!force);
    options.open(place).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(format!("{} is there already", place.display()))
            .help("choose another place, or use --force"),
        _ => cannot(place, &error),
    })
}

fn make_dir(dir: &Path) -> Result {
    fs::create_dir_all(dir).map_err(|error| cannot(dir, &error))
}

fn cannot(place: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", place.display())).help("choose another place with -o")
}
