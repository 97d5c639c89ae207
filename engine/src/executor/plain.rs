//! Errors of functions and workflows. Both may run twice, so a transient failure is retried with back-off, as
//! often as a step of a job.

use std::time::Duration;

use crate::{
    clock,
    executor::{
        advance::{STORE_RETRY, Then, end_plain, store_trouble},
        settle::DEATHS,
    },
    owner::{Context, RetryPlan},
    process::{Failures, State},
    step::StepError,
    store::{Change, Level, NodeId, Process, clock_words},
};

/// Time until a step is retried during which a plugin host died.
const AFTER_A_DEATH: Duration = Duration::from_millis(200);

/// Handles an error of a process: retries, pauses or excepts it.
pub(crate) async fn settle(cx: &Context, id: NodeId, error: StepError) -> Then {
    let process = match cx.store.process(id) {
        Ok(process) => process,
        Err(error) => return store_trouble(id, error),
    };
    match error {
        StepError::Store(error) => store_trouble(id, error),
        StepError::Stopping | StepError::Parked => Then::After(STORE_RETRY),
        StepError::Later(text)
        | StepError::Host(text)
        | StepError::Scheduler(text)
        | StepError::Full(text)
        | StepError::Wait(text, _) => retry(cx, process, text).await,
        StepError::Died(text) => died(cx, process, text).await,
        StepError::Except(text) | StepError::Pause(text) => {
            end_plain(cx, process, State::Excepted, text).await
        }
    }
}

async fn retry(cx: &Context, mut process: Process, text: String) -> Then {
    let plan = RetryPlan::of(&cx.settings, None);
    let mut failures = Failures::read(process.checkpoint.as_deref());
    failures.attempt += 1;
    failures.last_error = Some(text.clone());
    let (attempt, most) = (failures.attempt, plan.attempts);
    let (line, then) = if attempt >= most {
        process.paused = true;
        failures.next_try = None;
        process.status = Some(format!("failed {most} times: {text}"));
        (format!("paused: failed {most} times: {text}"), Then::Idle)
    } else {
        let delay = plan.delay(attempt, process.uuid.as_u128());
        failures.next_try = clock::steady().checked_add(delay).ok();
        failures.planned = Some(delay);
        let next = failures.next_try.map(clock_words).unwrap_or_default();
        process.status = Some(format!("failed ({attempt} of {most}), next try {next}: {text}"));
        (format!("failed ({attempt} of {most}): {text}; next try {next}"), Then::After(delay))
    };
    put_off(cx, process, &failures, line, then).await
}

async fn died(cx: &Context, process: Process, text: String) -> Then {
    let mut failures = Failures::read(process.checkpoint.as_deref());
    failures.deaths += 1;
    if failures.deaths >= DEATHS {
        return end_plain(cx, process, State::Excepted, format!("{text} ({DEATHS} times)")).await;
    }
    put_off(cx, process, &failures, format!("{text}; trying again"), Then::After(AFTER_A_DEATH)).await
}

async fn put_off(
    cx: &Context,
    mut process: Process,
    failures: &Failures,
    message: String,
    then: Then,
) -> Then {
    let id = process.id;
    let mut changes = vec![Change::Log { process: id, level: Level::Warning, message }];
    if process.state == State::Created {
        process.state = State::Running;
        changes.push(Change::Update(Box::new(process.clone())));
        process.version += 1;
    }
    process.state = State::Waiting;
    // The next owner finds it by its timer, as it finds other waiting processes.
    process.wake = Some(failures.next_try.unwrap_or_else(clock::now));
    process.checkpoint = Some(failures.write(process.checkpoint.as_deref()));
    changes.push(Change::Update(Box::new(process)));
    match cx.store.commit(changes).await {
        Ok(_) => then,
        Err(error) => store_trouble(id, error),
    }
}
