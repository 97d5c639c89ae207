//! `process inputs`: what a process was launched with, as a file that `--inputs` reads back.

use std::{fs, path::PathBuf};

use clap::Args;

use crate::{
    error::{Failure, Result},
    inputs::{References, document_of},
    output,
    session::Session,
    view,
};

/// Of which process, and where to.
#[derive(Debug, Args)]
pub(crate) struct InputsArgs {
    /// Id, uuid, unique start of a uuid, or label
    #[arg(value_name = "ID")]
    process: String,
    /// Name the nodes themselves also where their values can be written
    #[arg(long)]
    nodes: bool,
    /// File to write [default: standard output]
    #[arg(short = 'O', long, value_name = "FILE")]
    output_file: Option<PathBuf>,
}

/// Writes the inputs.
pub(super) async fn run(session: &Session, args: InputsArgs) -> Result {
    let reader = session.reader().await?;
    let process = view::find_process(&reader, &args.process)?;
    let references = if args.nodes { References::Always } else { References::WhereNeeded };
    let text = document_of(&reader, process.id, references)?;
    match &args.output_file {
        None => output::file(text.as_bytes()),
        Some(path) => {
            fs::write(path, text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
            output::line(path.display().to_string())
        }
    }
}
