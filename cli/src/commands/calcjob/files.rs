//! Files of a calcjob that are in the store: the input files and the retrieved ones.

use std::io::Read;

use ferry_engine::store::{NodeFile, NodeId, Process, Reader};
use serde_json::json;

use super::{Listed, OneFile, find};
use crate::{
    error::{Failure, Result},
    output::{self, FileOutput, Format},
    session::Session,
    view,
};

/// Number of bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// Prints an input file.
pub(super) async fn inputcat(session: &Session, file: &OneFile) -> Result {
    let reader = session.reader().await?;
    let process = find(&reader, &file.process)?;
    let usual = usual(&reader, &process, ["input_filename", "submit_script_filename"])?;
    cat(&reader, inputs(&reader, &process)?, file.path.as_deref(), &usual)
}

/// Prints a retrieved file.
pub(super) async fn outputcat(session: &Session, file: &OneFile) -> Result {
    let reader = session.reader().await?;
    let process = find(&reader, &file.process)?;
    let usual = usual(&reader, &process, ["output_filename", "scheduler_stdout"])?;
    cat(&reader, retrieved(&reader, &process)?, file.path.as_deref(), &usual)
}

/// Returns the names that a process's options set, in the order of `options`.
fn usual(reader: &Reader, process: &Process, options: [&str; 2]) -> Result<Vec<String>> {
    let node = reader.node(process.id)?;
    Ok(options.iter().filter_map(|option| view::option(&node, option)).collect())
}

/// Lists the input files.
pub(super) async fn inputls(session: &Session, listed: &Listed) -> Result {
    let reader = session.reader().await?;
    let process = find(&reader, &listed.process)?;
    list(session.format, inputs(&reader, &process)?, listed.path.as_deref())
}

/// Lists the retrieved files.
pub(super) async fn outputls(session: &Session, listed: &Listed) -> Result {
    let reader = session.reader().await?;
    let process = find(&reader, &listed.process)?;
    list(session.format, retrieved(&reader, &process)?, listed.path.as_deref())
}

fn inputs(reader: &Reader, process: &Process) -> Result<Vec<NodeFile>> {
    let files = reader.files(process.id)?;
    if files.is_empty() {
        return Err(Failure::new(format!("{} has no input files yet", view::title(process)))
            .help(format!("it is {}; they are there once it is prepared", view::state(process))));
    }
    Ok(files)
}

fn retrieved(reader: &Reader, process: &Process) -> Result<Vec<NodeFile>> {
    match retrieved_node(reader, process)? {
        Some(node) => Ok(reader.files(node)?),
        None => {
            Err(Failure::new(format!("nothing was retrieved of {} yet", view::title(process))).help(format!(
                "it is {}; `ferry calcjob remotecat {} PATH` looks into its work directory",
                view::state(process),
                process.id
            )))
        }
    }
}

fn retrieved_node(reader: &Reader, process: &Process) -> Result<Option<NodeId>> {
    let outputs = view::outputs(reader, process.id)?;
    Ok(outputs.into_iter().find(|(label, _)| label == "retrieved").map(|(_, node)| node.id))
}

fn cat(reader: &Reader, files: Vec<NodeFile>, wanted: Option<&str>, usual: &[String]) -> Result {
    let file = choose(&files, wanted, usual)?;
    let mut object = reader.open_object(&file.digest)?;
    let mut buffer = vec![0; CHUNK];
    let mut out = FileOutput::new();
    loop {
        match object.read(&mut buffer)? {
            0 => return out.end(),
            n => out.write(&buffer[..n])?,
        }
    }
}

/// Returns the wanted file, else the first of the usual ones that exists, else the only one. Retrieved files
/// are found by their last name.
fn choose<'a>(files: &'a [NodeFile], wanted: Option<&str>, usual: &[String]) -> Result<&'a NodeFile> {
    let named = |name: &str| files.iter().find(|file| file.path == name);
    let usual_one = || {
        usual.iter().find_map(|name| named(name).or_else(|| named(name.rsplit('/').next().unwrap_or(name))))
    };
    let found = match (wanted, files) {
        (Some(name), _) => named(name.trim_start_matches("./")),
        (None, [only]) => Some(only),
        (None, _) => usual_one(),
    };
    found.ok_or_else(|| {
        let mut failure = match wanted {
            Some(name) => Failure::new(format!("there is no file `{name}`; there are:")),
            None if files.is_empty() => Failure::new("there are no files"),
            None => Failure::new("which file? there are:"),
        };
        failure.lines.extend(files.iter().map(|file| file.path.clone()));
        failure
    })
}

fn list(format: Format, mut files: Vec<NodeFile>, below: Option<&str>) -> Result {
    if let Some(dir) =
        below.map(|dir| dir.trim_start_matches("./").trim_end_matches('/')).filter(|dir| !dir.is_empty())
    {
        let inside =
            |path: &str| path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !files.iter().any(|file| inside(&file.path)) {
            return choose(&files, Some(dir), &[]).map(drop);
        }
        files.retain(|file| inside(&file.path));
    }
    if format == Format::Json {
        let file = |file: &NodeFile| {
            json!({
                "path": file.path,
                "size": file.size,
                "digest": file.digest,
                "executable": file.executable,
            })
        };
        return output::json(&files.iter().map(file).collect());
    }
    files.iter().try_for_each(|file| output::line(&file.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], wanted: Option<&str>, usual: &[&str], expect: Result<&str, &str>) {
        let file = |path: &&str| NodeFile {
            path: (*path).into(),
            digest: String::new(),
            size: 0,
            executable: false,
        };
        let files: Vec<_> = files.iter().map(file).collect();
        let usual: Vec<String> = usual.iter().map(|name| (*name).to_owned()).collect();
        let found = choose(&files, wanted, &usual);
        let found = found.map(|file| file.path.clone()).map_err(|failure| failure.lines.join("|"));
        assert_eq!(found, expect.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn a_file_is_chosen_or_the_choices_are_listed() {
        check(&["a", "run.sh"], None, &["run.sh"], Ok("run.sh"));
        check(&["a", "pw.in", "run.sh"], None, &["pw.in", "run.sh"], Ok("pw.in"));
        check(&["a", "out", "run.sh"], None, &["deep/out", "run.sh"], Ok("out"));
        check(&["a"], None, &["run.sh"], Ok("a"));
        check(&["a", "b"], None, &["run.sh"], Err("which file? there are:|a|b"));
        check(&["a", "d/b"], Some("./d/b"), &[], Ok("d/b"));
        check(&["a"], Some("../a"), &[], Err("there is no file `../a`; there are:|a"));
        check(&[], None, &[], Err("there are no files"));
    }
}
