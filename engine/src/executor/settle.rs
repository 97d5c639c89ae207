//! Handling of errors in the steps of a calcjob.

use std::time::Duration;

use crate::{
    calcjob::{self, Calcjob},
    executor::{
        advance::{STORE_RETRY, Then, store_trouble},
        retry::{retry, retry_later},
    },
    owner::{LONGEST, parked_status},
    process::State,
    step::{StepError, StepResult},
    store::Level,
};

/// Time until a step is retried whose host was in trouble and is well again.
pub(crate) const HOST_RETRY: Duration = Duration::from_secs(2);
/// Longest time until a cluster that does not answer is asked again.
const CLUSTER_LONGEST: Duration = Duration::from_secs(60);
/// Failures of one step that look like the host's although it answers all others.
const HOST_FAILURES: u32 = 5;
/// Number of plugin-host deaths that a step may cause.
pub(crate) const DEATHS: u32 = 3;

/// Handles the error of a step: retries it, or parks, pauses or excepts the process.
pub(crate) async fn settle(job: &mut Calcjob<'_>, error: StepError) -> StepResult<Then> {
    let step = job.state.step.as_str();
    match error {
        StepError::Store(error) => Ok(store_trouble(job.process.id, error)),
        StepError::Stopping => Ok(Then::After(STORE_RETRY)),
        StepError::Host(text) => host_failed(job, text, false).await,
        // No breaker for all because of one cluster.
        StepError::Scheduler(text) if is_elsewhere(job) => retry_later(job, text, CLUSTER_LONGEST).await,
        StepError::Scheduler(text) => host_failed(job, text, true).await,
        StepError::Parked => park(job).await,
        StepError::Full(text) => full(job, text).await,
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

/// Handles a failure of the host, which costs no attempt. Only a step that fails time and again, while the host
/// answers the probes of others, counts as failed itself. A scheduler may be in trouble for long while its host
/// answers; no step is to blame for that.
async fn host_failed(job: &mut Calcjob<'_>, text: String, is_of_scheduler: bool) -> StepResult<Then> {
    let computer = job.computer().to_owned();
    let step = job.state.step.as_str();
    job.cx.host_failed(&computer, job.epoch, &text).await;
    job.state.host_failures += 1;
    if job.state.host_failures.is_multiple_of(HOST_FAILURES) {
        if is_of_scheduler {
            return retry_later(job, text, CLUSTER_LONGEST).await;
        }
        return retry(job, format!("{text} ({HOST_FAILURES} times, while computer `{computer}` answers)"))
            .await;
    }
    let line = job.log(Level::Warning, format!("{step}: computer `{computer}`: {text}; costs no attempt"));
    job.state.last_error = Some(text);
    job.process.state = State::Waiting;
    job.process.status = Some(parked_status(&computer));
    job.commit(vec![line]).await?;
    park(job).await
}

/// Returns whether a calcjob's trouble may concern one cluster among several.
fn is_elsewhere(job: &Calcjob<'_>) -> bool {
    let names_cluster =
        job.state.submission.as_ref().is_some_and(|submission| !submission.extras.clusters.is_empty());
    names_cluster || job.cx.has_other_clusters(job.computer())
}

/// Parks the process, without a timer, until the computer is well and enabled.
async fn park(job: &mut Calcjob<'_>) -> StepResult<Then> {
    let computer = job.computer().to_owned();
    let status = parked_status(&computer);
    if job.process.status.as_deref() != Some(&status) || job.process.state == State::Created {
        job.process.state = State::Waiting;
        job.process.status = Some(status);
        job.commit(Vec::new()).await?;
    }
    // Last, so that a wake that comes at once finds everything written.
    match job.cx.health.park(&computer, job.process.id, job.is_new_work()) {
        true => Ok(Then::Idle),
        false => Ok(Then::After(HOST_RETRY)),
    }
}

/// Handles a lack of space on the computer. It is retried without a limit, since it ends when space is freed.
async fn full(job: &mut Calcjob<'_>, text: String) -> StepResult<Then> {
    let text = format!(
        "no space or quota is left on computer `{}`: {text}; it goes on by itself when there is room",
        job.computer()
    );
    retry_later(job, text, LONGEST).await
}

async fn wait(job: &mut Calcjob<'_>, status: String, delay: Duration) -> StepResult<Then> {
    if job.process.status.as_deref() != Some(&status) {
        job.process.state = State::Waiting;
        job.process.status = Some(status);
        job.commit(Vec::new()).await?;
    }
    Ok(Then::After(delay))
}

/// Pauses the process: a person must act.
pub(crate) async fn pause(job: &mut Calcjob<'_>, reason: String) -> StepResult<Then> {
    let line = job.log(Level::Error, format!("paused: {reason}"));
    job.process.paused = true;
    job.process.state = State::Waiting;
    job.process.status = Some(reason);
    job.commit(vec![line]).await?;
    Ok(Then::Idle)
}
