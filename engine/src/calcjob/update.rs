//! *update*: the job is watched by its computer's poller, and by the monitors of the calculation.

use super::{Calcjob, cancel_submission, monitor};
use crate::{
    calcjob::JobWatch,
    scheduler::JobId,
    step::{StepError, StepResult},
};

/// Carries out the decision of a monitor, or asks those that are due if the job was just seen running. Then the
/// job is watched further.
pub(super) async fn run(job: &mut Calcjob<'_>) -> StepResult<JobWatch> {
    if std::mem::take(&mut job.is_running) && job.state.stopped.is_none() {
        monitor::round(job).await?;
    }
    if job.state.stopped.as_ref().is_some_and(|stopped| !stopped.cancelled) {
        let intent = job.open_submission();
        let intent = intent.ok_or_else(|| StepError::Except("the job's submission is unknown".into()))?;
        cancel_submission(job, &intent).await?;
        monitor::cancelled(job).await?;
    }
    watch(job)
}

/// Returns the input with which the poller watches the job.
fn watch(job: &Calcjob<'_>) -> StepResult<JobWatch> {
    let missing = || StepError::Except("the job's id is unknown".into());
    let intent = job.state.submission.as_ref().ok_or_else(missing)?;
    let id = JobId(job.row.job_id.clone().ok_or_else(missing)?);
    Ok(JobWatch {
        process: job.process.id,
        computer: job.row.computer.clone(),
        job: job.job_of(intent, id),
        shown: job.row.scheduler_state.clone(),
        status: job.process.status.clone(),
        look_in: monitor::due_in(job)?,
    })
}
