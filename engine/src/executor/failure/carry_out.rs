//! Carries verdicts out: the row's change, the line of the report, and the time of the next try.

use std::time::Duration;

use super::{Case, JobStep, Noted, STORE_RETRY, Verdict};
use crate::{
    calcjob::{self, Calcjob},
    clock,
    executor::advance::{Then, except_plain, store_trouble},
    owner::{Context, RetryPlan, parked_status},
    process::State,
    step::{StepError, StepResult},
    store::{Change, Level, NodeId, Process},
};

/// Time until a step is retried whose host was in trouble and is well again.
const HOST_RETRY: Duration = Duration::from_secs(2);

/// Handles the error of a calcjob's step.
pub(in crate::executor) async fn calcjob_failed(job: &mut Calcjob<'_>, error: StepError) -> Then {
    let verdict = judge_calcjob(job, error).await;
    match carry_out(job, verdict).await {
        Ok(then) => then,
        Err(StepError::Store(error)) => store_trouble(job.process.id, error),
        Err(_) => Then::After(STORE_RETRY),
    }
}

/// Handles the error of a function or a workflow.
pub(in crate::executor) async fn failed(cx: &Context, id: NodeId, error: StepError) -> Then {
    // The step may have changed its row.
    let process = match cx.store.process(id) {
        Ok(process) => process,
        Err(error) => return store_trouble(id, error),
    };
    let case = Case {
        job: None,
        attempts: &process.attempts,
        plan: RetryPlan::of(&cx.settings, None),
        seed: process.uuid.as_u128(),
        now: clock::steady(),
    };
    match case.verdict(error) {
        Verdict::Stuck(error) => store_trouble(id, error),
        Verdict::Again(delay) => Then::After(delay),
        Verdict::Except(text) => except_plain(cx, process, text).await,
        Verdict::Retry { noted, status, delay } => {
            put_off(cx, process, Then::After(delay), |process| {
                process.retry(noted.attempts, status, noted.line)
            })
            .await
        }
        Verdict::Pause { attempts, reason } => {
            put_off(cx, process, Then::Idle, |process| {
                process.wait_until(clock::now());
                process.attempts = attempts;
                process.pause(Level::Warning, reason)
            })
            .await
        }
        // Of calcjobs alone.
        Verdict::Park(_) => Then::After(STORE_RETRY),
        Verdict::Wait { delay, .. } => Then::After(delay),
    }
}

async fn judge_calcjob(job: &Calcjob<'_>, error: StepError) -> Verdict {
    let names_cluster =
        job.state.submission.as_ref().is_some_and(|submission| !submission.extras.clusters.is_empty());
    let step = JobStep {
        name: job.state.step.as_str(),
        computer: job.computer(),
        is_elsewhere: names_cluster || job.cx.has_other_clusters(job.computer()),
    };
    if let Some(text) = step.doubts_host(&error) {
        job.cx.host_failed(step.computer, job.epoch, text).await;
    }
    let row = job.cx.store.computer(job.computer()).ok();
    let case = Case {
        job: Some(step),
        attempts: &job.process.attempts,
        plan: RetryPlan::of(&job.cx.settings, row.as_ref().map(|row| &row.config)),
        seed: job.process.uuid.as_u128(),
        now: clock::steady(),
    };
    case.verdict(error)
}

async fn carry_out(job: &mut Calcjob<'_>, verdict: Verdict) -> StepResult<Then> {
    match verdict {
        Verdict::Stuck(error) => Err(StepError::Store(error)),
        Verdict::Again(delay) => Ok(Then::After(delay)),
        Verdict::Park(noted) => park(job, noted).await,
        Verdict::Wait { status, delay } => {
            if job.process.status.as_deref() != Some(&status) {
                job.process.wait(status);
                job.commit(Vec::new()).await?;
            }
            Ok(Then::After(delay))
        }
        Verdict::Retry { noted, status, delay } => {
            let line = job.process.retry(noted.attempts, status, noted.line);
            job.commit(vec![line]).await?;
            Ok(Then::After(delay))
        }
        Verdict::Pause { attempts, reason } => {
            job.process.attempts = attempts;
            job.process.wait(&*reason);
            let line = job.process.pause(Level::Error, reason);
            job.commit(vec![line]).await?;
            Ok(Then::Idle)
        }
        Verdict::Except(text) => calcjob::end_excepted(job, text).await.map(|()| Then::Ended),
    }
}

/// Parks a calcjob, without a timer, until its computer is well and enabled.
async fn park(job: &mut Calcjob<'_>, noted: Option<Noted>) -> StepResult<Then> {
    let computer = job.computer().to_owned();
    let status = parked_status(&computer);
    let is_news = noted.is_some()
        || job.process.status.as_deref() != Some(&status)
        || job.process.state == State::Created;
    if is_news {
        let line = noted.map(|noted| {
            job.process.attempts = noted.attempts;
            job.log(Level::Warning, noted.line)
        });
        job.process.wait(status);
        job.commit(line.into_iter().collect()).await?;
    }
    // Last, so that a wake that comes at once finds everything written.
    match job.cx.health.park(&computer, job.process.id, job.is_new_work()) {
        true => Ok(Then::Idle),
        false => Ok(Then::After(HOST_RETRY)),
    }
}

/// Stores that a function or a workflow waits after a failure, as `wait` says.
async fn put_off(
    cx: &Context,
    mut process: Process,
    then: Then,
    wait: impl FnOnce(&mut Process) -> Change,
) -> Then {
    let mut changes: Vec<Change> = process.start().into_iter().collect();
    changes.push(wait(&mut process));
    changes.push(process.update());
    match cx.store.commit(changes).await {
        Ok(_) => then,
        Err(error) => store_trouble(process.id, error),
    }
}
