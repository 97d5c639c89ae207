//! What becomes of a submission that failed: an end, back-pressure, the host's trouble, or a look at what happened.
//!
//! An end can't be taken back. So a job ends only for words that are known to be final; words that nobody knows are
//! looked up like a lost answer before each further try, use up a try, and let the process pause in the end.

use std::time::Duration;

use ferry_plugin_proto::Exit;

use super::{Calcjob, Next, StepError, StepResult, checkpoint::Refused, end::finish_with, submit::recover};
use crate::{
    error::Effect,
    process::State,
    scheduler::{self, Error, ErrorKind, Refusal, Submission},
    store::{Change, Level},
};

/// The engine's exit code for a submission that the scheduler refuses for good.
const REFUSED: u32 = 130;
/// AiiDA's, for a wrong account.
const INVALID_ACCOUNT: u32 = 131;

/// Goes on after a submission that failed.
pub(super) async fn failed(job: &mut Calcjob<'_>, intent: Submission, error: Error) -> StepResult<Next> {
    let error = as_the_site_says(job, error)?;
    let words = error.to_string();
    match (error.kind(), error.effect()) {
        (ErrorKind::Permanent, _) => end(job, words).await,
        (ErrorKind::Busy, Effect::None) => back_pressure(job, &words).await,
        (ErrorKind::Busy, Effect::Unknown) => {
            job.state.refused = Some(Refused { words, busy: true });
            look_up(job, intent).await
        }
        (ErrorKind::Unrecognized, _) => {
            job.state.last_error = Some(words.clone());
            let line = format!(
                "the scheduler refused in words that ferry does not know: {words}; looking whether it is in"
            );
            job.state.refused = Some(Refused { words, busy: false });
            let line = job.log(Level::Warning, line);
            job.commit(vec![line]).await?;
            look_up(job, intent).await
        }
        (kind, _) => {
            let is_down = *kind == ErrorKind::Unreachable;
            let next = recover(job, intent).await?;
            // Known not to have happened: once the host or its scheduler is back, it is tried anew.
            if is_down && job.state.submission.is_none() { Err(down(job, error)) } else { Ok(next) }
        }
    }
}

/// How soon a submission is tried again whose cluster did not answer, while jobs are in others.
const CLUSTER_RETRY: Duration = Duration::from_secs(20);

/// What a host's trouble means that kept a job from being submitted.
fn down(job: &Calcjob<'_>, error: Error) -> StepError {
    // The controller of one cluster is no trouble of the others' jobs.
    if job.cx.has_other_clusters(job.computer()) && !scheduler::is_of_link(&error) {
        return StepError::Wait(format!("submitting waits: {}", error.explained()), CLUSTER_RETRY);
    }
    error.into()
}

/// Looks up a submission whose outcome is not known. If it never happened, the refusal before it counts.
pub(super) async fn look_up(job: &mut Calcjob<'_>, intent: Submission) -> StepResult<Next> {
    let next = recover(job, intent).await?;
    Ok(settle(job).await?.unwrap_or(next))
}

/// Does what a refusal asks for that was looked up: the job is known not to be in. `None`: there was no refusal.
pub(super) async fn settle(job: &mut Calcjob<'_>) -> StepResult<Option<Next>> {
    if job.state.submission.is_some() {
        return Ok(None);
    }
    match job.state.refused.take() {
        None => Ok(None),
        Some(refused) if refused.busy => back_pressure(job, &refused.words).await.map(Some),
        // Uses up a try, in the same commit that forgets the refusal.
        Some(refused) => Err(StepError::Later(format!(
            "{} (nothing was submitted, and ferry does not know what these words mean; if they mean \"not now\" or \
             \"never\", put them under `refusals` of computer `{}`)",
            refused.words,
            job.computer()
        ))),
    }
}

/// The error, with a site's own words for what it means. Nobody can tell so what became of a lost answer.
fn as_the_site_says(job: &Calcjob<'_>, error: Error) -> StepResult<Error> {
    let is_answer = match error.kind() {
        ErrorKind::Permanent | ErrorKind::Busy => error.effect() == Effect::None,
        ErrorKind::Unrecognized => true,
        _ => false,
    };
    if !is_answer {
        return Ok(error);
    }
    let refusals = job.cx.store.computer(job.computer())?.config.refusals;
    let words = error.to_string();
    Ok(match refusals.meaning(&words) {
        None => error,
        Some(Refusal::Busy) => Error::new(ErrorKind::Busy, "submit").message(words).later(),
        Some(Refusal::Final) => Error::new(ErrorKind::Permanent, "submit").message(words),
    })
}

async fn end(job: &mut Calcjob<'_>, words: String) -> StepResult<Next> {
    let account = words.to_lowercase().contains("invalid account");
    let (status, label) = if account {
        (INVALID_ACCOUNT, "ERROR_SCHEDULER_INVALID_ACCOUNT")
    } else {
        (REFUSED, "ERROR_SCHEDULER_REFUSED")
    };
    finish_with(job, Exit { status, label: label.into(), message: words }, Vec::new()).await?;
    Ok(Next::Ended)
}

/// The ticket goes back, and the gate learns.
async fn back_pressure(job: &mut Calcjob<'_>, words: &str) -> StepResult<Next> {
    let text = format!("the scheduler takes no more jobs now: {words}");
    job.state.submission = None;
    job.process.state = State::Waiting;
    job.process.status = Some(text.clone());
    let line = job.log(Level::Report, text);
    job.commit(vec![line, Change::DropTicket(job.process.id)]).await?;
    Ok(Next::Gate { refused: true })
}
