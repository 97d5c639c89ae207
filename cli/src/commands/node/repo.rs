//! `node repo`: the files of a node.

use std::io::Read;

use clap::Subcommand;
use ferry_engine::store::NodeFile;
use serde_json::json;

use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
    words::suggestion,
};

/// The words of `ferry node repo`.
#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    /// List the files of a node
    Ls {
        /// Id, uuid or label
        #[arg(value_name = "NODE")]
        name: String,
    },
    /// Print a file of a node
    Cat {
        /// Id, uuid or label
        #[arg(value_name = "NODE")]
        name: String,
        /// The file; need not be given where there is only one
        path: Option<String>,
    },
}

pub(super) async fn run(session: &Session, command: RepoCommand) -> Result {
    match command {
        RepoCommand::Ls { name } => list(session, &name).await,
        RepoCommand::Cat { name, path } => cat(session, &name, path.as_deref()).await,
    }
}

async fn list(session: &Session, name: &str) -> Result {
    let reader = session.reader().await?;
    let files = reader.files(reader.find_node(name)?.id)?;
    if session.format == Format::Json {
        let file = |file: &NodeFile| json!({"path": file.path, "size": file.size, "digest": file.digest, "executable": file.executable});
        return output::json(&files.iter().map(file).collect());
    }
    files.iter().try_for_each(|file| output::line(&file.path))
}

async fn cat(session: &Session, name: &str, path: Option<&str>) -> Result {
    let reader = session.reader().await?;
    let node = reader.find_node(name)?;
    let files = reader.files(node.id)?;
    let found = match (path, files.as_slice()) {
        (Some(path), files) => files.iter().find(|file| file.path == path),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some(file) = found else {
        let paths = || files.iter().map(|file| file.path.as_str());
        return Err(match path {
            _ if files.is_empty() => {
                Failure::new(format!("node {} ({}) has no files", node.id, node.node_type))
            }
            Some(path) => {
                Failure::new(format!("node {} has no file `{path}`", node.id)).help(suggestion(path, paths()))
            }
            None => Failure::usage(format!("node {} has several files; name one", node.id))
                .help(format!("there are: {}", paths().collect::<Vec<_>>().join(", "))),
        });
    };
    let mut object = reader.open_object(&file.digest)?;
    let mut chunk = vec![0; 1 << 16];
    let mut out = output::FileOutput::new();
    loop {
        match object.read(&mut chunk)? {
            0 => return out.end(),
            count => out.write(&chunk[..count])?,
        }
    }
}
