//! Failures of steps: one verdict for calcjobs, functions and workflows. Pure: it reads no store and no clock.
//! `carry_out.rs` makes the changes that a verdict asks for.
//!
//! A failure of the process itself uses up an attempt. After the last one the process pauses. Trouble of a computer,
//! a scheduler or a disk uses up none, and is tried again until it has passed. Functions and workflows use no
//! computer, so all that may pass uses up an attempt there.

mod carry_out;

use std::time::Duration;

use jiff::Timestamp;

pub(super) use carry_out::{calcjob_failed, failed};

use crate::{
    owner::{LONGEST, RetryPlan},
    step::StepError,
    store::{self, Attempts, clock_words},
};

/// Time until a step whose commit failed is run again.
pub(crate) const STORE_RETRY: Duration = Duration::from_secs(5);
/// Time until a step is run again during which a plugin host died.
const AFTER_A_DEATH: Duration = Duration::from_millis(200);
/// Longest time until a cluster that does not answer is asked again.
const CLUSTER_LONGEST: Duration = Duration::from_secs(60);
/// Failures of one step that look like the host's although it answers all others.
const HOST_FAILURES: u32 = 5;
/// Number of plugin-host deaths that a step may cause.
const DEATHS: u32 = 3;

/// The consequence of a failure.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The store can't be read or written: nothing is recorded, and the step is run again when it can.
    Stuck(store::Error),
    /// The step is run again after this time. Nothing is recorded.
    Again(Duration),
    /// It waits, without a timer, until its computer is well and enabled.
    Park(Option<Noted>),
    /// It waits for something that is no failure, and then tries again.
    Wait {
        /// The thing that it waits for.
        status: String,
        /// Time until the next try.
        delay: Duration,
    },
    /// It tries again later.
    Retry {
        /// The attempts with this one, and the line for the report.
        noted: Noted,
        /// The new status; `None`: it keeps the one it has.
        status: Option<String>,
        /// Time until the next try.
        delay: Duration,
    },
    /// A person must act.
    Pause {
        /// The attempts with this one.
        attempts: Attempts,
        /// The reason and the next step.
        reason: String,
    },
    /// It ends as excepted, with this message.
    Except(String),
}

/// The record of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The attempts with this one.
    pub(crate) attempts: Attempts,
    /// The line for the report.
    pub(crate) line: String,
}

/// The step of a calcjob that failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobStep<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Label of the computer.
    pub(crate) computer: &'a str,
    /// True if its trouble may concern one cluster among several.
    pub(crate) is_elsewhere: bool,
}

/// All that a verdict depends on, but for the error.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// The step of a calcjob; `None` for a function or a workflow.
    pub(crate) job: Option<JobStep<'a>>,
    /// The attempts before.
    pub(crate) attempts: &'a Attempts,
    pub(crate) plan: RetryPlan,
    /// Varies delays, so that many processes do not return at once.
    pub(crate) seed: u128,
    /// The time by [`crate::clock::steady`].
    pub(crate) now: Timestamp,
}

impl<'a> JobStep<'a> {
    /// Returns the text about an error that puts the whole computer in doubt, so that its breaker hears of it. One
    /// cluster among several does not.
    pub(crate) fn doubts_host<'e>(&self, error: &'e StepError) -> Option<&'e str> {
        match error {
            StepError::Host(text) => Some(text),
            StepError::Scheduler(text) if !self.is_elsewhere => Some(text),
            _ => None,
        }
    }
}

impl<'a> Case<'a> {
    /// Decides what follows from an error.
    pub(crate) fn verdict(&self, error: StepError) -> Verdict {
        match (error, self.job) {
            (StepError::Store(error), _) => Verdict::Stuck(error),
            (StepError::Stopping, _) | (StepError::Parked, None) => Verdict::Again(STORE_RETRY),
            (StepError::Parked, Some(_)) => Verdict::Park(None),
            (StepError::Host(text), Some(job)) => self.host_failed(job, text, false),
            (StepError::Scheduler(text), Some(job)) if job.is_elsewhere => {
                self.retry_later(self.attempts.clone(), text, CLUSTER_LONGEST)
            }
            (StepError::Scheduler(text), Some(job)) => self.host_failed(job, text, true),
            (StepError::Full(text), Some(job)) => self.full(job, &text),
            (StepError::Wait(status, delay), Some(_)) => Verdict::Wait { status, delay },
            (
                StepError::Later(text)
                | StepError::Host(text)
                | StepError::Scheduler(text)
                | StepError::Full(text)
                | StepError::Wait(text, _),
                _,
            ) => self.retry(self.attempts.clone(), text),
            (StepError::Died(text), _) => self.died(&text),
            (StepError::Pause(text), Some(_)) => {
                Verdict::Pause { attempts: self.attempts.clone(), reason: self.said(&text) }
            }
            (StepError::Pause(text) | StepError::Except(text), _) => Verdict::Except(self.said(&text)),
        }
    }

    /// Returns a text with the calcjob's step in front.
    fn said(&self, text: &str) -> String {
        self.job.map_or_else(|| text.to_owned(), |job| format!("{}: {text}", job.name))
    }

    /// Decides about a failure that uses up an attempt.
    fn retry(&self, mut attempts: Attempts, text: String) -> Verdict {
        attempts.attempt += 1;
        let (attempt, most) = (attempts.attempt, self.plan.attempts);
        let step = self.job.map(|job| format!("{} ", job.name)).unwrap_or_default();
        if attempt < most {
            let what = format!("{step}failed ({attempt} of {most})");
            return self.put_off(attempts, &what, text, self.plan.delay(attempt, self.seed));
        }
        let reason = format!("{step}failed {most} times: {text}");
        attempts.next_try = None;
        attempts.last_error = Some(text);
        Verdict::Pause { attempts, reason }
    }

    /// Decides about a failure of a calcjob that is retried without a limit, ever more rarely.
    fn retry_later(&self, mut attempts: Attempts, text: String, longest: Duration) -> Verdict {
        attempts.host_failures += 1;
        let delay = self.plan.delay(attempts.host_failures, self.seed).min(longest);
        let step = self.job.map(|job| job.name).unwrap_or_default();
        self.put_off(attempts, step, text, delay)
    }

    fn put_off(&self, mut attempts: Attempts, what: &str, text: String, delay: Duration) -> Verdict {
        attempts.next_try = self.now.checked_add(delay).ok();
        attempts.planned = Some(delay);
        let next = attempts.next_try.map(clock_words).unwrap_or_default();
        let status = Some(format!("{what}, next try {next}: {text}"));
        let line = format!("{what}: {text}; next try {next}");
        attempts.last_error = Some(text);
        Verdict::Retry { noted: Noted { attempts, line }, status, delay }
    }

    /// Decides about a failure of the host, which uses up no attempt. Only a step that fails time and again, while
    /// the host answers the probes of others, counts as failed itself. A scheduler may be in trouble for long while
    /// its host answers; no step is to blame for that.
    fn host_failed(&self, job: JobStep<'_>, text: String, is_of_scheduler: bool) -> Verdict {
        let mut attempts = self.attempts.clone();
        attempts.host_failures += 1;
        let JobStep { name, computer, .. } = job;
        if !attempts.host_failures.is_multiple_of(HOST_FAILURES) {
            let line = format!("{name}: computer `{computer}`: {text}; does not count as a retry");
            attempts.last_error = Some(text);
            return Verdict::Park(Some(Noted { attempts, line }));
        }
        if is_of_scheduler {
            return self.retry_later(attempts, text, CLUSTER_LONGEST);
        }
        let text = format!("{text} ({HOST_FAILURES} times, although computer `{computer}` answers)");
        self.retry(attempts, text)
    }

    /// Decides about a lack of space on the computer. It is retried without a limit, since it ends when space is
    /// freed.
    fn full(&self, job: JobStep<'_>, text: &str) -> Verdict {
        let text = format!(
            "no space or quota is left on computer `{}`: {text}; it continues when there is space",
            job.computer
        );
        self.retry_later(self.attempts.clone(), text, LONGEST)
    }

    /// Decides about the death of a plugin host.
    fn died(&self, text: &str) -> Verdict {
        let mut attempts = self.attempts.clone();
        attempts.deaths += 1;
        if attempts.deaths >= DEATHS {
            return Verdict::Except(self.said(&format!("{text} ({DEATHS} times)")));
        }
        let line = self.said(&format!("{text}; retrying"));
        Verdict::Retry { noted: Noted { attempts, line }, status: None, delay: AFTER_A_DEATH }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: RetryPlan = RetryPlan { initial: Duration::from_secs(20), attempts: 3 };
    const JOB: JobStep<'_> = JobStep { name: "upload", computer: "far", is_elsewhere: false };
    const CLUSTER: JobStep<'_> = JobStep { is_elsewhere: true, ..JOB };

    /// The verdict in short: what follows, the words, and the counts of attempts, host failures and deaths.
    fn told(job: Option<JobStep<'_>>, error: StepError, counts: (u32, u32, u32)) -> String {
        let attempts =
            Attempts { attempt: counts.0, host_failures: counts.1, deaths: counts.2, ..Attempts::default() };
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let case = Case { job, attempts: &attempts, plan: PLAN, seed: 0, now };
        let of = |attempts: &Attempts| {
            format!("{} {} {}", attempts.attempt, attempts.host_failures, attempts.deaths)
        };
        match case.verdict(error) {
            Verdict::Stuck(_) => "stuck".into(),
            Verdict::Again(delay) => format!("again in {delay:?}"),
            Verdict::Park(None) => "parked".into(),
            Verdict::Park(Some(noted)) => format!("parked [{}] {}", of(&noted.attempts), noted.line),
            Verdict::Wait { status, delay } => format!("waits {delay:?}: {status}"),
            Verdict::Retry { noted, status, delay } => {
                assert_eq!(noted.attempts.planned, status.as_ref().map(|_| delay));
                let next = noted.attempts.next_try.map(clock_words).unwrap_or_default();
                assert_eq!(noted.attempts.next_try, status.map(|_| now + delay));
                let line = if next.is_empty() { noted.line } else { noted.line.replace(&next, "T") };
                format!("in {delay:?} [{}] {line}", of(&noted.attempts))
            }
            Verdict::Pause { attempts, reason } => {
                assert_eq!(attempts.next_try, None);
                format!("paused [{}] {reason}", of(&attempts))
            }
            Verdict::Except(text) => format!("excepted: {text}"),
        }
    }

    fn trouble() -> StepError {
        StepError::Store(store::Error::new(store::ErrorKind::Other, "commit"))
    }

    #[track_caller]
    fn check(job: Option<JobStep<'_>>, error: StepError, counts: (u32, u32, u32), expected: &str) {
        assert_eq!(told(job, error, counts), expected);
    }

    /// Delays are 0.9 of the plan's, since the seed is 0.
    #[test]
    fn a_calcjob_s_failures() {
        let (job, none, x) = (Some(JOB), (0, 0, 0), || "x".to_owned());
        check(job, trouble(), none, "stuck");
        check(job, StepError::Stopping, none, "again in 5s");
        check(job, StepError::Parked, (2, 4, 2), "parked");
        let wait = StepError::Wait(x(), Duration::from_secs(7));
        check(job, wait, (2, 4, 2), "waits 7s: x");

        let first = "in 18s [1 0 0] upload failed (1 of 3): x; next try T";
        check(job, StepError::Later(x()), none, first);
        let second = "in 36s [2 4 1] upload failed (2 of 3): x; next try T";
        check(job, StepError::Later(x()), (1, 4, 1), second);
        check(job, StepError::Later(x()), (2, 4, 1), "paused [3 4 1] upload failed 3 times: x");
        check(job, StepError::Pause(x()), (1, 2, 1), "paused [1 2 1] upload: x");

        let parked = "parked [0 1 0] upload: computer `far`: x; does not count as a retry";
        check(job, StepError::Host(x()), none, parked);
        check(job, StepError::Scheduler(x()), none, parked);
        let fifth =
            "in 18s [1 5 0] upload failed (1 of 3): x (5 times, although computer `far` answers); next try T";
        check(job, StepError::Host(x()), (0, 4, 0), fifth);
        let last = "paused [3 5 0] upload failed 3 times: x (5 times, although computer `far` answers)";
        check(job, StepError::Host(x()), (2, 4, 0), last);
        let longest = "in 60s [2 6 0] upload: x; next try T";
        check(job, StepError::Scheduler(x()), (2, 4, 0), longest);

        let full = "in 18s [2 1 0] upload: no space or quota is left on computer `far`: x; it continues when there \
                    is space; next try T";
        check(job, StepError::Full(x()), (2, 0, 0), full);
        let died = "in 200ms [2 4 2] upload: x; retrying";
        check(job, StepError::Died(x()), (2, 4, 1), died);
        check(job, StepError::Died(x()), (0, 0, 2), "excepted: upload: x (3 times)");
        check(job, StepError::Except(x()), none, "excepted: upload: x");
    }

    #[test]
    fn one_cluster_s_trouble_opens_no_breaker() {
        let silent = || StepError::Scheduler("x".into());
        check(Some(CLUSTER), silent(), (0, 0, 0), "in 18s [0 1 0] upload: x; next try T");
        check(Some(CLUSTER), silent(), (2, 8, 0), "in 60s [2 9 0] upload: x; next try T");
        assert_eq!((CLUSTER.doubts_host(&silent()), JOB.doubts_host(&silent())), (None, Some("x")));
        let host = StepError::Host("x".into());
        assert_eq!((CLUSTER.doubts_host(&host), JOB.doubts_host(&host)), (Some("x"), Some("x")));
        assert_eq!(JOB.doubts_host(&StepError::Later("x".into())), None);
    }

    #[test]
    fn failures_of_functions_and_workflows() {
        let x = || "x".to_owned();
        check(None, trouble(), (0, 0, 0), "stuck");
        for error in [StepError::Stopping, StepError::Parked] {
            check(None, error, (2, 0, 2), "again in 5s");
        }
        let passing: [fn(String) -> StepError; 5] =
            [StepError::Later, StepError::Host, StepError::Scheduler, StepError::Full, |text| {
                StepError::Wait(text, Duration::ZERO)
            }];
        for error in passing {
            check(None, error(x()), (0, 0, 0), "in 18s [1 0 0] failed (1 of 3): x; next try T");
            check(None, error(x()), (1, 0, 2), "in 36s [2 0 2] failed (2 of 3): x; next try T");
            check(None, error(x()), (2, 0, 0), "paused [3 0 0] failed 3 times: x");
        }
        check(None, StepError::Died(x()), (1, 0, 1), "in 200ms [1 0 2] x; retrying");
        check(None, StepError::Died(x()), (0, 0, 2), "excepted: x (3 times)");
        for error in [StepError::Except(x()), StepError::Pause(x())] {
            check(None, error, (0, 0, 0), "excepted: x");
        }
    }
}
