//! A process's own failures: exponential back-off with jitter, stored, until its attempts are used up.

use std::time::Duration;

use crate::{
    calcjob::Calcjob,
    clock,
    executor::{advance::Then, settle::pause},
    owner::RetryPlan,
    process::State,
    step::StepResult,
    store::{Level, clock_words},
};

/// Handles a failure that uses up an attempt.
pub(crate) async fn retry(job: &mut Calcjob<'_>, text: String) -> StepResult<Then> {
    let step = job.state.step.as_str();
    let plan = plan(job);
    job.state.attempt += 1;
    let (attempt, most) = (job.state.attempt, plan.attempts);
    if attempt >= most {
        job.state.last_error = Some(text.clone());
        return pause(job, format!("{step} failed {most} times: {text}")).await;
    }
    let line = format!("{step} failed ({attempt} of {most})");
    put_off(job, line, text, plan.delay(attempt, job.process.uuid.as_u128())).await
}

/// Handles a failure that is retried without a limit, ever more rarely.
pub(crate) async fn retry_later(job: &mut Calcjob<'_>, text: String, longest: Duration) -> StepResult<Then> {
    job.state.host_failures += 1;
    let delay = plan(job).delay(job.state.host_failures, job.process.uuid.as_u128()).min(longest);
    put_off(job, job.state.step.as_str().to_owned(), text, delay).await
}

fn plan(job: &Calcjob<'_>) -> RetryPlan {
    let computer = job.process.computer.as_deref().and_then(|label| job.cx.store.computer(label).ok());
    RetryPlan::of(&job.cx.settings, computer.as_ref().map(|row| &row.config))
}

async fn put_off(job: &mut Calcjob<'_>, what: String, text: String, delay: Duration) -> StepResult<Then> {
    let next_try = clock::steady().checked_add(delay).ok();
    job.state.next_try = next_try;
    job.state.planned = Some(delay);
    job.process.state = State::Waiting;
    let next = next_try.map(clock_words).unwrap_or_default();
    job.process.status = Some(format!("{what}, next try {next}: {text}"));
    let line = job.log(Level::Warning, format!("{what}: {text}; next try {next}"));
    job.state.last_error = Some(text);
    job.commit(vec![line]).await?;
    Ok(Then::After(delay))
}
