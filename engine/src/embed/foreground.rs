//! `ferry run`: one process, followed in a terminal to its end. It is stepped either by this program as the
//! owner of the profile, or by another owner.
//!
//! An interrupt (Ctrl-C) only detaches. The caller decides what follows: the command line pauses the process, and
//! kills it after a second interrupt.

use std::{sync::Arc, time::Duration};

use ferry_plugin_proto::Problem;
use tokio::{sync::mpsc, time::Instant};

use crate::{
    embed::running::{Duty, Running},
    owner::{Builder, Context},
    process::{Launch, Launched, State},
    rpc::{Answered, ClientError, Connection, Request, Response, call, handlers as service},
    store::{Lock, NodeId, Objects, Reader},
};

/// Number of owners that may be lost in a row while a process is followed.
const LOST_OWNERS: u32 = 4;

/// The events that `ferry run` shows while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// The process is on disk.
    Launched {
        /// Its number.
        id: i64,
        /// Its UUID.
        uuid: String,
    },
    /// Its state or status changed.
    Changed {
        /// Its state.
        state: State,
        /// The reason it waits, if there is one.
        status: Option<String>,
    },
    /// A daemon has taken over and steps it from now on.
    HandedOver,
}

/// The end of a `ferry run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// The process ended.
    Ended {
        /// Its number.
        id: i64,
    },
    /// The terminal no longer follows the process.
    Detached {
        /// Its number.
        id: i64,
        /// True if a daemon continues to step it.
        owned: bool,
    },
}

/// The reasons why `ferry run` could not run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunError {
    /// Everything that is wrong with the launch.
    Refused(Vec<Problem>),
    /// An error of the profile's owner, or of the store.
    Client(ClientError),
}

impl From<ClientError> for RunError {
    fn from(error: ClientError) -> Self {
        RunError::Client(error)
    }
}

/// Runs one process in this terminal. If the profile has an owner, the process is submitted to it and
/// followed. Otherwise this program owns the profile and steps this process alone, until it ends, a daemon
/// takes over, or the user detaches.
///
/// An interrupt detaches; the caller decides what becomes of the process then.
///
/// # Errors
/// Fails if the launch is refused or another owner does not answer, or with an error of the store.
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
    ClientError { message: format!("unexpected response from the daemon: {response:?}"), help: None }
}

/// Launches a process where this program is the owner.
pub(crate) async fn launch_alone(cx: &Arc<Context>, launch: Launch) -> Result<Launched, RunError> {
    match service::handle(cx, Request::Launch(Box::new(launch))).await {
        Response::Launched(launched) => Ok(launched),
        Response::Refused(problems) => Err(RunError::Refused(problems)),
        Response::Failed { message, help } => Err(ClientError { message, help }.into()),
        other => Err(unexpected(&other).into()),
    }
}

/// Steps a process to its end, then releases the profile. Returns `None` if a daemon took over.
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

/// Time that an ended process waits for the kill of its children. Otherwise their jobs would run on, since no
/// program steps them here afterwards.
const KILLS: Duration = Duration::from_secs(10);

/// Returns whether children of this process still have to be killed.
fn kills(running: &Running, id: i64) -> bool {
    let store = &running.cx.store;
    let live = store.live_tree(NodeId(id)).unwrap_or_default();
    live.into_iter().any(|child| store.process(child).is_ok_and(|child| child.wishes.kill))
}

async fn watch_own(
    running: &mut Running,
    id: i64,
    observer: &mut (dyn FnMut(RunEvent) + Send),
    interrupts: &mut mpsc::Receiver<()>,
) -> Option<RunEnd> {
    let mut commits = running.cx.store.commits();
    let mut shown = None;
    let mut patience = None;
    loop {
        if let Ok(process) = running.cx.store.process(NodeId(id)) {
            let now = (process.state, crate::calcjob::waiting_reason(&running.cx, &process));
            if shown.as_ref() != Some(&now) {
                observer(RunEvent::Changed { state: now.0, status: now.1.clone() });
                shown = Some(now);
            }
            // A paused process continues only when a user acts.
            if process.state.is_terminal() {
                let until = *patience.get_or_insert_with(|| Instant::now() + KILLS);
                if until <= Instant::now() || !kills(running, id) {
                    return Some(RunEnd::Ended { id });
                }
            }
            if process.wishes.paused && !process.wishes.kill {
                return Some(RunEnd::Detached { id, owned: false });
            }
        }
        tokio::select! {
            _ = commits.changed() => {}
            () = tokio::time::sleep(KILLS), if patience.is_some() => {}
            ended = running.ends.recv() => match ended {
                Some(true) => return None,
                _ => return Some(RunEnd::Detached { id, owned: false }),
            },
            Some(()) = interrupts.recv() => return Some(RunEnd::Detached { id, owned: false }),
        }
    }
}

/// Follows a process that another program steps. If no program steps it any more, takes the profile and
/// continues. An interrupt detaches.
///
/// # Errors
/// Fails if an owner does not answer, or with an error of the store.
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
            // A process that has ended is shown, whatever happened to the owner.
            Err(_) if has_ended(builder, id) => return Ok(RunEnd::Ended { id }),
            Err(error) if lost == LOST_OWNERS => return Err(lost_sight(id, error).into()),
            // An owner that ends in the middle of an answer is not an error: the next owner is asked, or this
            // program becomes it.
            Err(_) => {
                lost += 1;
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        lost = 0;
        match response {
            // The owner ended in the meantime; the next iteration takes over.
            Response::Process { state, .. } if by == Answered::Alone && !state.is_terminal() => {}
            Response::Process { mark, state, status } => {
                if mark != seen {
                    observer(RunEvent::Changed { state, status });
                } else {
                    // No program steps it, or nothing happens: avoid a busy loop.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                if state.is_terminal() {
                    return Ok(RunEnd::Ended { id });
                }
                seen = mark;
            }
            Response::Failed { message, help } => return Err(ClientError { message, help }.into()),
            other => return Err(unexpected(&other).into()),
        }
    }
}

/// Asks the owner to step a process, and waits until its state or status changes.
async fn look(builder: &Builder, id: i64, seen: i64) -> Result<(Response, Answered), ClientError> {
    call(builder, Request::Attach(id)).await?;
    call(builder, Request::Wait { process: id, seen, seconds: 10 }).await
}

/// Returns whether the process has ended, according to the store.
fn has_ended(builder: &Builder, id: i64) -> bool {
    let reader = Reader::open(&builder.paths.store(), Objects::new(builder.paths.objects()));
    reader.and_then(|reader| reader.process(NodeId(id))).is_ok_and(|process| process.state.is_terminal())
}

fn lost_sight(id: i64, error: ClientError) -> ClientError {
    let message = format!("process {id} can no longer be followed: {}", error.message);
    let next = format!("nothing is lost: `ferry process attach {id}` follows it again");
    let help = error.help.map_or_else(|| next.clone(), |help| format!("{help}; {next}"));
    ClientError { message, help: Some(help) }
}
