//! The circuit breaker of one computer. After a failure of the host, only one probe at a time contacts it, at
//! growing intervals, until one succeeds. Pure: times and randomness are arguments.
//!
//! ```text
//! closed --failure--> open --probe due--> half-open --success--> closed
//!                      ^                      |
//!                      +------- failure ------+
//! ```
//!
//! The first failure opens the breaker. The probe that follows soon is cheaper than the same failure in every
//! process that works there.

use std::fmt;

use tokio::time::Instant;

use super::{Error, ErrorKind};
use crate::computer::Pace;

/// The kind of trouble that a host's failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Trouble of the host: it may recover by itself.
    Passing,
    /// Refused credentials, an unknown host key, wrong settings: never tried again until the user says so.
    NeedsUser,
}

impl Trouble {
    /// Returns the kind of trouble that an error of opening a connection means for its host; `None` if it says
    /// nothing about the host.
    pub fn of(error: &Error) -> Option<Trouble> {
        match error.kind() {
            ErrorKind::Authentication | ErrorKind::NeedsLogin | ErrorKind::Config => Some(Trouble::NeedsUser),
            ErrorKind::CircuitOpen => None,
            // Any other error that prevents a connection prevents it for all processes.
            _ => Some(Trouble::Passing),
        }
    }
}

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Work proceeds as usual.
    #[default]
    Closed,
    /// Nothing contacts the host until this moment; without one, until the user acts.
    Open(Option<Instant>),
    /// A probe is under way.
    HalfOpen,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Closed => "closed",
            Phase::Open(_) => "open",
            Phase::HalfOpen => "half-open",
        })
    }
}

/// The breaker of one computer.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    phase: Phase,
    failures: u32,
    epoch: u64,
    /// True if the last trouble is one for the user to resolve: then a probe runs only on the user's request.
    needs_user: bool,
}

impl Breaker {
    /// Makes a breaker that an earlier owner left open.
    pub fn left_open(failures: u32, needs_user: bool, due: Option<Instant>) -> Breaker {
        Breaker { phase: Phase::Open(due), failures, epoch: 1, needs_user }
    }

    /// Returns its phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns whether work may contact the host.
    pub fn admits(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Returns the number of failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns whether it waits for the user.
    pub fn needs_user(&self) -> bool {
        self.needs_user
    }

    /// Returns the number of its openings. Work that began under an older one reports on a connection that is gone
    /// already.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Records that work failed with trouble of the host. Returns whether that opened the breaker; a further
    /// failure changes nothing while it is open.
    pub fn failed(&mut self, trouble: Trouble, pace: Pace, seed: u64, now: Instant) -> bool {
        if self.phase != Phase::Closed {
            return false;
        }
        self.epoch += 1;
        self.open(trouble, pace, seed, now);
        true
    }

    /// Begins the probe that is due; returns whether one was.
    pub fn begin_probe(&mut self, now: Instant) -> bool {
        let due = matches!(self.phase, Phase::Open(Some(at)) if at <= now);
        if due {
            self.phase = Phase::HalfOpen;
        }
        due
    }

    /// Returns when the next probe is due; `None`: none is planned.
    pub fn due(&self) -> Option<Instant> {
        if let Phase::Open(due) = self.phase { due } else { None }
    }

    /// Opens the breaker again, as the probe under way failed.
    pub fn probe_failed(&mut self, trouble: Trouble, pace: Pace, seed: u64, now: Instant) {
        self.open(trouble, pace, seed, now);
    }

    /// Closes the breaker, as the host answers.
    pub fn close(&mut self) {
        *self = Breaker { epoch: self.epoch, ..Breaker::default() };
    }

    /// Makes a probe due now, on the user's request. Does nothing to a closed breaker, or to a probe under way.
    pub fn hurry(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Open(_)) {
            self.phase = Phase::Open(Some(now));
        }
    }

    fn open(&mut self, trouble: Trouble, pace: Pace, seed: u64, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.needs_user = trouble == Trouble::NeedsUser;
        self.phase = Phase::Open((!self.needs_user).then(|| now + pace.wait(self.failures, seed)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::back_off::BackOff;

    const PACE: Pace = Pace(BackOff { first: Duration::from_secs(10), longest: Duration::from_secs(300) });
    /// No jitter.
    const EVEN: u64 = 100;

    #[test]
    fn probes_come_soon_then_double_up_to_the_longest_wait() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        assert!(breaker.failed(Trouble::Passing, PACE, EVEN, now));
        assert!(!breaker.failed(Trouble::Passing, PACE, EVEN, now), "open already");
        assert_eq!(breaker.failures(), 1, "what fails while it is open is the same failure");
        for expect in [1, 10, 20, 40, 80, 160, 300, 300] {
            let due = breaker.due().unwrap();
            assert_eq!((due - now).as_secs_f64().round(), f64::from(expect));
            assert!(!breaker.begin_probe(due - Duration::from_millis(1)), "too early");
            assert!(breaker.begin_probe(due) && !breaker.begin_probe(due), "one probe at a time");
            assert!(!breaker.admits());
            breaker.probe_failed(Trouble::Passing, PACE, EVEN, now);
        }
        breaker.close();
        assert!(breaker.admits());
        assert_eq!((breaker.failures(), breaker.due(), breaker.epoch()), (0, None, 1));
    }

    #[test]
    fn refused_credentials_are_never_tried_again_by_themselves() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.failed(Trouble::NeedsUser, PACE, EVEN, now);
        assert_eq!(breaker.due(), None);
        assert!(!breaker.begin_probe(now + Duration::from_secs(86_400)));
        breaker.hurry(now);
        assert!(breaker.begin_probe(now));
        breaker.probe_failed(Trouble::Passing, PACE, EVEN, now);
        assert!(breaker.due().is_some() && !breaker.needs_user(), "another trouble now, which may pass");
    }

    #[test]
    fn jitter_is_a_tenth() {
        for seed in 0..500 {
            let wait = PACE.wait(3, seed).as_secs_f64();
            assert!((17.99..=22.01).contains(&wait), "{wait}");
        }
    }
}
