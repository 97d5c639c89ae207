//! `ferry daemon start`: this program again as a supervisor, in a session of its own, with the log as its output.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use clap::Args;
use ferry_engine::{child::Child as Program, daemon::Supervision, rpc::Connection, store::Lock};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::parts;
use crate::{
    error::{Failure, Result},
    log_file,
    output::{self, Format},
    session::Session,
};

/// Maximum time until a daemon listens. The first one of a profile tries every bundled plugin.
const START: Duration = Duration::from_secs(60);
/// Interval between two checks whether it listens.
const LOOK: Duration = Duration::from_millis(20);
/// Number of lines of the log that are shown if it does not.
const LOG_LINES: usize = 10;

/// Interval between two requests to a waiting supervisor to start its worker now.
const HURRY: Duration = Duration::from_millis(200);

/// Arguments of `daemon start`.
#[derive(Debug, Default, Args)]
pub(crate) struct StartArgs {
    /// Stay in this terminal, with the log on stderr
    #[arg(long)]
    pub(super) foreground: bool,
}

/// Starts the daemon.
pub(super) async fn start(session: &Session, args: StartArgs) -> Result {
    if args.foreground {
        return serve(session).await;
    }
    if let Some(pid) = living_daemon(session).await {
        return tell(session, pid, "is running already");
    }
    if let Some((supervisor, _)) = Supervision::living(session.paths())
        && let Some(pid) = hurry(session, supervisor).await?
    {
        return tell(session, pid, "is running");
    }
    let (child, log) = spawn(session)?;
    wait(session, child, log).await
}

/// Says on stdout that a daemon runs.
fn tell(session: &Session, pid: u32, what: &str) -> Result {
    match session.format {
        Format::Json => output::json(&json!({ "running": true, "pid": pid })),
        Format::Table => output::line(format!("the daemon {what} (pid {pid})")),
    }
}

fn daemon_pid(session: &Session) -> Option<u32> {
    Lock::holder(&session.paths().lock()).filter(|(_, role)| role == "daemon").map(|(pid, _)| pid)
}

/// Returns the pid of the running daemon; `None` if there is none. A daemon that was killed a moment ago may
/// leave its lock held for a short time. So the daemon must answer, or hold the lock for longer than that.
async fn living_daemon(session: &Session) -> Option<u32> {
    for _ in 0..40 {
        let pid = daemon_pid(session)?;
        match Connection::open(session.paths()).await {
            Ok(Some(connection)) if connection.peer.pid == pid && daemon_pid(session) == Some(pid) => {
                return Some(pid);
            }
            // It is there, but stopped or of another version.
            Err(error) => {
                output::warn(error.message);
                return Some(pid);
            }
            Ok(_) => sleep(LOOK * 2).await,
        }
    }
    daemon_pid(session)
}

/// Lets a supervisor that waits after a crash start its daemon now. `None`: it has ended instead.
async fn hurry(session: &Session, supervisor: Program) -> Result<Option<u32>> {
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        if supervisor.is_stopped() {
            return Err(Failure::new(format!(
                "the daemon's supervisor (pid {}) was stopped (SIGSTOP)",
                supervisor.pid
            ))
            .help("`kill -CONT` resumes it; `ferry daemon stop` kills it"));
        }
        if let Some(pid) = listening(session).await {
            return Ok(Some(pid));
        }
        if Supervision::living(session.paths()).is_none_or(|(child, _)| child != supervisor) {
            return Ok(None);
        }
        supervisor.signal(Signal::USR1)?;
        sleep(HURRY).await;
    }
    Err(Failure::new(format!("the daemon does not listen after {} s", START.as_secs()))
        .help("`ferry daemon logs` may say why; `ferry daemon stop` ends it"))
}

/// Returns the pid of the daemon that listens; `None` if none does.
async fn listening(session: &Session) -> Option<u32> {
    let connection = Connection::open(session.paths()).await.ok().flatten()?;
    (connection.peer.role == "daemon").then_some(connection.peer.pid)
}

/// Runs the daemon in this terminal, until it is told to stop.
async fn serve(session: &Session) -> Result {
    if let Some(pid) = living_daemon(session).await {
        return Err(Failure::new(format!("the daemon of this profile is running already (pid {pid})"))
            .help("`ferry daemon status` shows it, `ferry daemon stop` stops it"));
    }
    make_profile(session)?;
    parts::supervise(session, false).await
}

fn make_profile(session: &Session) -> Result {
    let paths = session.paths();
    paths.create().map_err(|error| {
        Failure::new(format!("can't make {}: {error}", paths.root().display()))
            .help("FERRY_HOME must be a directory that you can write")
    })
}

/// Starts the daemon. Returns it and its log, positioned at the start of its output.
fn spawn(session: &Session) -> Result<(Child, File)> {
    let paths = session.paths();
    let failed = |error| Failure::new(format!("can't write {}: {error}", paths.log().display()));
    make_profile(session)?;
    let open = || log_file::open(&paths.log());
    let mut log = open().map_err(failed)?;
    log.seek(SeekFrom::End(0)).map_err(failed)?;
    let mut command = Command::new(&session.builder.host_exe);
    command.args(["daemon", "supervise", "--profile", &paths.profile]);
    if session.verbose {
        command.arg("--verbose");
    }
    let child = command
        .env("FERRY_HOME", &paths.home)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(open().map_err(failed)?)
        .stderr(open().map_err(failed)?)
        .spawn()
        .map_err(|error| {
            Failure::new(format!("can't run {}: {error}", session.builder.host_exe.display()))
        })?;
    Ok((child, log))
}

/// Waits until the daemon listens, or is no more.
async fn wait(session: &Session, mut child: Child, log: File) -> Result {
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return ended(session, status, log).await;
        }
        if let Some(pid) = listening(session).await {
            return tell(session, pid, "is running");
        }
        sleep(LOOK).await;
    }
    Err(Failure::new(format!("the daemon does not listen after {} s", START.as_secs()))
        .help("`ferry daemon logs` may say why; `ferry daemon stop` ends it"))
}

/// Reports why our daemon ended at once: another one was quicker, or it failed with a reason in its log.
async fn ended(session: &Session, status: ExitStatus, mut log: File) -> Result {
    if let Some(pid) = daemon_pid(session) {
        return tell(session, pid, "is running already");
    }
    let mut text = String::new();
    // Without its words, the exit status must do.
    let _ = log.read_to_string(&mut text);
    let lines: Vec<&str> = text.lines().collect();
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit status".to_owned(),
    };
    let mut failure = Failure::new(format!("the daemon ended at once ({how})"));
    failure
        .lines
        .extend(lines[lines.len().saturating_sub(LOG_LINES)..].iter().map(|line| (*line).to_owned()));
    Err(failure.help(format!("the whole log is {}", session.paths().log().display())))
}
