//! A bound that is learned from a scheduler's refusals, and probed ever more boldly while it takes all jobs.

use std::time::Duration;

use tokio::time::Instant;

use super::pass::BATCH;
use crate::back_off::BackOff;

/// The times until one job more than the scheduler took is tried.
const PROBES: BackOff = BackOff { first: Duration::from_secs(5), longest: Duration::from_secs(60) };
/// Time until a learnt bound that proved too small is raised again.
const RAISE: Duration = Duration::from_secs(1);
/// Time without a refusal after which a bound learnt from the scheduler is forgotten.
pub(super) const FORGET: Duration = Duration::from_secs(600);

/// A bound learnt from the scheduler's refusals.
#[derive(Debug)]
pub(super) struct Learned {
    pub(super) bound: u32,
    /// Time at which it was set or raised last.
    pub(super) raised: Instant,
    /// Time at which it was set.
    pub(super) taught: Instant,
    /// Refusals in a row of the first job above it.
    refusals: u32,
    /// Amount by which it was raised last; 0 if it was not raised since it was set.
    pub(super) step: u32,
}

impl Learned {
    /// Sets the bound after the scheduler refused a job while `bound` jobs were active.
    pub(super) fn taught(bound: u32, before: Option<&Learned>) -> Learned {
        let now = Instant::now();
        // If several jobs were on their way together, only the first refusal says anything about the last
        // probe.
        let refusals = before.map_or(1, |before| match before.step {
            0 => before.refusals,
            1 => before.refusals.saturating_add(1),
            _ => 1,
        });
        Learned { bound, raised: now, taught: now, refusals, step: 0 }
    }

    /// Returns the time until it is raised next.
    fn wait(&self) -> Duration {
        if self.step > 1 { RAISE } else { PROBES.wait(self.refusals) }
    }

    /// Raises the bound by one if it was held for long enough, and by ever more while the scheduler takes all
    /// jobs.
    pub(super) fn probe(&mut self, active: u32, under_way: u32) {
        // Jobs below the bound, or on their way, tell more than a probe would.
        if under_way > 0 || active < self.bound || self.raised.elapsed() < self.wait() {
            return;
        }
        self.step = (self.step * 2).clamp(1, BATCH as u32);
        self.bound = active + self.step;
        self.raised = Instant::now();
    }
}
