//! The supervisor: starts the daemon's worker, waits for its end, and starts another after a crash, with back-off.
//! It opens no store and never holds the owner's lock; its own lock ensures that there is only one.
//!
//! ```text
//! start worker -> wait -> ended by itself (0), or we were told to stop: done
//!      ^            |
//!      +-- back-off-+---> died
//! ```
//!
//! A worker asks the kernel for SIGTERM at its supervisor's death, so no unsupervised worker remains.

use std::{
    io,
    process::{Command, ExitStatus},
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    process,
    signal::unix::{self, SignalKind},
    time::{Instant, sleep, sleep_until},
};

use crate::back_off::BackOff;
use crate::{
    child::Child,
    crash,
    owner::{Death, NOT_STARTED, Supervision, exit_cause::oom_kills},
    profile::Paths,
    rpc::ClientError,
    store::Lock,
};

/// The waits before the next starts.
const WAITS: BackOff = BackOff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// Lifetime after which a worker counts as healthy: its death counts as a first one.
const HEALTHY: Duration = Duration::from_secs(300);
/// Time that a worker may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The end of a supervisor's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SupervisorEnd {
    /// The worker ended by itself, or a stop was requested.
    Stopped,
    /// The very first worker could not start.
    NotStarted(ExitStatus),
}

/// Keeps a worker running until it ends by itself or a stop is requested (SIGTERM, SIGINT, SIGHUP; twice to end it
/// by force). SIGUSR1 ends a back-off. `worker` creates the worker's command.
///
/// # Errors
/// Fails if another supervisor is running, or a program can't be started.
pub async fn supervise(paths: &Paths, worker: &dyn Fn() -> Command) -> Result<SupervisorEnd, ClientError> {
    // Before the lock: the holder of the lock may be signalled.
    let signals = Signals::new().map_err(|error| failed("signals can't be handled", &error))?;
    let lock = Lock::take(&paths.supervisor_lock(), "supervisor")?;
    let me = Child::me()
        .ok_or_else(|| failed("the supervisor's own identity", &io::ErrorKind::NotFound.into()))?;
    let last_death = Supervision::read(paths).and_then(|told| told.last_death);
    let told = Supervision { supervisor: me, worker: None, restarts: 0, next_start: None, last_death };
    let end = Supervisor { paths, signals, told, back_off: Deaths::default() }.run(worker).await;
    drop(lock);
    end
}

/// Makes this program, a worker, receive SIGTERM when its supervisor ends. Call it on the main thread. Returns
/// false if that supervisor is gone already.
///
/// # Errors
/// Returns an error of the kernel.
pub fn die_with(supervisor: u32) -> io::Result<bool> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    Ok(parent.and_then(|pid| u32::try_from(pid).ok()) == Some(supervisor))
}

fn failed(what: &str, error: &io::Error) -> ClientError {
    ClientError { message: format!("{what}: {error}"), help: None }
}

struct Supervisor<'a> {
    paths: &'a Paths,
    signals: Signals,
    told: Supervision,
    back_off: Deaths,
}

/// The end of a worker, as its supervisor sees it.
enum WorkerEnd {
    /// The supervisor stopped it.
    Told,
    /// It ended by itself.
    Itself(ExitStatus),
}

impl Supervisor<'_> {
    async fn run(mut self, worker: &dyn Fn() -> Command) -> Result<SupervisorEnd, ClientError> {
        loop {
            let (began, oom) = (Instant::now(), oom_kills());
            let started = self.start(worker).map_err(|error| failed("the daemon can't be run", &error));
            let wait = match started {
                Ok((child, mut process)) => match self.watch(&mut process).await {
                    Ok(WorkerEnd::Told) => return Ok(self.done()),
                    Ok(WorkerEnd::Itself(status)) if status.success() => return Ok(self.done()),
                    Ok(WorkerEnd::Itself(status)) => {
                        if status.code() == Some(NOT_STARTED) && self.told.restarts == 0 {
                            self.done();
                            return Ok(SupervisorEnd::NotStarted(status));
                        }
                        self.bury(Death::new(child, status, oom), began.elapsed())
                    }
                    Err(error) => return Err(failed("waiting for the daemon failed", &error)),
                },
                Err(error) if self.told.restarts == 0 => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "the daemon can't be restarted");
                    self.back_off.next(Duration::ZERO)
                }
            };
            self.tell_wait(wait);
            if !self.pause(wait).await || !self.is_still_ours() {
                return Ok(self.done());
            }
            self.told.restarts += 1;
        }
    }

    fn start(&mut self, worker: &dyn Fn() -> Command) -> io::Result<(Child, process::Child)> {
        let mut command = worker();
        if self.told.restarts > 0 {
            crash::only_once(&mut command);
        }
        let process = process::Command::from(command).spawn()?;
        let child = process.id().and_then(Child::of).ok_or(io::ErrorKind::NotFound)?;
        self.told.worker = Some(child);
        self.told.next_start = None;
        self.publish();
        Ok((child, process))
    }

    /// Waits for the worker's end, and passes on stop requests.
    async fn watch(&mut self, process: &mut process::Child) -> io::Result<WorkerEnd> {
        let mut deadline: Option<Instant> = None;
        loop {
            let force = tokio::select! {
                status = process.wait() => {
                    let status = status?;
                    return Ok(if deadline.is_some() { WorkerEnd::Told } else { WorkerEnd::Itself(status) });
                }
                told = self.signals.next() => match told {
                    Told::Stop => deadline.is_some(),
                    // It runs already, so there is no back-off to end.
                    Told::Hurry => continue,
                },
                () = until(deadline) => true,
            };
            if force {
                tracing::warn!("the daemon does not stop and is killed; its stored data are safe");
                process.start_kill()?;
            } else if let Some(child) = self.told.worker {
                tracing::info!(pid = child.pid, "stopping the daemon");
                child.signal(Signal::TERM)?;
            }
            deadline = Some(Instant::now() + STOP_LIMIT);
        }
    }

    /// Records a death, and returns the wait before the next start.
    fn bury(&mut self, death: Death, lived: Duration) -> Duration {
        let wait = self.back_off.next(lived);
        tracing::error!(
            pid = death.worker.pid,
            "the daemon died: {death}; it will be restarted in {} s",
            wait.as_secs()
        );
        self.told.last_death = Some(death);
        wait
    }

    fn tell_wait(&mut self, wait: Duration) {
        self.told.worker = None;
        self.told.next_start = crate::clock::now().checked_add(wait).ok();
        self.publish();
    }

    /// Waits before the next start. Returns false if a stop was requested meanwhile.
    async fn pause(&mut self, wait: Duration) -> bool {
        tokio::select! {
            () = sleep(wait) => true,
            told = self.signals.next() => told == Told::Hurry,
        }
    }

    /// Returns whether the profile still exists: a new worker would create a removed one again.
    fn is_still_ours(&self) -> bool {
        let holder = Lock::holding(&self.paths.supervisor_lock());
        let ours = holder.is_some_and(|(holder, _)| holder == self.told.supervisor);
        if !ours {
            tracing::error!("the profile was removed, so the daemon exits");
        }
        ours
    }

    fn done(&mut self) -> SupervisorEnd {
        self.told.worker = None;
        self.told.next_start = None;
        self.publish();
        SupervisorEnd::Stopped
    }

    /// Writes the state for users and the next worker; a full disk must not end the supervisor.
    fn publish(&self) {
        if let Err(error) = self.told.write(self.paths) {
            tracing::warn!(%error, "{} can't be written", self.paths.supervision().display());
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The meaning of a signal to the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Stop,
    Hurry,
}

struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
    hurry: unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hang_up: unix::signal(SignalKind::hangup())?,
            hurry: unix::signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Stop,
            _ = self.hurry.recv() => Told::Hurry,
        }
    }
}

/// The wait before the next start.
#[derive(Debug, Default)]
struct Deaths {
    deaths: u32,
}

impl Deaths {
    fn next(&mut self, lived: Duration) -> Duration {
        if lived >= HEALTHY {
            self.deaths = 0;
        }
        self.deaths += 1;
        WAITS.wait(self.deaths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_minute_and_health_forgets_it() {
        let mut back_off = Deaths::default();
        let waits: Vec<u64> = (0..8).map(|_| back_off.next(Duration::from_secs(1)).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(back_off.next(HEALTHY), WAITS.first);
    }

    async fn supervised(script: &str) -> (SupervisorEnd, Supervision) {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(home.path(), "default");
        paths.create().unwrap();
        let script = script.replace("LIVES", home.path().join("lives").to_str().unwrap());
        let worker = || {
            let mut command = Command::new("sh");
            command.args(["-c", &script]);
            command
        };
        let end = supervise(&paths, &worker).await.unwrap();
        (end, Supervision::read(&paths).unwrap())
    }

    #[tokio::test]
    async fn a_worker_that_dies_is_started_again_and_one_that_ends_is_not() {
        let script = "echo >> LIVES; test $(wc -l < LIVES) = 2 || kill -SEGV $$";
        let (end, told) = supervised(script).await;
        assert_eq!((end, told.restarts, told.worker), (SupervisorEnd::Stopped, 1, None));
        assert_eq!(told.last_death.unwrap().to_string(), "signal 11 (SIGSEGV)");
    }

    #[tokio::test]
    async fn a_first_worker_that_cannot_start_is_not_tried_again() {
        let (end, told) = supervised("exit 69").await;
        assert!(
            matches!(end, SupervisorEnd::NotStarted(_)) && told.restarts == 0 && told.last_death.is_none()
        );
    }
}
