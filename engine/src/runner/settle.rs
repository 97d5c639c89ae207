//! What becomes of the error of a calcjob's step.

use std::time::Duration;

use super::{
    drive::{STORE_RETRY, Then, store_trouble},
    retry::retry,
};
use crate::{
    calcjob::{self, Calcjob, StepError, StepResult},
    process::State,
    store::Level,
};

/// How soon a host that could not be reached is tried again.
pub(super) const HOST_RETRY: Duration = Duration::from_secs(10);
/// Deaths of its plugin host that a step may cause.
pub(super) const DEATHS: u32 = 3;

/// What becomes of a step's error.
pub(super) async fn settle(job: &mut Calcjob<'_>, error: StepError) -> StepResult<Then> {
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

pub(super) async fn pause(job: &mut Calcjob<'_>, reason: String) -> StepResult<Then> {
    let line = job.log(Level::Error, format!("paused: {reason}"));
    job.process.paused = true;
    job.process.state = State::Waiting;
    job.process.status = Some(reason);
    job.commit(vec![line]).await?;
    Ok(Then::Idle)
}
