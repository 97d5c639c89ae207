//! A bound that is learned from a scheduler's refusals, and probed ever more boldly while it takes all jobs.

use std::time::Duration;

use tokio::time::Instant;

use super::pass::BATCH;

/// Time until one job more than the scheduler took is tried. It doubles after each refusal, up to the second
/// constant.
const PROBE: Duration = Duration::from_secs(5);
const RARELY: Duration = Duration::from_secs(60);
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
    /// Time until it is raised next.
    pub(super) wait: Duration,
    /// Amount by which it was raised last; 0 if it was not raised since it was set.
    pub(super) step: u32,
}

impl Learned {
    /// Sets the bound after the scheduler refused a job while `bound` jobs were active.
    pub(super) fn taught(bound: u32, before: Option<&Learned>) -> Learned {
        let now = Instant::now();
        // If several jobs were on their way together, only the first refusal says anything about the last
        // probe.
        let wait = before.map_or(PROBE, |before| match before.step {
            0 => before.wait,
            1 => (before.wait * 2).clamp(PROBE, RARELY),
            _ => PROBE,
        });
        Learned { bound, raised: now, taught: now, wait, step: 0 }
    }

    /// Raises the bound by one if it was held for long enough, and by ever more while the scheduler takes all
    /// jobs.
    pub(super) fn probe(&mut self, active: u32, under_way: u32) {
        // Jobs below the bound, or on their way, tell more than a probe would.
        if under_way > 0 || active < self.bound || self.raised.elapsed() < self.wait {
            return;
        }
        if self.step > 0 {
            self.wait = RAISE;
        }
        self.step = (self.step * 2).clamp(1, BATCH as u32);
        self.bound = active + self.step;
        self.raised = Instant::now();
    }
}
