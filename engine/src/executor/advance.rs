//! Driving one process until it waits or ends: its steps, their errors, and its kill.

use std::{sync::Arc, time::Duration};

use ferry_plugin_proto::Kind;
use tokio::sync::Notify;

use crate::{
    calcjob::{Calcjob, JobWatch, Next, Observation, Step, Submitters},
    executor::{
        cache_hit::reuse,
        calcfunction,
        failure::{self, STORE_RETRY},
        kill::{kill_calcjob, kill_workflow},
        observe::begin,
    },
    owner::Context,
    spec::is_workflow,
    step::{StepError, StepResult},
    store::{self, BY_USER, Change, NodeId, Process},
    workflow::{Advance, Workflow, last_wishes},
};

/// The next action for a process after it was driven.
#[derive(Debug)]
pub(crate) enum Then {
    /// The job is watched.
    Watch(JobWatch),
    /// It waits at its computer's gate.
    Gate {
        /// Label of the computer.
        computer: String,
        /// True if the scheduler has just refused it for want of room.
        refused: bool,
    },
    /// It is driven again after this time.
    After(Duration),
    /// It is driven again later: the store can't be read or written for now.
    Stuck(store::Error),
    /// Nothing, until it is woken.
    Idle,
    /// Nothing: it has ended.
    Ended,
}

/// The result of driving a process.
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) then: Then,
    /// Processes that it launched.
    pub(crate) born: Vec<NodeId>,
    /// Processes that it asked to end.
    pub(crate) killed: Vec<NodeId>,
    /// The process that called it, which is woken when it has ended.
    pub(crate) caller: Option<NodeId>,
}

impl From<Then> for Driven {
    fn from(then: Then) -> Self {
        Driven { then, born: Vec::new(), killed: Vec::new(), caller: None }
    }
}

/// Drives a process as far as it can go now.
///
/// # Cancel safety
/// Dropping the future has the effect of a crash: the outcome of its work is looked up when the process is driven
/// again.
pub(crate) async fn drive(
    cx: &Arc<Context>,
    submitters: &Submitters,
    id: NodeId,
    observation: Option<Observation>,
    interrupt: &Notify,
) -> Driven {
    let process = match cx.store.process(id) {
        Ok(process) => process,
        Err(error) => {
            tracing::error!(process = %id, %error, "the process could not be read");
            return Then::Stuck(error).into();
        }
    };
    let caller = process.caller;
    if process.state.is_terminal() {
        // A commit may have taken effect after an interrupt: then its caller was not woken yet.
        return Driven { caller, ..Then::Ended.into() };
    }
    if process.wishes.paused && !process.wishes.kill {
        cx.gates.stands_still(id);
        return Then::Idle.into();
    }
    if !process.wishes.kill
        && let Some(wait) = process.attempts.wait()
    {
        return Then::After(wait).into();
    }
    match reuse(cx, &process).await {
        Ok(true) => return Driven { caller, ..Then::Ended.into() },
        Ok(false) => {}
        Err(error) => return failure::failed(cx, id, error).await.into(),
    }
    let driven = match process.kind {
        Kind::CalcJob => drive_calcjob(cx, submitters, process, observation, interrupt).await.into(),
        kind if is_workflow(kind) => drive_workflow(cx, process, interrupt).await,
        _ => drive_function(cx, process, interrupt).await.into(),
    };
    Driven { caller, ..driven }
}

async fn drive_function(cx: &Arc<Context>, process: Process, interrupt: &Notify) -> Then {
    if process.wishes.kill {
        return kill_plain(cx, process).await;
    }
    let result = tokio::select! {
       biased;
        result = calcfunction::run(cx, process.clone()) => result,
        () = interrupt.notified() => return Then::After(Duration::ZERO),
    };
    match result {
        Ok(()) => Then::Ended,
        Err(error) => failure::failed(cx, process.id, error).await,
    }
}

/// Takes one step of a workflow; then it is the turn of another call tree.
async fn drive_workflow(cx: &Arc<Context>, process: Process, interrupt: &Notify) -> Driven {
    let id = process.id;
    if process.wishes.kill {
        return kill_workflow(cx, process).await.into();
    }
    let mut flow = match Workflow::new(cx, process) {
        Ok(flow) => flow,
        Err(error) => return failure::failed(cx, id, error).await.into(),
    };
    match flow.advance(interrupt).await {
        Ok(Advance::Rests(None)) => Then::Idle.into(),
        Ok(Advance::Rests(Some(delay))) => Then::After(delay.max(Duration::from_millis(1))).into(),
        Ok(Advance::Interrupted) => Then::After(Duration::ZERO).into(),
        Ok(Advance::Stepped { born, killed, ended }) => {
            let then = if ended { Then::Ended } else { Then::After(Duration::ZERO) };
            Driven { born, killed, ..then.into() }
        }
        Err(error) => failure::failed(cx, id, error).await.into(),
    }
}

/// Ends a process that has no job, at a user's request.
pub(crate) async fn kill_plain(cx: &Context, mut process: Process) -> Then {
    // Read from its checkpoint, which the end clears.
    let wishes = if is_workflow(process.kind) { last_wishes(&process) } else { None };
    let changes = process.kill(BY_USER).into_iter().chain(wishes).collect();
    commit_end(cx, &process, changes).await
}

/// Ends a process that has no job, or whose job can't be told from its checkpoint, by an error.
pub(crate) async fn except_plain(cx: &Context, mut process: Process, text: String) -> Then {
    let changes = process.except(text);
    commit_end(cx, &process, changes).await
}

async fn commit_end(cx: &Context, process: &Process, mut changes: Vec<Change>) -> Then {
    changes.push(process.update());
    match cx.store.commit(changes).await {
        Ok(_) => {
            cx.hurry_cleaner();
            Then::Ended
        }
        Err(error) => store_trouble(process.id, error),
    }
}

pub(crate) fn store_trouble(process: NodeId, error: store::Error) -> Then {
    if *error.kind() == store::ErrorKind::Conflict {
        return Then::After(Duration::ZERO);
    }
    tracing::error!(%process, %error, "commit failed; retrying");
    Then::Stuck(error)
}

async fn drive_calcjob(
    cx: &Arc<Context>,
    submitters: &Submitters,
    process: Process,
    observation: Option<Observation>,
    interrupt: &Notify,
) -> Then {
    let kill = process.wishes.kill;
    let mut job = match Calcjob::new(cx, submitters, process.clone()) {
        Ok(job) => job,
        Err(StepError::Except(text)) => return except_plain(cx, process, text).await,
        Err(_) => return Then::After(STORE_RETRY),
    };
    let result = if kill {
        // A further kill request takes effect at once, perhaps by force: a kill that hangs is then started again.
        let is_forced = job.process.wishes.kill_forced;
        tokio::select! {
            biased;
            ended = kill_calcjob(&mut job) => ended.map(|()| Next::Ended),
            () = interrupt.notified(), if !is_forced => return Then::After(Duration::ZERO),
        }
    } else {
        match begin(&mut job, observation).await {
            Ok(()) => run_steps(&mut job, interrupt).await,
            Err(error) => Err(error),
        }
    };
    match result {
        Ok(Next::Ended) => Then::Ended,
        Ok(Next::Watch(watch)) => Then::Watch(watch),
        Ok(Next::Gate { refused }) => Then::Gate { computer: job.row.computer.clone(), refused },
        Ok(Next::Hold) => Then::Idle,
        Ok(Next::Step) => Then::After(Duration::ZERO),
        Err(error) => failure::calcjob_failed(&mut job, error).await,
    }
}

/// Takes steps until the process waits, ends or fails. Returns `Step` if it was interrupted.
async fn run_steps(job: &mut Calcjob<'_>, interrupt: &Notify) -> StepResult<Next> {
    loop {
        // A submission is not interrupted: its outcome would have to be looked up.
        let interruptible = job.state.step != Step::Submit;
        let next = tokio::select! {
           biased;
            () = interrupt.notified(), if interruptible => return Ok(Next::Step),
            next = job.step() => next?,
        };
        match next {
            Next::Step => {
                let wishes = job.cx.store.process(job.process.id)?;
                if wishes.wishes.kill || wishes.wishes.paused {
                    return Ok(Next::Step);
                }
            }
            other => return Ok(other),
        }
    }
}
