//! What time it is. Everything that writes or compares wall-clock times in runner, scheduler, calcjob and store
//! asks here, and measures intervals with `tokio::time::Instant`, so that a simulation can hold both in its hand.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

/// The time of day. In a simulation: its own.
pub fn now() -> Timestamp {
    #[cfg(any(test, feature = "testing"))]
    if let Some(time) = simulated::now() {
        return time;
    }
    Timestamp::now()
}

/// By how much a clock may fall behind at once and still be followed: that is how clocks are corrected day by day.
const SLACK: SignedDuration = SignedDuration::from_secs(2);

/// By how much a stored time may be ahead of the clock and still be believed.
const BELIEVED: SignedDuration = SignedDuration::from_hours(24);

/// The time by which is told whether a time has come: the time of day, except that it goes on where a clock was set
/// back. What is to come is planned and judged by this one, so that nobody waits an hour more for having asked
/// for a minute; what is written down as a fact has the time of day.
///
/// It lives as long as the program; what an earlier one had seen is told by [`has_been`].
pub fn steady() -> Timestamp {
    #[cfg(any(test, feature = "testing"))]
    if let Some(time) = simulated::steady(None) {
        return time;
    }
    look(None)
}

/// It has been this late already, as something says that was written by [`steady`]: the time goes on from there at
/// least. A time that is more than a day off is not believed: a clock was wrong then, and is right now.
pub fn has_been(past: Timestamp) {
    #[cfg(any(test, feature = "testing"))]
    if simulated::steady(Some(past)).is_some() {
        return;
    }
    look(Some(past));
}

fn look(past: Option<Timestamp>) -> Timestamp {
    static SEEN: Mutex<Option<Seen<Instant>>> = Mutex::new(None);
    let running = Instant::now();
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let ran = |since| running.saturating_duration_since(since);
    Seen::look(&mut seen, running, Timestamp::now(), past, ran)
}

/// A time of day that was believed, and when, by running time.
#[derive(Debug, Clone, Copy)]
struct Seen<I> {
    running: I,
    wall: Timestamp,
}

impl<I: Copy> Seen<I> {
    fn look(
        seen: &mut Option<Self>,
        running: I,
        wall: Timestamp,
        past: Option<Timestamp>,
        ran: impl Fn(I) -> Duration,
    ) -> Timestamp {
        let expected = seen.and_then(|last| last.wall.checked_add(ran(last.running)).ok());
        let past = past.filter(|past| past.duration_since(wall) < BELIEVED);
        let late = expected.max(past).filter(|late| late.duration_since(wall) > SLACK);
        let time = late.unwrap_or(wall);
        *seen = Some(Seen { running, wall: time });
        time
    }
}

/// A clock for one thread, which goes with tokio's paused time and can be set by hand.
#[cfg(any(test, feature = "testing"))]
pub mod simulated {
    use std::cell::Cell;

    use jiff::{SignedDuration, Timestamp};
    use tokio::time::Instant;

    use super::Seen;

    thread_local! {
        static ANCHOR: Cell<Option<(Instant, Timestamp)>> = const { Cell::new(None) };
        static SEEN: Cell<Option<Seen<Instant>>> = const { Cell::new(None) };
    }

    /// From now on it is `time` on this thread, and goes on with tokio's clock. For a thread that runs a
    /// `current_thread` runtime with paused time.
    pub fn set(time: Timestamp) {
        ANCHOR.set(Some((Instant::now(), time)));
    }

    /// The wall clock jumps, forwards or back; intervals are not touched.
    pub fn jump(by: SignedDuration) {
        if let Some(time) = now() {
            set(time.checked_add(by).unwrap_or(time));
        }
    }

    /// Whether this thread's clock is simulated.
    pub fn is_set() -> bool {
        ANCHOR.get().is_some()
    }

    /// Real time again.
    pub fn clear() {
        ANCHOR.set(None);
        restart();
    }

    /// A program that begins anew knows nothing of what the clock was before.
    pub fn restart() {
        SEEN.set(None);
    }

    pub(super) fn steady(past: Option<Timestamp>) -> Option<Timestamp> {
        let (wall, running) = (now()?, Instant::now());
        let mut seen = SEEN.get();
        let ran = |since| running.saturating_duration_since(since);
        let time = Seen::look(&mut seen, running, wall, past, ran);
        SEEN.set(seen);
        Some(time)
    }

    pub(super) fn now() -> Option<Timestamp> {
        let (since, time) = ANCHOR.get()?;
        time.checked_add(since.elapsed()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_jumps_forward_and_small_corrections_but_is_never_set_back() {
        let mut seen = None;
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        // At so many seconds of running time the clock on the wall is off by so many.
        let mut look = |running: u64, off: i64| {
            let wall = start + Duration::from_secs(running) + SignedDuration::from_secs(off);
            let ran = |since| Duration::from_secs(running - since);
            let time = Seen::look(&mut seen, running, wall, None, ran);
            time.duration_since(start).as_secs()
        };
        assert_eq!(look(0, 0), 0);
        assert_eq!(look(10, 0), 10);
        assert_eq!(look(20, -1), 19, "a correction");
        assert_eq!(look(30, -3600), 29, "it was set back");
        assert_eq!(look(40, -3600), 39, "and stays so");
        assert_eq!(look(50, -3600 + 86_400), 50 - 3600 + 86_400, "a day of sleep");
        assert_eq!(look(60, -3600 + 86_400), 60 - 3600 + 86_400);
    }

    #[test]
    fn what_was_written_in_the_future_moves_it_on_unless_the_clock_was_wrong_then() {
        let wall: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let told = |past: SignedDuration| {
            Seen::look(&mut None, 0, wall, Some(wall + past), |_| Duration::ZERO).duration_since(wall)
        };
        assert_eq!(told(SignedDuration::from_mins(-5)), SignedDuration::ZERO);
        assert_eq!(told(SignedDuration::from_mins(55)), SignedDuration::from_mins(55));
        assert_eq!(told(SignedDuration::from_hours(24 * 365)), SignedDuration::ZERO);
    }
}
