//! Explains an unfinished process: what it waits for, since when, what was retried and why, and what happens next.
//! The sources are its row, its saved state, and what is known about its computer. Pure.

use ferry_plugin_proto::Kind;
use jiff::Timestamp;

use super::{Checkpoint, Step};
use crate::{
    owner::{Context, RetryPlan, parked_status},
    process::State,
    store::{HostRow, Process},
};

/// The explanation of a process's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explanation {
    /// The thing that it waits for, in words.
    pub waiting_for: Option<String>,
    /// The time since which it waits.
    pub since: Option<Timestamp>,
    /// Counted failures of its present step.
    pub attempt: u32,
    /// The number of failures at which it pauses.
    pub max_attempts: u32,
    /// The time of its next attempt.
    pub next_try: Option<Timestamp>,
    /// The last error.
    pub last_error: Option<String>,
    /// The next action, in words.
    pub next: String,
}

/// Returns the reason why a process waits, with what is known about its computer.
pub(crate) fn waiting_reason(cx: &Context, process: &Process) -> Option<String> {
    let label = process.computer().unwrap_or_default();
    let host = cx.store.host(label).unwrap_or_default();
    // Attempts are not reported here.
    let told = explain(process, &host, &RetryPlan::of(&cx.settings, None));
    told.map_or_else(|| process.status.clone(), |told| told.waiting_for)
}

/// Explains a process that has not ended; `None` for one that has.
pub fn explain(process: &Process, host: &HostRow, plan: &RetryPlan) -> Option<Explanation> {
    if process.state.is_terminal() {
        return None;
    }
    let saved = match process.kind {
        Kind::CalcJob => Checkpoint::read(process.checkpoint()).unwrap_or_default(),
        _ => Checkpoint::default(),
    };
    let attempts = &process.attempts;
    let wait = if process.wishes.paused { None } else { host_wait(process, &saved, host) };
    let status = process.status.clone().filter(|_| !process.state.is_terminal());
    let since = if wait.is_some() { host_since(host) } else { saved.unclear_since };
    let probe = host.breaker.as_ref().filter(|_| wait.is_some()).and_then(|breaker| breaker.next_probe);
    Some(Explanation {
        next: next(process, &saved, wait.is_some()),
        waiting_for: join(process, status, wait),
        since: Some(since.unwrap_or(process.modified)),
        attempt: attempts.attempt,
        max_attempts: plan.attempts,
        next_try: attempts
            .next_try
            .or(process.flow().and_then(|flow| flow.wake))
            .or(probe)
            .filter(|_| !process.wishes.paused),
        last_error: attempts.last_error.clone(),
    })
}

/// Returns the reason why its host keeps it waiting, if its next step needs the host.
fn host_wait(process: &Process, saved: &Checkpoint, host: &HostRow) -> Option<String> {
    let is_remote = process.kind == Kind::CalcJob && !matches!(saved.step, Step::Prepare | Step::Parse);
    let is_new = match saved.step {
        Step::Upload => true,
        Step::Submit => saved.submission.is_none(),
        _ => false,
    };
    host.explain(process.computer()?, is_new).filter(|_| is_remote)
}

fn host_since(host: &HostRow) -> Option<Timestamp> {
    let breaker = host.breaker.as_ref().map(|breaker| breaker.since);
    breaker.or(host.disabled.as_ref().map(|disabled| disabled.since))
}

/// Joins status and host trouble: the host's trouble replaces the plain words for it, and stands beside any
/// others.
fn join(process: &Process, status: Option<String>, wait: Option<String>) -> Option<String> {
    let parked = parked_status(process.computer().unwrap_or_default());
    match (status, wait) {
        (Some(status), Some(wait)) if status != parked => Some(format!("{status}; {wait}")),
        (status, wait) => wait.or(status),
    }
}

fn next(process: &Process, saved: &Checkpoint, waits_for_host: bool) -> String {
    let (id, step) = (process.id, saved.step.as_str());
    if process.wishes.kill {
        return "it will be killed as soon as its computer is reachable".into();
    }
    if process.wishes.paused {
        return format!("nothing, until `ferry process play {id}`");
    }
    if waits_for_host {
        return format!("{step}, automatically, as soon as its computer is reachable and enabled");
    }
    if saved.unclear_since.is_some() {
        return format!(
            "its submission is looked up again, until the outcome is known or you decide with `ferry \
             process resubmit {id}`"
        );
    }
    if process.kind == Kind::CalcJob && process.attempts.next_try.is_some() {
        return format!("{step} is retried");
    }
    match (process.kind, process.state) {
        (Kind::CalcJob, _) if saved.step == Step::Update => {
            "its job's state is queried; after its end the files are retrieved".into()
        }
        (Kind::CalcJob, _) => step.into(),
        (_, State::Waiting) => "it continues when what it waits for has happened".into(),
        _ => "its next step".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{Attempts, Body, BreakerState, Disabled, End, JobRow, NodeId, Wishes};

    const PLAN: RetryPlan = RetryPlan { initial: Duration::from_secs(20), attempts: 5 };

    fn process(checkpoint: &Checkpoint, status: &str) -> Process {
        Process {
            id: NodeId(12),
            uuid: uuid::Uuid::nil(),
            process_type: "t.job".into(),
            kind: Kind::CalcJob,
            label: String::new(),
            description: String::new(),
            state: State::Waiting,
            wishes: Wishes::default(),
            plugin: "d".into(),
            status: Some(status.into()),
            end: End::default(),
            version: 0,
            created: Timestamp::UNIX_EPOCH,
            modified: Timestamp::UNIX_EPOCH,
            body: Body::Calcjob(JobRow {
                computer: "daint".into(),
                checkpoint: serde_json::to_string(checkpoint).ok(),
                ..JobRow::default()
            }),
            caller: None,
            call: None,
            root: NodeId(12),
            attempts: Attempts::default(),
            crashes: 0,
        }
    }

    fn down() -> HostRow {
        let breaker = BreakerState {
            state: "open".into(),
            since: Timestamp::UNIX_EPOCH,
            failures: 1,
            error: "connection refused".into(),
            next_probe: Some(Timestamp::MAX),
            needs_user: false,
            waiting: 3,
        };
        HostRow { breaker: Some(breaker), ..HostRow::default() }
    }

    #[test]
    fn a_host_in_trouble_is_told_once_and_beside_what_else_there_is() {
        let upload = Checkpoint { step: Step::Upload, ..Checkpoint::default() };
        let told = explain(&process(&upload, "waiting for computer `daint`"), &down(), &PLAN).unwrap();
        let words = told.waiting_for.unwrap();
        assert!(words.starts_with("waiting for computer `daint`: unreachable since"), "{words}");
        assert_eq!(told.next_try, Some(Timestamp::MAX));
        let update = Checkpoint { step: Step::Update, ..Checkpoint::default() };
        let told = explain(&process(&update, "job running"), &down(), &PLAN).unwrap();
        assert!(told.waiting_for.unwrap().starts_with("job running; waiting for computer `daint`"));
        let parse = Checkpoint { step: Step::Parse, ..Checkpoint::default() };
        assert_eq!(explain(&process(&parse, "parse"), &down(), &PLAN).unwrap().waiting_for.unwrap(), "parse");
    }

    #[test]
    fn a_disabled_computer_keeps_new_work_alone() {
        let disabled = Disabled { since: Timestamp::UNIX_EPOCH, reason: "repair".into() };
        let host = HostRow { disabled: Some(disabled), ..HostRow::default() };
        let told = |step| {
            let saved = Checkpoint { step, ..Checkpoint::default() };
            explain(&process(&saved, "x"), &host, &PLAN).unwrap().waiting_for.unwrap()
        };
        assert!(told(Step::Upload).contains("disabled since"));
        assert_eq!(told(Step::Update), "x");
    }

    #[test]
    fn a_paused_process_is_not_tried_again_by_itself() {
        let attempts = Attempts { attempt: 5, next_try: Some(Timestamp::MAX), ..Attempts::default() };
        let waits = Process { attempts, ..process(&Checkpoint::default(), "x") };
        let told = |process: &Process| explain(process, &HostRow::default(), &PLAN).unwrap();
        assert_eq!(told(&waits).next_try, Some(Timestamp::MAX));
        let paused = told(&Process { wishes: Wishes { paused: true, ..Wishes::default() }, ..waits });
        assert_eq!((paused.next_try, paused.next.contains("process play 12")), (None, true));
    }

    #[test]
    fn attempts_and_the_last_error_are_told() {
        let attempts = Attempts { attempt: 2, last_error: Some("why".into()), ..Attempts::default() };
        let tried = Process { attempts, ..process(&Checkpoint::default(), "x") };
        let told = explain(&tried, &HostRow::default(), &PLAN).unwrap();
        assert_eq!((told.attempt, told.max_attempts, told.last_error.as_deref()), (2, 5, Some("why")));
    }
}
