//! `ferry daemon`: the program that brings processes on in the background.

mod logs;
pub(crate) mod owner;
mod parts;
mod start;
mod status;
mod stop;

use clap::Subcommand;

use crate::{error::Result, session::Session};

pub(crate) use parts::Part;

/// The words of `ferry daemon`.
#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Start the daemon
    Start(start::StartArgs),
    /// Stop the daemon; its processes go on when it starts again
    Stop(stop::StopArgs),
    /// Show whether the daemon runs, and what it does
    Status,
    /// Stop the daemon if it runs, and start it
    Restart(stop::StopArgs),
    /// Print the end of the daemon's log
    Logs(logs::LogArgs),
    /// Be the supervisor that `daemon start` starts
    #[command(hide = true)]
    Supervise,
    /// Be the worker that a supervisor starts
    #[command(hide = true)]
    Work(parts::WorkArgs),
}

impl DaemonCommand {
    /// Returns the part of a daemon that this process becomes; `None` for other commands.
    pub(crate) fn part(&self) -> Option<Part> {
        match self {
            DaemonCommand::Start(args) => args.foreground.then_some(Part { detached: false }),
            DaemonCommand::Supervise => Some(Part { detached: true }),
            DaemonCommand::Work(args) => Some(Part { detached: !args.foreground }),
            _ => None,
        }
    }
}

/// Runs a command of this group.
///
/// # Errors
/// Fails if the command fails.
pub(crate) async fn run(session: &Session, command: DaemonCommand) -> Result {
    match command {
        DaemonCommand::Start(args) => start::start(session, args).await,
        DaemonCommand::Stop(args) => stop::stop(session, &args).await,
        DaemonCommand::Status => status::show(session).await,
        DaemonCommand::Restart(args) => {
            stop::stop(session, &args).await?;
            start::start(session, start::StartArgs::default()).await
        }
        DaemonCommand::Logs(args) => logs::show(session, args).await,
        DaemonCommand::Supervise => parts::supervise(session, true).await,
        DaemonCommand::Work(args) => parts::work(session, args).await,
    }
}
