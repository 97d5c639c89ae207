//! The user's decision about a submission whose outcome stays unclear: it is fenced off, then submitted again with
//! a fresh token. If the old job turns up after all, the start gate lets only one of the two run.

use crate::calcjob::{Calcjob, Checkpoint, Next, Step, adopt, find_job, submission::submit::submitted};
use crate::{
    scheduler::{Fenced, JobId, Recovery, Submission},
    step::{StepError, StepResult},
    store::{Body, Change, Level, Process},
};

/// Records the decision; returns the process's row to store.
///
/// # Errors
/// The reason why there is nothing to decide.
pub(crate) fn request_resubmit(mut process: Process) -> Result<Process, String> {
    let id = process.id;
    if process.state.is_terminal() {
        return Err(format!("process {id} has ended: {}", process.state.as_str()));
    }
    let Body::Calcjob(job) = &mut process.body else {
        return Err(format!("process {id} is not a calcjob: it submits nothing"));
    };
    if process.wishes.kill {
        return Err(format!("process {id} is being killed"));
    }
    let mut state = Checkpoint::read(job.checkpoint.as_deref())?;
    if state.submission.is_none() || state.unclear_since.is_none() {
        let what = process.status.as_deref().unwrap_or(state.step.as_str());
        return Err(format!("the submission of process {id} is not unclear: {what}"));
    }
    state.resubmit = true;
    job.checkpoint = Some(serde_json::to_string(&state).map_err(|error| error.to_string())?);
    Ok(process)
}

/// Takes a last look, fences the submission off, and goes back to *submit*, or to *upload* where the directory is
/// gone.
pub(crate) async fn run(job: &mut Calcjob<'_>) -> StepResult<Next> {
    let Some(intent) = job.state.submission.clone() else {
        return anew(job, Step::Submit, "").await;
    };
    if let Some(id) = last_look(job, &intent).await? {
        job.state.resubmit = false;
        return submitted(job, id).await;
    }
    let (computer, via) = job.cx.connect(job.computer()).await?;
    let scheduler = job.cx.scheduler(&computer.config).map_err(StepError::Pause)?;
    match scheduler.fence(&*via, &intent).await? {
        Fenced::Runs(owner) => {
            job.state.resubmit = false;
            adopt(job, owner).await?;
            Ok(Next::Step)
        }
        Fenced::Yes => anew(job, Step::Submit, &intent.token).await,
        Fenced::Gone => anew(job, Step::Upload, &intent.token).await,
    }
}

/// Returns the job, if it can be seen now.
async fn last_look(job: &Calcjob<'_>, intent: &Submission) -> StepResult<Option<JobId>> {
    let Some(id) = job.row.job_id.clone() else {
        return Ok(match find_job(job, intent).await? {
            Recovery::Found(id) => Some(id),
            Recovery::NeverSubmitted | Recovery::Unclear(_) => None,
        });
    };
    let (computer, via) = job.cx.connect(job.computer()).await?;
    let scheduler = job.cx.scheduler(&computer.config).map_err(StepError::Pause)?;
    let reference = job.job_of(intent, JobId(id));
    let listed = scheduler.status(&*via, std::slice::from_ref(&reference)).await?;
    Ok(listed.contains_key(&reference).then_some(reference.id))
}

async fn anew(job: &mut Calcjob<'_>, step: Step, token: &str) -> StepResult<Next> {
    let id = job.row.job_id.as_ref().map(|id| format!(" (job {id})")).unwrap_or_default();
    job.leave_behind();
    let line = format!(
        "submitted again by the user's decision; the outcome of submission {token}{id} stayed unknown"
    );
    let line = job.log(Level::Warning, line);
    job.state.resubmit = false;
    job.state.unclear_since = None;
    job.row.scheduler_state = None;
    job.go(step);
    job.commit(vec![line, Change::DropTicket(job.process.id)]).await?;
    Ok(Next::Step)
}
