//! The intervals at which a computer in trouble is probed.

use std::time::Duration;

use crate::back_off::BackOff;

/// Time between a failure and the first probe. A connection that was cut can mostly be reopened at once.
const SOON: Duration = Duration::from_secs(1);

/// The intervals between probes, which begin after the first failed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace(pub BackOff);

impl Default for Pace {
    fn default() -> Self {
        Pace(BackOff { first: Duration::from_secs(10), longest: Duration::from_secs(300) })
    }
}

impl Pace {
    /// Returns the wait after a number of failures in a row, up to a tenth more or less by `seed`.
    pub fn wait(&self, failures: u32, seed: u64) -> Duration {
        match failures {
            0 | 1 => BackOff { first: SOON.min(self.0.first), ..self.0 }.spread(1, seed),
            more => self.0.spread(more - 1, seed),
        }
    }
}
