//! The two ways to own a profile for longer than a request: as a daemon, or as `ferry run` for one process.

use std::{sync::Arc, time::Duration};

use ferry_plugin_proto::Problem;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};

use super::{
    Answered, Builder, ClientError, Connection, Context, Event, Owner, Request, Response, call,
    server::Server,
    service, socket,
    step_loop::{Gauges, StepLoop},
};
use crate::{
    process::{Launch, Launched, State},
    store::{ErrorKind, Lock, NodeId},
};

/// How long a `ferry run` may take to let a daemon have its profile.
const HAND_OVER: Duration = Duration::from_secs(15);

/// Owners that may be lost one after the other while a process is followed.
const LOST_OWNERS: u32 = 4;

/// What a profile is owned for.
enum Duty {
    /// Everything.
    Daemon,
    /// One new process.
    Run(Box<Launch>),
    /// One process that an earlier owner began.
    GoOn(i64),
}

/// An open profile with its socket and its loop.
struct Running {
    cx: Arc<Context>,
    events: mpsc::UnboundedSender<Event>,
    ends: mpsc::UnboundedReceiver<bool>,
    steps: JoinHandle<()>,
    server: JoinHandle<()>,
}

impl Running {
    async fn start(owner: Owner, duty: Duty) -> Result<(Running, Launched), RunError> {
        let cx = Arc::new(owner.open().await.map_err(ClientError::from)?);
        sweep(&cx);
        let (role, launched, only) = match duty {
            Duty::Daemon => ("daemon", Launched { id: 0, uuid: String::new() }, None),
            Duty::Run(launch) => {
                let launched = launch_alone(&cx, *launch).await?;
                let only = Some(NodeId(launched.id));
                ("run", launched, only)
            }
            Duty::GoOn(id) => ("run", Launched { id, uuid: String::new() }, Some(NodeId(id))),
        };
        let (events, inbox) = mpsc::unbounded_channel();
        let (ends_sender, ends) = mpsc::unbounded_channel();
        let gauges = Arc::new(Gauges::default());
        let steps = StepLoop::new(cx.clone(), events.clone(), inbox, gauges.clone(), only);
        let listener = socket::bind(&cx.paths.socket()).map_err(|error| ClientError {
            message: format!("the socket {} can't be made: {error}", cx.paths.socket().display()),
            help: Some("FERRY_HOME must be on a local disk that this user can write".into()),
        })?;
        let server = Server {
            cx: cx.clone(),
            events: events.clone(),
            gauges,
            role,
            started: crate::clock::now(),
            ends: ends_sender,
        };
        let server = tokio::spawn(Arc::new(server).serve(listener));
        Ok((Running { cx, events, ends, steps: tokio::spawn(steps.run()), server }, launched))
    }

    /// Stops gracefully and lets the profile go.
    async fn stop(self) {
        self.server.abort();
        let _ = self.events.send(Event::Stop);
        let _ = self.steps.await;
        let _ = self.server.await;
        self.cx.hosts.shutdown().await;
        let _ = std::fs::remove_file(self.cx.paths.socket());
    }
}

/// Removes what crashed work left in the scratch directory, but for what a step may still use.
pub(super) fn sweep(cx: &Context) {
    let Ok(entries) = std::fs::read_dir(cx.paths.scratch_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let staged = uuid::Uuid::parse_str(&name).is_ok();
        let live = staged
            && cx
                .store
                .find_node(&name)
                .and_then(|node| cx.store.process(node.id))
                .is_ok_and(|process| !process.state.is_terminal());
        if !live {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Owns the profile as its daemon until told to stop. Calls `ready` once it listens.
///
/// # Errors
/// Another owner that does not let go, and the store's.
pub async fn run_daemon(builder: &Builder, ready: impl FnOnce() + Send) -> Result<(), ClientError> {
    let owner = own_as_daemon(builder).await?;
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        return Err(ClientError { message: "signals can't be handled".into(), help: None });
    };
    let (mut running, _) = match Running::start(owner, Duty::Daemon).await {
        Ok(started) => started,
        Err(RunError::Client(error)) => return Err(error),
        Err(RunError::Refused(_)) => {
            return Err(ClientError { message: "nothing to launch".into(), help: None });
        }
    };
    tracing::info!(pid = std::process::id(), version = super::VERSION, "daemon started");
    ready();
    tokio::select! {
        _ = running.ends.recv() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("daemon stopping");
    running.stop().await;
    tracing::info!("daemon stopped");
    Ok(())
}

async fn own_as_daemon(builder: &Builder) -> Result<Owner, ClientError> {
    let deadline = tokio::time::Instant::now() + HAND_OVER;
    let mut asked = false;
    loop {
        let error = match builder.own("daemon") {
            Ok(owner) => return Ok(owner),
            Err(error) if *error.kind() == ErrorKind::Owned => error,
            Err(error) => return Err(error.into()),
        };
        let role = Lock::holder(&builder.paths.lock()).map(|(_, role)| role);
        if role.as_deref() == Some("daemon") || tokio::time::Instant::now() > deadline {
            let help = "`ferry daemon status` shows it; `ferry daemon restart` replaces it".to_owned();
            return Err(ClientError { message: error.to_string(), help: Some(help) });
        }
        if role.as_deref() == Some("run")
            && !asked
            && let Ok(Some(mut connection)) = Connection::open(&builder.paths).await
        {
            asked = matches!(connection.ask(&Request::HandOver).await, Ok(Response::Done));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What `ferry run` shows while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// The process is on disk.
    Launched {
        /// Its number.
        id: i64,
        /// Its name everywhere.
        uuid: String,
    },
    /// It stands somewhere else now.
    Changed {
        /// Its state.
        state: State,
        /// What it waits for.
        status: Option<String>,
    },
    /// A daemon steps it from now on.
    HandedOver,
}

/// How `ferry run` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// The process ended.
    Ended {
        /// Its number.
        id: i64,
    },
    /// The user let go of it.
    Detached {
        /// Its number.
        id: i64,
        /// Whether a daemon goes on with it.
        owned: bool,
    },
}

/// Why `ferry run` could not run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunError {
    /// Everything that is wrong with the launch.
    Refused(Vec<Problem>),
    /// The profile's owner, or the store.
    Client(ClientError),
}

impl From<ClientError> for RunError {
    fn from(error: ClientError) -> Self {
        RunError::Client(error)
    }
}

/// Runs one process in this terminal. Beside an owner it is submit and attach; without one this program owns
/// the profile and steps this process alone, until it ends, a daemon takes over, or the user lets go.
///
/// The first interrupt detaches, the second kills.
///
/// # Errors
/// A refused launch; another owner that does not answer; the store's.
pub async fn run_tree(
    builder: &Builder,
    launch: Launch,
    observer: &mut (dyn FnMut(RunEvent) + Send),
    mut interrupts: mpsc::Receiver<()>,
) -> Result<RunEnd, RunError> {
    if Connection::open(&builder.paths).await?.is_none()
        && let Ok(owner) = builder.own("run")
    {
        let (running, launched) = Running::start(owner, Duty::Run(Box::new(launch))).await?;
        observer(RunEvent::Launched { id: launched.id, uuid: launched.uuid.clone() });
        return match own_to_the_end(running, launched.id, observer, &mut interrupts).await {
            Some(end) => Ok(end),
            None => attach(builder, launched.id, observer, &mut interrupts).await,
        };
    }
    let launched = match call(builder, Request::Launch(Box::new(launch))).await?.0 {
        Response::Launched(launched) => launched,
        Response::Refused(problems) => return Err(RunError::Refused(problems)),
        Response::Failed { message, help } => return Err(ClientError { message, help }.into()),
        other => return Err(unexpected(&other).into()),
    };
    observer(RunEvent::Launched { id: launched.id, uuid: launched.uuid.clone() });
    attach(builder, launched.id, observer, &mut interrupts).await
}

fn is_daemon(builder: &Builder) -> bool {
    Lock::holder(&builder.paths.lock()).is_some_and(|(_, role)| role == "daemon")
}

fn unexpected(response: &Response) -> ClientError {
    ClientError { message: format!("the owner of the profile answered oddly: {response:?}"), help: None }
}

async fn launch_alone(cx: &Arc<Context>, launch: Launch) -> Result<Launched, RunError> {
    match service::handle(cx, Request::Launch(Box::new(launch))).await {
        Response::Launched(launched) => Ok(launched),
        Response::Refused(problems) => Err(RunError::Refused(problems)),
        Response::Failed { message, help } => Err(ClientError { message, help }.into()),
        other => Err(unexpected(&other).into()),
    }
}

/// Steps a process to its end, then lets the profile go. `None`: a daemon took it.
async fn own_to_the_end(
    mut running: Running,
    id: i64,
    observer: &mut (dyn FnMut(RunEvent) + Send),
    interrupts: &mut mpsc::Receiver<()>,
) -> Option<RunEnd> {
    let end = watch_own(&mut running, id, observer, interrupts).await;
    running.stop().await;
    if end.is_none() {
        observer(RunEvent::HandedOver);
    }
    end
}

async fn watch_own(
    running: &mut Running,
    id: i64,
    observer: &mut (dyn FnMut(RunEvent) + Send),
    interrupts: &mut mpsc::Receiver<()>,
) -> Option<RunEnd> {
    let mut commits = running.cx.store.commits();
    let mut shown = None;
    loop {
        if let Ok(process) = running.cx.store.process(NodeId(id)) {
            let now = (process.state, process.status);
            if shown.as_ref() != Some(&now) {
                observer(RunEvent::Changed { state: now.0, status: now.1.clone() });
                shown = Some(now);
            }
            // A paused process goes on only when somebody acts.
            if process.state.is_terminal() {
                return Some(RunEnd::Ended { id });
            }
            if process.paused {
                return Some(RunEnd::Detached { id, owned: false });
            }
        }
        tokio::select! {
            _ = commits.changed() => {}
            ended = running.ends.recv() => match ended {
                Some(true) => return None,
                _ => return Some(RunEnd::Detached { id, owned: false }),
            },
            Some(()) = interrupts.recv() => return Some(RunEnd::Detached { id, owned: false }),
        }
    }
}

/// Follows a process that somebody else steps; where nobody is left who does, takes the profile and goes on. An
/// interrupt detaches.
///
/// # Errors
/// An owner that does not answer; the store's.
pub async fn attach(
    builder: &Builder,
    id: i64,
    observer: &mut (dyn FnMut(RunEvent) + Send),
    interrupts: &mut mpsc::Receiver<()>,
) -> Result<RunEnd, RunError> {
    let mut seen = -1;
    let mut lost = 0;
    loop {
        if matches!(Connection::open(&builder.paths).await, Ok(None))
            && let Ok(owner) = builder.own("run")
        {
            let (running, _) = Running::start(owner, Duty::GoOn(id)).await?;
            if let Some(end) = own_to_the_end(running, id, observer, interrupts).await {
                return Ok(end);
            }
        }
        let answer = tokio::select! {
            answer = look(builder, id, seen) => answer,
            Some(()) = interrupts.recv() => return Ok(RunEnd::Detached { id, owned: is_daemon(builder) }),
        };
        let (response, by) = match answer {
            Ok(answer) => answer,
            Err(error) if lost == LOST_OWNERS => return Err(error.into()),
            // An owner that ends in the middle of an answer is no trouble: the next one is asked, or we are it.
            Err(_) => {
                lost += 1;
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        lost = 0;
        match response {
            // The owner ended between the two; the next round takes over.
            Response::Process { state, .. } if by == Answered::Alone && !state.is_terminal() => {}
            Response::Process { version, state, status } => {
                if version != seen {
                    observer(RunEvent::Changed { state, status });
                } else {
                    // Nobody steps it, or nothing happens: don't ask in a tight circle.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                if state.is_terminal() {
                    return Ok(RunEnd::Ended { id });
                }
                seen = version;
            }
            Response::Failed { message, help } => return Err(ClientError { message, help }.into()),
            other => return Err(unexpected(&other).into()),
        }
    }
}

/// Asks the owner to step a process, and waits until it stands somewhere else.
async fn look(builder: &Builder, id: i64, seen: i64) -> Result<(Response, Answered), ClientError> {
    call(builder, Request::Attach(id)).await?;
    call(builder, Request::Wait { process: id, seen, seconds: 10 }).await
}
