//! One process, driven until it waits or ends: its steps, what becomes of their errors, and its kill.

use std::{sync::Arc, time::Duration};

use ferry_plugin_proto::Kind;
use tokio::sync::Notify;

use super::{Context, JobWatch, Submitters, poller::Observation};
use crate::{
    calcjob::{self, Calcjob, Next, Step, StepError, StepResult},
    clock,
    process::{State, run_calcfunction},
    scheduler::{JobId, JobRef, Marker, Recovery},
    store::{self, Change, Level, NodeId, Process},
};

/// What a process does after it was driven.
#[derive(Debug)]
pub(super) enum Then {
    /// Watch its job.
    Watch(JobWatch),
    /// Wait at its computer's gate.
    Gate {
        /// Label of the computer.
        computer: String,
        /// Whether the scheduler has just refused it for want of room.
        refused: bool,
    },
    /// Come back after so long.
    After(Duration),
    /// Nothing, until somebody wakes it.
    Idle,
    /// Nothing more.
    Ended,
}

/// How soon a step is run again whose commit failed.
const STORE_RETRY: Duration = Duration::from_secs(5);
/// How soon a host that could not be reached is tried again.
const HOST_RETRY: Duration = Duration::from_secs(10);
/// Deaths of its plugin host that a step may cause.
const DEATHS: u32 = 3;

/// Drives a process as far as it goes now.
///
/// # Cancel safety
/// Like a crash: whatever it was doing is looked up when it is driven again.
pub(super) async fn drive(
    cx: &Arc<Context>,
    submitters: &Submitters,
    id: NodeId,
    observation: Option<Observation>,
    interrupt: &Notify,
) -> Then {
    let process = match cx.store.process(id) {
        Ok(process) => process,
        Err(error) => {
            tracing::error!(process = %id, %error, "the process could not be read");
            return Then::After(STORE_RETRY);
        }
    };
    if process.state.is_terminal() {
        return Then::Ended;
    }
    if process.paused && !process.kill_requested {
        return Then::Idle;
    }
    match process.kind {
        Kind::CalcJob => drive_calcjob(cx, submitters, process, observation, interrupt).await,
        _ => drive_function(cx, process, interrupt).await,
    }
}

async fn drive_function(cx: &Arc<Context>, process: Process, interrupt: &Notify) -> Then {
    if process.kill_requested {
        return end_plain(cx, process, State::Killed, "killed by the user".into()).await;
    }
    let result = tokio::select! {
        result = run_calcfunction(cx, process.clone()) => result,
        () = interrupt.notified() => return Then::After(Duration::ZERO),
    };
    match result {
        Ok(()) => Then::Ended,
        Err(StepError::Store(error)) => store_trouble(process.id, &error),
        Err(StepError::Stopping) => Then::After(STORE_RETRY),
        // It may run twice, so a passing failure is simply tried again.
        Err(StepError::Later(text) | StepError::Host(text) | StepError::Wait(text, _)) => {
            tracing::warn!(process = %process.id, "{text}");
            Then::After(cx.settings.retry_initial)
        }
        Err(StepError::Died(text) | StepError::Except(text) | StepError::Pause(text)) => {
            match cx.store.process(process.id) {
                Ok(process) => end_plain(cx, process, State::Excepted, text).await,
                Err(error) => store_trouble(process.id, &error),
            }
        }
    }
}

/// Ends those of the processes whose end was asked for and who have nothing to cancel on a computer. For an
/// owner without a loop; the others end when a daemon runs.
pub(super) async fn kill_at_rest(cx: &Arc<Context>, ids: &[i64]) {
    for id in ids {
        let Ok(process) = cx.store.process(NodeId(*id)) else { continue };
        if process.kill_requested && !process.state.is_terminal() && !may_have_job(&process) {
            end_plain(cx, process, State::Killed, "killed by the user".into()).await;
        }
    }
}

/// Whether a process may have a job that is not known to be over.
fn may_have_job(process: &Process) -> bool {
    let checkpoint = calcjob::Checkpoint::read(process.checkpoint.as_deref());
    process.kind == Kind::CalcJob
        && checkpoint.map_or(true, |saved| {
            saved.submission.is_some() && matches!(saved.step, Step::Submit | Step::Update)
        })
}

async fn end_plain(cx: &Context, mut process: Process, state: State, message: String) -> Then {
    let id = process.id;
    process.state = state;
    process.status = None;
    process.exit_message = Some(message.clone());
    let line =
        Change::Log { process: id, level: Level::Error, message: format!("{}: {message}", state.as_str()) };
    match cx.store.commit(vec![line, Change::Update(Box::new(process))]).await {
        Ok(_) => Then::Ended,
        Err(error) => store_trouble(id, &error),
    }
}

fn store_trouble(process: NodeId, error: &store::Error) -> Then {
    if *error.kind() == store::ErrorKind::Conflict {
        return Then::After(Duration::ZERO);
    }
    tracing::error!(%process, %error, "the store took nothing; trying again");
    Then::After(STORE_RETRY)
}

async fn drive_calcjob(
    cx: &Arc<Context>,
    submitters: &Submitters,
    process: Process,
    observation: Option<Observation>,
    interrupt: &Notify,
) -> Then {
    let id = process.id;
    let kill = process.kill_requested;
    let mut job = match Calcjob::new(cx, submitters, process.clone()) {
        Ok(job) => job,
        Err(StepError::Except(text)) => return end_plain(cx, process, State::Excepted, text).await,
        Err(_) => return Then::After(STORE_RETRY),
    };
    let result = if kill {
        kill_calcjob(&mut job).await.map(|()| Next::Ended)
    } else if let Some(wait) = not_yet(&job) {
        return Then::After(wait);
    } else {
        match begin(&mut job, observation).await {
            Ok(()) => run_steps(&mut job, interrupt).await,
            Err(error) => Err(error),
        }
    };
    match result {
        Ok(Next::Ended) => Then::Ended,
        Ok(Next::Watch(watch)) => Then::Watch(watch),
        Ok(Next::Gate { refused }) => {
            Then::Gate { computer: job.process.computer.clone().unwrap_or_default(), refused }
        }
        Ok(Next::Step) => Then::After(Duration::ZERO),
        Err(error) => match settle(&mut job, error).await {
            Ok(then) => then,
            Err(StepError::Store(error)) => store_trouble(id, &error),
            Err(_) => Then::After(STORE_RETRY),
        },
    }
}

/// How long a retry that was planned before is still off.
fn not_yet(job: &Calcjob<'_>) -> Option<Duration> {
    let wait = job.state.next_try?.duration_since(clock::now());
    Duration::try_from(wait).ok().filter(|wait| !wait.is_zero())
}

/// Steps until the process waits, ends or fails. `Step`: interrupted.
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
            Next::Step if job.cx.store.process(job.process.id)?.kill_requested => return Ok(Next::Step),
            Next::Step => {}
            other => return Ok(other),
        }
    }
}

/// A created process runs now; a waiting one takes in what was seen of its job.
async fn begin(job: &mut Calcjob<'_>, observation: Option<Observation>) -> StepResult {
    if job.process.state == State::Created {
        job.process.state = State::Running;
        job.process.status = Some(job.state.step.as_str().to_owned());
        return job.commit(Vec::new()).await;
    }
    match observation {
        Some(Observation::Granted(bounds)) => {
            job.grant = Some(bounds);
            Ok(())
        }
        _ if job.state.step != Step::Update => Ok(()),
        None => Ok(()),
        Some(Observation::Adopt(id)) => {
            let line = job.log(Level::Warning, format!("job {id} took the start gate and is adopted"));
            job.process.job_id = Some(id.0);
            job.commit(vec![line]).await
        }
        Some(Observation::Vanished) => vanished(job).await,
        Some(Observation::Ended(report)) => {
            job.process.scheduler_state =
                Some(report.scheduler_state.clone().unwrap_or_else(|| "done".into()));
            job.state.report = Some(*report);
            job.go(Step::Retrieve);
            job.commit(vec![Change::DropTicket(job.process.id)]).await
        }
    }
}

/// Jobs that a scheduler may forget before their process fails.
const FORGOTTEN: u32 = 5;

/// The scheduler forgot the job before it began: it is submitted again, with a fresh token. Should the old one
/// turn up after all, the start gate lets only one of them run.
async fn vanished(job: &mut Calcjob<'_>) -> StepResult {
    let id = job.process.job_id.take().unwrap_or_default();
    job.state.forgotten += 1;
    if job.state.forgotten > FORGOTTEN {
        job.process.job_id = Some(id);
        let marker = Marker::default();
        let computer = job.process.computer.clone().unwrap_or_default();
        job.state.report = Some(calcjob::report(&marker, None, &computer));
        job.go(Step::Retrieve);
        return job.commit(vec![Change::DropTicket(job.process.id)]).await;
    }
    let line =
        job.log(Level::Warning, format!("the scheduler forgot job {id} before it began; submitting anew"));
    job.process.scheduler_state = None;
    job.state.submission = None;
    job.go(Step::Submit);
    job.commit(vec![line, Change::DropTicket(job.process.id)]).await
}

/// Cancels what was submitted, then ends the process.
async fn kill_calcjob(job: &mut Calcjob<'_>) -> StepResult {
    if matches!(job.state.step, Step::Submit | Step::Update)
        && let Some(intent) = job.state.submission.clone()
    {
        if job.process.job_id.is_none() {
            match calcjob::find_job(job, &intent).await? {
                Recovery::Found(id) => job.process.job_id = Some(id.0),
                Recovery::NeverSubmitted => {}
                Recovery::Unclear(reason) => {
                    let since = job.mark_unclear();
                    let status = format!("to be killed, but whether it was submitted is unclear: {reason}");
                    return Err(StepError::Wait(status, calcjob::recovery_delay(since)));
                }
            }
        }
        if let Some(id) = job.process.job_id.clone() {
            cancel(job, JobRef { id: JobId(id), token: intent.token }).await?;
        }
    }
    calcjob::end_killed(job, "killed by the user").await
}

async fn cancel(job: &Calcjob<'_>, reference: JobRef) -> StepResult {
    let (row, via) = job.cx.connect(job.process.computer.as_deref()).await?;
    let scheduler = job.cx.scheduler(&row.config.scheduler).map_err(StepError::Pause)?;
    match scheduler.cancel(&*via, std::slice::from_ref(&reference)).await.pop() {
        None | Some(Ok(())) => Ok(()),
        Some(Err(error)) => {
            let status =
                format!("to be killed, but job {} could not be cancelled yet: {error}", reference.id);
            Err(StepError::Wait(status, HOST_RETRY))
        }
    }
}

/// What becomes of a step's error.
async fn settle(job: &mut Calcjob<'_>, error: StepError) -> StepResult<Then> {
    let step = job.state.step.as_str();
    match error {
        StepError::Store(error) => Ok(store_trouble(job.process.id, &error)),
        StepError::Stopping => Ok(Then::After(STORE_RETRY)),
        StepError::Host(text) => {
            let computer = job.process.computer.clone().unwrap_or_default();
            job.cx.transports.forget(&computer).await;
            let status = format!("{step}: computer `{computer}` can't be reached: {text}; trying again");
            wait(job, status, HOST_RETRY).await
        }
        StepError::Wait(status, delay) => wait(job, status, delay).await,
        StepError::Later(text) => retry(job, text).await,
        StepError::Died(text) => {
            job.state.deaths += 1;
            if job.state.deaths >= DEATHS {
                calcjob::end_excepted(job, format!("{step}: {text} ({DEATHS} times)")).await?;
                return Ok(Then::Ended);
            }
            let line = job.log(Level::Warning, format!("{step}: {text}; trying again"));
            job.commit(vec![line]).await?;
            Ok(Then::After(Duration::from_millis(200)))
        }
        StepError::Pause(text) => pause(job, format!("{step}: {text}")).await,
        StepError::Except(text) => {
            calcjob::end_excepted(job, format!("{step}: {text}")).await?;
            Ok(Then::Ended)
        }
    }
}

async fn wait(job: &mut Calcjob<'_>, status: String, delay: Duration) -> StepResult<Then> {
    if job.process.status.as_deref() != Some(&status) {
        job.process.state = State::Waiting;
        job.process.status = Some(status);
        job.commit(Vec::new()).await?;
    }
    Ok(Then::After(delay))
}

async fn retry(job: &mut Calcjob<'_>, text: String) -> StepResult<Then> {
    let step = job.state.step.as_str();
    let most = job.cx.settings.retry_attempts;
    job.state.attempt += 1;
    if job.state.attempt >= most {
        return pause(job, format!("{step} failed {most} times: {text}")).await;
    }
    let delay = backoff(job.cx.settings.retry_initial, job.state.attempt, job.process.uuid.as_u128());
    job.state.next_try = clock::now().checked_add(delay).ok();
    job.process.state = State::Waiting;
    let attempt = job.state.attempt;
    job.process.status = Some(format!(
        "{step} failed ({attempt} of {most}), next try in {} s: {text}",
        delay.as_secs_f64().round()
    ));
    let line = job.log(Level::Warning, format!("{step} failed ({attempt} of {most}): {text}"));
    job.commit(vec![line]).await?;
    Ok(Then::After(delay))
}

/// Doubles with each failure; up to a tenth more or less, so that many do not come back at once.
fn backoff(initial: Duration, attempt: u32, seed: u128) -> Duration {
    let jitter = (seed.wrapping_mul(u128::from(attempt)) % 21) as f64 / 100.0 - 0.1;
    initial.mul_f64(f64::from(1u32 << (attempt - 1).min(10)) * (1.0 + jitter))
}

async fn pause(job: &mut Calcjob<'_>, reason: String) -> StepResult<Then> {
    let line = job.log(Level::Error, format!("paused: {reason}"));
    job.process.paused = true;
    job.process.state = State::Waiting;
    job.process.status = Some(reason);
    job.commit(vec![line]).await?;
    Ok(Then::Idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_with_little_jitter() {
        for attempt in 1..5 {
            let plain = 20.0 * f64::from(1 << (attempt - 1));
            let delay = backoff(Duration::from_secs(20), attempt, 12345).as_secs_f64();
            assert!((delay / plain - 1.0).abs() <= 0.101, "{delay} {plain}");
        }
    }
}
