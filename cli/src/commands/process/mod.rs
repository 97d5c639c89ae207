//! `ferry process`: look at processes and steer them.

mod inputs;
mod kill;
mod list;
mod pause;
mod report;
mod resubmit;
mod show;
mod tree;
mod watch;

use clap::Subcommand;
use ferry_engine::{
    process::State,
    store::{Process, ProcessFilter, Reader},
};

use crate::{
    error::{Failure, Result},
    session::Session,
    view,
};

/// The words of `ferry process`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProcessCommand {
    /// List processes; those that go on, unless asked for more
    List(list::ListArgs),
    /// Show a process with its inputs and outputs
    Show {
        /// Id, uuid, unique start of a uuid, or label
        #[arg(value_name = "ID")]
        process: String,
    },
    /// Write what a process was launched with as a file that `--inputs` reads
    Inputs(inputs::InputsArgs),
    /// Show processes and all that they called, as trees
    Status(tree::StatusArgs),
    /// Show what happened to a process, and to those that it called
    Report(report::ReportArgs),
    /// End processes and their jobs
    Kill(kill::KillArgs),
    /// Let processes stand still
    Pause(Chosen),
    /// Let paused processes go on
    Play(Chosen),
    /// Take up excepted processes again, from their last good checkpoint
    Resume {
        /// Ids, uuids, unique starts of a uuid, or labels
        #[arg(required = true, value_name = "ID")]
        processes: Vec<String>,
    },
    /// Delete processes that have ended, with all that came of them
    Delete(super::node::delete::DeleteArgs),
    /// Submit anew a job of which nobody can find out whether it was submitted
    Resubmit(resubmit::ResubmitArgs),
    /// Follow a process as `ferry run` does, and print its outputs; without a daemon, bring it on here
    Attach {
        /// Id, uuid, unique start of a uuid, or label
        #[arg(value_name = "ID")]
        process: String,
    },
    /// Follow processes to their end
    Watch {
        /// Ids, uuids, unique starts of a uuid, or labels
        #[arg(required = true, value_name = "ID")]
        processes: Vec<String>,
    },
}

/// The processes that a command is about.
#[derive(Debug, clap::Args)]
pub(crate) struct Chosen {
    /// Ids, uuids, unique starts of a uuid, or labels
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
    processes: Vec<String>,
    /// All that go on
    #[arg(short, long)]
    all: bool,
}

impl Chosen {
    fn find(&self, reader: &Reader) -> Result<Vec<Process>> {
        if self.all {
            let states = State::LIVE.to_vec();
            return Ok(reader.processes(&ProcessFilter { states, ..ProcessFilter::default() })?);
        }
        find_all(reader, &self.processes)
    }
}

/// Runs a command of this group.
///
/// # Errors
/// Fails if the command fails.
pub(crate) async fn run(session: &Session, command: ProcessCommand) -> Result {
    match command {
        ProcessCommand::List(args) => list::list(session, args).await,
        ProcessCommand::Show { process } => show::show(session, &process).await,
        ProcessCommand::Inputs(args) => inputs::run(session, args).await,
        ProcessCommand::Status(args) => tree::status(session, &args).await,
        ProcessCommand::Report(args) => report::report(session, args).await,
        ProcessCommand::Kill(args) => kill::run(session, args).await,
        ProcessCommand::Pause(chosen) => pause::set(session, &chosen, true).await,
        ProcessCommand::Play(chosen) => pause::set(session, &chosen, false).await,
        ProcessCommand::Resume { processes } => pause::resume(session, &processes).await,
        ProcessCommand::Delete(args) => super::node::delete::processes(session, args).await,
        ProcessCommand::Resubmit(args) => resubmit::run(session, args).await,
        ProcessCommand::Attach { process } => super::run::attach(session, &process).await,
        ProcessCommand::Watch { processes } => watch::watch(session, &processes).await,
    }
}

/// Finds processes. Fails with every name that finds none.
fn find_all(reader: &Reader, names: &[String]) -> Result<Vec<Process>> {
    let mut found = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    for name in names {
        match view::find_process(reader, name) {
            Ok(process) => found.push(process),
            Err(failure) => failures.push(failure),
        }
    }
    let Some(mut first) = failures.pop() else { return Ok(found) };
    first.lines.extend(failures.into_iter().flat_map(|failure| failure.lines));
    Err(first)
}
