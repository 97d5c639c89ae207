//! Handles a submission that failed: an end, back-pressure, trouble of the host, or a look at what happened.
//!
//! An end can't be taken back. So a job ends only for words that are known to be final. After unknown words the
//! submission is looked up like one with a lost answer before each further attempt. Each time costs an attempt,
//! and in the end the process pauses.

use ferry_plugin_proto::Exit;

use crate::calcjob::{
    Calcjob, Next,
    checkpoint::{Lack, Refused},
    end::finish,
    submission::submit::recover,
};
use crate::{
    admission::{Held, Lane},
    error::Effect,
    scheduler::{self, Error, ErrorKind, Refusal, Submission},
    step::{StepError, StepResult},
    store::{Change, Level},
};

/// The engine's exit code for a submission that the scheduler refuses for good.
const REFUSED: u32 = 130;
/// AiiDA's exit code for a wrong account.
const INVALID_ACCOUNT: u32 = 131;

/// Goes on after a submission that failed.
pub(crate) async fn failed(job: &mut Calcjob<'_>, intent: Submission, error: Error) -> StepResult<Next> {
    let error = as_the_site_says(job, error)?;
    let words = error.to_string();
    match (error.kind(), error.effect()) {
        (ErrorKind::InvalidAccount, _) => {
            end(job, INVALID_ACCOUNT, "ERROR_SCHEDULER_INVALID_ACCOUNT", words).await
        }
        (ErrorKind::Permanent, _) => end(job, REFUSED, "ERROR_SCHEDULER_REFUSED", words).await,
        (ErrorKind::Busy, Effect::None) => not_now(job, words, None).await,
        (ErrorKind::Full, Effect::None) => not_now(job, words, Some(Lack::Queue)).await,
        (ErrorKind::Quota, Effect::None) => not_now(job, words, Some(Lack::Quota)).await,
        (kind @ (ErrorKind::Busy | ErrorKind::Full | ErrorKind::Quota), Effect::Unknown) => {
            let lack = match kind {
                ErrorKind::Full => Some(Lack::Queue),
                ErrorKind::Quota => Some(Lack::Quota),
                _ => None,
            };
            job.state.refused = Some(Refused { words, busy: true, lack });
            look_up(job, intent).await
        }
        (ErrorKind::Unrecognized, _) => {
            job.process.attempts.last_error = Some(words.clone());
            let line = format!(
                "the scheduler refused with a message that ferry does not know: {words}; checking whether the job \
                 was accepted"
            );
            job.state.refused = Some(Refused { words, busy: false, lack: None });
            let line = job.log(Level::Warning, line);
            job.commit(vec![line]).await?;
            look_up(job, intent).await
        }
        (kind, _) => {
            let is_down = *kind == ErrorKind::Unreachable;
            let names_cluster = !intent.extras.clusters.is_empty();
            let next = recover(job, intent).await?;
            if !is_down || job.state.submission.is_some() {
                return Ok(next);
            }
            // It is known not to have happened: once the host or its scheduler is back, it is tried again. A
            // controller that is down concerns only jobs of its own cluster.
            let is_of_cluster = names_cluster || job.cx.has_other_clusters(job.computer());
            if is_of_cluster && !scheduler::is_of_link(&error) {
                return not_now(job, error.explained(), None).await;
            }
            Err(error.into())
        }
    }
}

/// Looks up a submission whose outcome is not known. If it never happened, the refusal before it counts.
pub(crate) async fn look_up(job: &mut Calcjob<'_>, intent: Submission) -> StepResult<Next> {
    let next = recover(job, intent).await?;
    Ok(settle(job).await?.unwrap_or(next))
}

/// Acts on a refusal that was looked up, when the job is known not to be accepted. Returns `None` if there was no
/// refusal.
pub(crate) async fn settle(job: &mut Calcjob<'_>) -> StepResult<Option<Next>> {
    if job.state.submission.is_some() {
        return Ok(None);
    }
    match job.state.refused.take() {
        None => Ok(None),
        Some(refused) if refused.busy => not_now(job, refused.words, refused.lack).await.map(Some),
        // Costs an attempt, in the same commit that clears the refusal.
        Some(refused) => Err(StepError::Later(format!(
            "{} (nothing was submitted; ferry does not know this message: if it means \"not now\" or \"never\", add \
             it to `refusals` of computer `{}`)",
            refused.words,
            job.computer()
        ))),
    }
}

/// Returns the error as the site's own words classify it. They do not apply to a lost answer.
fn as_the_site_says(job: &Calcjob<'_>, error: Error) -> StepResult<Error> {
    let is_answer = match error.kind() {
        ErrorKind::Permanent
        | ErrorKind::InvalidAccount
        | ErrorKind::Busy
        | ErrorKind::Full
        | ErrorKind::Quota => error.effect() == Effect::None,
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

async fn end(job: &mut Calcjob<'_>, status: u32, label: &str, words: String) -> StepResult<Next> {
    let exit = Exit { status, label: label.into(), message: words };
    finish(job, Some(&exit), Vec::new()).await?;
    // The reason for the hold is gone: those who waited with it try now.
    job.cx.holds.passed(job.process.id);
    Ok(Next::Ended)
}

/// Gives the ticket back. The gate learns from a full queue. For any other reason, the process waits for its turn
/// to try again, and lets others pass.
async fn not_now(job: &mut Calcjob<'_>, words: String, lack: Option<Lack>) -> StepResult<Next> {
    let text = match lack {
        Some(Lack::Queue) => format!("the scheduler accepts no more jobs now: {words}"),
        Some(Lack::Quota) => format!(
            "the scheduler accepts no more jobs of this account, partition and quality of service now: {words}; \
             ferry keeps trying, which does not count as a retry"
        ),
        None => format!(
            "the scheduler does not accept the job now: {words}; ferry keeps trying, which does not count as a retry"
        ),
    };
    let held = (lack != Some(Lack::Queue)).then(|| Held { words, quota: lack.is_some() });
    // A process that is refused for days does not repeat it in the report.
    let line = (held.is_none() || job.state.held != held).then(|| job.log(Level::Report, text.clone()));
    job.state.submission = None;
    job.state.held.clone_from(&held);
    job.process.wait(text);
    job.commit(line.into_iter().chain([Change::DropTicket(job.process.id)]).collect()).await?;
    let Some(held) = held else {
        job.cx.holds.forget(job.process.id);
        return Ok(Next::Gate { refused: true });
    };
    job.cx.holds.hold(job.process.id, lane(job)?, &held);
    Ok(Next::Hold)
}

/// Returns the settings that the job has in common with those that are refused together with it.
fn lane(job: &Calcjob<'_>) -> StepResult<Lane> {
    let options = job.options()?;
    Ok(Lane {
        computer: job.computer().to_owned(),
        queue_name: options.queue_name,
        account: options.account,
        qos: options.qos,
        custom: options.custom_scheduler_commands,
    })
}

/// Returns whether a process may try to submit: no other is held for the same reason, or its turn has come.
pub(crate) async fn is_turn(job: &mut Calcjob<'_>) -> StepResult<bool> {
    let is_new = job.state.held.is_none();
    if job.cx.holds.admits(job.process.id, &lane(job)?, job.state.held.as_ref(), job.grant.is_some()) {
        return Ok(true);
    }
    if job.grant.take().is_some() {
        // Its permission goes to others.
        job.cx.gates.forget(job.computer(), job.process.id);
    }
    if is_new {
        let status = "waiting behind others with the same account, partition and quality of service: the scheduler \
             accepts no more of their jobs now";
        if job.process.status.as_deref() != Some(status) {
            job.process.wait(status);
            job.commit(Vec::new()).await?;
        }
    }
    Ok(false)
}
