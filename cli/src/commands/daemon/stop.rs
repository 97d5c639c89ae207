//! `ferry daemon stop`: asks, then forces. A daemon or supervisor that hangs, or that was stopped by SIGSTOP,
//! is ended too. No other process is ever signalled: the holder of a profile's lock is identified by pid and
//! start time.

use std::time::Duration;

use clap::Args;
use ferry_engine::{
    child::Child,
    daemon::Supervision,
    profile::Paths,
    rpc::{Connection, Request},
    store::Lock,
};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::{
    error::{Failure, Result},
    output,
    session::Session,
};

/// Maximum time that a signalled daemon may take.
const GRACE: Duration = Duration::from_secs(5);
/// Interval between two checks whether it is gone.
const LOOK: Duration = Duration::from_millis(20);

/// Arguments of `daemon stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// How long the daemon may take before it is ended by force, s
    #[arg(short, long, value_name = "SECONDS", default_value_t = 15)]
    timeout: u64,
}

/// The processes of a daemon that are alive.
#[derive(Debug, Clone, Copy)]
struct Parts {
    worker: Option<Child>,
    supervisor: Option<Child>,
}

impl Parts {
    fn living(paths: &Paths) -> Parts {
        let daemon = Lock::holding(&paths.lock()).filter(|(_, role)| role == "daemon");
        let supervisor = Supervision::living(paths).map(|(supervisor, _)| supervisor);
        Parts { worker: daemon.map(|(worker, _)| worker), supervisor }
    }

    fn all(self) -> impl Iterator<Item = Child> {
        self.supervisor.into_iter().chain(self.worker)
    }

    /// Returns the pid by which a user knows the daemon: the worker's, else the supervisor's.
    fn pid(self) -> u32 {
        self.worker.or(self.supervisor).map_or(0, |child| child.pid)
    }

    /// Waits until all processes that were asked to end are gone. Returns false if they are not gone in time,
    /// or if the remaining ones are stopped and can't react.
    async fn obey(self, timeout: Duration) -> bool {
        self.wait(timeout, |left| left.iter().all(Child::is_stopped)).await
    }

    /// Waits until all are gone, which for a moment after SIGKILL still look as they did.
    async fn gone(self, timeout: Duration) -> bool {
        self.wait(timeout, |_| false).await
    }

    async fn wait(self, timeout: Duration, is_hopeless: impl Fn(&[Child]) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            let left: Vec<Child> = self.all().filter(Child::is_alive).collect();
            if left.is_empty() {
                return true;
            }
            if Instant::now() >= deadline || is_hopeless(&left) {
                return false;
            }
            sleep(LOOK).await;
        }
    }
}

/// Stops the daemon. None there is fine.
pub(super) async fn stop(session: &Session, args: &StopArgs) -> Result {
    let paths = session.paths();
    let parts = Parts::living(paths);
    if parts.all().next().is_none() {
        output::note(match Lock::holder(&paths.lock()) {
            Some((pid, role)) if role == "run" => {
                format!("no daemon is running; a `ferry run` (pid {pid}) owns the profile")
            }
            _ => "no daemon is running".to_owned(),
        });
        return Ok(());
    }
    let (pid, timeout) = (parts.pid(), Duration::from_secs(args.timeout));
    if parts.worker.is_some() {
        match ask(paths).await {
            Ok(()) if parts.obey(timeout).await => {
                output::note(format!("the daemon (pid {pid}) has stopped"));
                return Ok(());
            }
            Ok(()) => {
                output::note(format!("the daemon (pid {pid}) did not stop within {} s", timeout.as_secs()))
            }
            Err(why) => output::note(why),
        }
    }
    force(parts).await
}

async fn ask(paths: &Paths) -> Result<(), String> {
    let connection = Connection::open(paths).await.map_err(|error| error.message)?;
    let mut connection = connection.ok_or("the daemon does not listen")?;
    connection.ask(&Request::Stop).await.map(drop).map_err(|error| error.message)
}

/// Ends the daemon with signals: TERM where it can be heard, then KILL. The supervisor comes first, so that it
/// starts no other worker.
async fn force(parts: Parts) -> Result {
    let pid = parts.pid();
    let hears = |child: &Child| !child.is_stopped();
    if parts.all().any(|child| hears(&child)) {
        output::note(format!("sending SIGTERM to the daemon (pid {pid})"));
        parts.all().filter(hears).try_for_each(|child| signal(child, Signal::TERM))?;
        if parts.worker.is_none_or(|worker| hears(&worker)) && parts.obey(GRACE).await {
            output::note(format!("the daemon (pid {pid}) has stopped"));
            return Ok(());
        }
    }
    output::note(format!("sending SIGKILL to the daemon (pid {pid}); nothing that it stored is lost"));
    parts.all().filter(Child::is_stopped).try_for_each(|child| signal(child, Signal::KILL))?;
    // A supervisor that lives ends with its worker; one that does not is ended as well.
    parts.worker.into_iter().try_for_each(|worker| signal(worker, Signal::KILL))?;
    if !parts.gone(GRACE / 5).await {
        parts.all().try_for_each(|child| signal(child, Signal::KILL))?;
    }
    if parts.gone(GRACE).await {
        output::note(format!("the daemon (pid {pid}) was ended by force"));
        return Ok(());
    }
    Err(Failure::new(format!("the daemon (pid {pid}) is still there after SIGKILL"))
        .help("it hangs in the kernel, perhaps on a file system that does not answer"))
}

fn signal(child: Child, signal: Signal) -> Result {
    let failed = |error| Failure::new(format!("can't signal the daemon (pid {}): {error}", child.pid));
    child.signal(signal).map(drop).map_err(failed)
}
