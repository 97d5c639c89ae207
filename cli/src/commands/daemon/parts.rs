//! The two programs that a daemon is: the supervisor, and the worker that it starts. Both are this one, by hidden
//! commands.

use std::{process::Command, process::ExitStatus};

use clap::Args;
use ferry_engine::daemon::{DaemonHooks, NOT_STARTED, SupervisorEnd};

use crate::{
    error::{Failure, Result},
    output,
    session::Session,
};

/// The part of a daemon that a process is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// Its stderr is the profile's log, not a terminal.
    pub(crate) detached: bool,
}

/// Arguments of a worker.
#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// Pid of the supervisor
    #[arg(long)]
    supervisor: u32,
    /// The log is on stderr
    #[arg(long)]
    pub(super) foreground: bool,
}

/// Runs the supervisor, until the daemon ends.
pub(super) async fn supervise(session: &Session, detached: bool) -> Result {
    if detached {
        // Out of the reach of the terminal's signals. It fails only if we lead a session already.
        let _ = rustix::process::setsid();
    }
    match ferry_engine::daemon::supervise(session.paths(), &|| worker(session, detached)).await? {
        SupervisorEnd::Stopped => Ok(()),
        // The worker has reported the reason.
        SupervisorEnd::NotStarted(status) => Err(silent(status)),
    }
}

fn silent(status: ExitStatus) -> Failure {
    let status = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    // 69 is between the two of us.
    let status = if i32::from(status) == NOT_STARTED { 1 } else { status };
    Failure { lines: Vec::new(), help: None, status }
}

fn worker(session: &Session, detached: bool) -> Command {
    let paths = session.paths();
    let mut command = Command::new(&session.builder.host_exe);
    command.args(["daemon", "work", "--profile", &paths.profile]);
    command.arg("--supervisor").arg(std::process::id().to_string()).env("FERRY_HOME", &paths.home);
    if session.verbose {
        command.arg("--verbose");
    }
    if !detached {
        command.arg("--foreground");
    }
    command
}

/// Runs the worker, until it is told to stop.
pub(super) async fn work(session: &Session, args: WorkArgs) -> Result {
    let followed = ferry_engine::daemon::die_with(args.supervisor);
    if !matches!(followed, Ok(true)) {
        return Err(not_started(Failure::new("the supervisor of this daemon is gone")));
    }
    let ready = || {
        if args.foreground {
            output::note(format!("the daemon is listening (pid {}); Ctrl-C stops it", std::process::id()));
        }
    };
    let hooks = DaemonHooks { ready: &ready, settings: &|set| session.log.apply(set) };
    ferry_engine::daemon::run_daemon(&session.builder, &hooks)
        .await
        .map_err(|error| not_started(error.into()))
}

fn not_started(failure: Failure) -> Failure {
    Failure { status: NOT_STARTED as u8, ..failure }
}
