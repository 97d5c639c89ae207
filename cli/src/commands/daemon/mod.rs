//! `ferry daemon`: the program that brings processes on in the background.

mod logs;
pub(crate) mod owner;
mod start;
mod status;
mod stop;

use clap::Subcommand;

use crate::{error::Result, session::Session};

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
}

/// Runs a command of this group.
///
/// # Errors
/// What the command can't do.
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
    }
}
