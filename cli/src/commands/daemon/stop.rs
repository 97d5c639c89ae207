//! `ferry daemon stop`: ask, then insist. A daemon that hangs, or that was stopped by SIGSTOP, is ended too.

use std::{fs, time::Duration};

use clap::Args;
use ferry_engine::{
    profile::Paths,
    runner::{Connection, Request},
    store::Lock,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::{
    error::{Failure, Result},
    output,
    session::Session,
};

/// How long a signalled daemon may take.
const GRACE: Duration = Duration::from_secs(5);
/// How often we look whether it is gone.
const LOOK: Duration = Duration::from_millis(20);

/// How to stop.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// How long the daemon may take before it is ended by force, s
    #[arg(short, long, value_name = "SECONDS", default_value_t = 15)]
    timeout: u64,
}

/// Stops the daemon. None there is fine.
pub(super) async fn stop(session: &Session, args: &StopArgs) -> Result {
    let paths = session.paths();
    let pid = match Lock::holder(&paths.lock()) {
        Some((pid, role)) if role == "daemon" => pid,
        Some((pid, role)) if role == "run" => {
            output::note(format!("no daemon is running; a `ferry run` (pid {pid}) owns the profile"));
            return Ok(());
        }
        _ => {
            output::note("no daemon is running");
            return Ok(());
        }
    };
    let timeout = Duration::from_secs(args.timeout);
    match ask(paths).await {
        Ok(()) if gone(paths, pid, timeout).await => {
            output::note(format!("the daemon (pid {pid}) has stopped"));
            return Ok(());
        }
        Ok(()) => output::note(format!("the daemon (pid {pid}) did not stop within {} s", timeout.as_secs())),
        Err(why) => output::note(why),
    }
    force(paths, pid).await
}

async fn ask(paths: &Paths) -> Result<(), String> {
    let connection = Connection::open(paths).await.map_err(|error| error.message)?;
    let mut connection = connection.ok_or("the daemon does not listen")?;
    connection.ask(&Request::Stop).await.map(drop).map_err(|error| error.message)
}

/// Waits until a pid does not hold the profile any more.
async fn gone(paths: &Paths, pid: u32, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if !holds(paths, pid) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK).await;
    }
}

/// Whether a pid holds the profile: then it is the daemon, and no stranger that got its pid.
fn holds(paths: &Paths, pid: u32) -> bool {
    Lock::holder(&paths.lock()).is_some_and(|(holder, _)| holder == pid)
}

/// Ends the daemon with signals: TERM where it can hear it, then KILL.
async fn force(paths: &Paths, pid: u32) -> Result {
    if !is_stopped(pid) {
        output::note(format!("sending SIGTERM to the daemon (pid {pid})"));
        signal(paths, pid, Signal::TERM)?;
        if gone(paths, pid, GRACE).await {
            output::note(format!("the daemon (pid {pid}) has stopped"));
            return Ok(());
        }
    }
    output::note(format!("sending SIGKILL to the daemon (pid {pid}); nothing that it stored is lost"));
    signal(paths, pid, Signal::KILL)?;
    if gone(paths, pid, GRACE).await {
        output::note(format!("the daemon (pid {pid}) was ended by force"));
        return Ok(());
    }
    Err(Failure::new(format!("the daemon (pid {pid}) is still there after SIGKILL"))
        .help("it hangs in the kernel, perhaps on a file system that does not answer"))
}

/// Whether a program was stopped by SIGSTOP or a debugger, and so hears no TERM.
fn is_stopped(pid: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = text.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('T' | 't'))
}

fn signal(paths: &Paths, pid: u32, signal: Signal) -> Result {
    if !holds(paths, pid) {
        return Ok(());
    }
    let Some(target) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    match kill_process(target, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(Failure::new(format!("can't signal the daemon (pid {pid}): {error}"))),
    }
}
