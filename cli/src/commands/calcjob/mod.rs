//! `ferry calcjob`: a calculation's files, here and on its computer.

mod clean;
mod files;
mod remote;
mod results;

use clap::Subcommand;
use ferry_engine::store::{Process, Reader};
use ferry_plugin_proto::Kind;

use crate::{
    error::{Failure, Result},
    session::Session,
    view,
};

/// The words of `ferry calcjob`.
#[derive(Debug, Subcommand)]
pub(crate) enum CalcjobCommand {
    /// Print an input file: the one that the option `input_filename` names, else the job script
    Inputcat(OneFile),
    /// List the input files
    Inputls(Listed),
    /// Print a retrieved file: the one that the option `output_filename` names, else the scheduler's stdout
    Outputcat(OneFile),
    /// List the retrieved files
    Outputls(Listed),
    /// Print a file of the work directory on the computer
    Remotecat {
        /// Id, uuid, unique start of a uuid, or label of a calcjob
        #[arg(value_name = "ID")]
        process: String,
        /// Path in the work directory [default: the scheduler's stdout]
        path: Option<String>,
        /// Go on with what is added, until the job ends
        #[arg(short, long)]
        follow: bool,
    },
    /// Print the results: outputs that are values
    Res {
        /// Id, uuid, unique start of a uuid, or label of a calcjob
        #[arg(value_name = "ID")]
        process: String,
    },
    /// Remove work directories on their computers
    Cleanworkdir(clean::CleanArgs),
    /// Open a shell in the work directory on the computer
    Gotocomputer {
        /// Id, uuid, unique start of a uuid, or label of a calcjob
        #[arg(value_name = "ID")]
        process: String,
        /// Only print the command that would be run
        #[arg(long)]
        print: bool,
    },
}

/// A file of a calcjob.
#[derive(Debug, clap::Args)]
pub(crate) struct OneFile {
    /// Id, uuid, unique start of a uuid, or label of a calcjob
    #[arg(value_name = "ID")]
    process: String,
    /// Path of the file, as the list shows it
    path: Option<String>,
}

/// A directory of a calcjob's files.
#[derive(Debug, clap::Args)]
pub(crate) struct Listed {
    /// Id, uuid, unique start of a uuid, or label of a calcjob
    #[arg(value_name = "ID")]
    process: String,
    /// Only files below this directory
    path: Option<String>,
}

/// Runs a command of this group.
///
/// # Errors
/// Fails if the command fails.
pub(crate) async fn run(session: &Session, command: CalcjobCommand) -> Result {
    match command {
        CalcjobCommand::Inputcat(file) => files::inputcat(session, &file).await,
        CalcjobCommand::Inputls(listed) => files::inputls(session, &listed).await,
        CalcjobCommand::Outputcat(file) => files::outputcat(session, &file).await,
        CalcjobCommand::Outputls(listed) => files::outputls(session, &listed).await,
        CalcjobCommand::Remotecat { process, path, follow } => {
            remote::cat(session, &process, path.as_deref(), follow).await
        }
        CalcjobCommand::Res { process } => results::show(session, &process).await,
        CalcjobCommand::Cleanworkdir(args) => clean::run(session, args).await,
        CalcjobCommand::Gotocomputer { process, print } => remote::go(session, &process, print).await,
    }
}

/// Finds a calcjob.
fn find(reader: &Reader, name: &str) -> Result<Process> {
    let process = view::find_process(reader, name)?;
    if process.kind == Kind::CalcJob {
        return Ok(process);
    }
    Err(Failure::new(format!("{} is a {}, not a calcjob", view::title(&process), process.kind.as_str()))
        .help(format!("`ferry process show {}` shows it", process.id)))
}
