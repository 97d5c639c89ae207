//! The executor's times, in eight bytes each: it keeps one or two for each of many thousand sleepers.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock;

/// A time of the monotonic clock, in nanoseconds since the start of an executor's [`Clocks`]. It ends after 584 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// The present, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Moment,
    pub(crate) wall: Timestamp,
}

/// Both clocks of one executor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    start: Instant,
}

impl Moment {
    #[cfg(test)]
    pub(crate) const START: Moment = Moment(0);

    /// Returns the time from `earlier` to this one; zero if it is later.
    pub(crate) fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, time: Duration) -> Moment {
        Moment(self.0.saturating_add(nanoseconds(time)))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        self.since(earlier)
    }
}

impl Clocks {
    /// Starts them.
    pub(crate) fn start() -> Clocks {
        Clocks { start: Instant::now() }
    }

    /// Reads both.
    pub(crate) fn read(&self) -> Now {
        Now { at: Moment(nanoseconds(self.start.elapsed())), wall: clock::now() }
    }

    /// Returns a moment as the runtime's timers want it.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.start + Duration::from_nanos(moment.0)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn they_follow_the_runtime_s_clock() {
        let clocks = Clocks::start();
        assert_eq!(clocks.read().at, Moment::START);
        tokio::time::advance(Duration::from_secs(3)).await;
        let now = clocks.read().at;
        assert_eq!(now - Moment::START, Duration::from_secs(3));
        assert_eq!(clocks.instant(now), Instant::now());
    }

    #[test]
    fn times_for_ever_are_no_overflow() {
        let late = Moment::START + Duration::MAX;
        assert!(late + Duration::from_secs(1) >= late);
        assert_eq!(Moment::START - late, Duration::ZERO);
    }
}
