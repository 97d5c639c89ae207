//! A process's own failures: exponential back-off with jitter, stored, until its attempts are used up.

use std::time::Duration;

use super::{drive::Then, settle::pause};
use crate::{
    calcjob::{Calcjob, StepResult},
    clock,
    process::State,
    store::Level,
};

/// How long a retry that was planned before is still off.
pub(super) fn not_yet(job: &Calcjob<'_>) -> Option<Duration> {
    let wait = job.state.next_try?.duration_since(clock::now());
    Duration::try_from(wait).ok().filter(|wait| !wait.is_zero())
}

pub(super) async fn retry(job: &mut Calcjob<'_>, text: String) -> StepResult<Then> {
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
