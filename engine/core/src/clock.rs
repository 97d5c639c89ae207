//! The clock of the engine. Everything in it takes wall-clock times from here, and measures intervals with
//! `tokio::time::Instant`. So a simulation can control both.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

/// Returns the wall-clock time; in a simulation, the simulated one.
pub fn now() -> Timestamp {
    #[cfg(any(test, feature = "testing"))]
    if let Some(time) = simulated::now() {
        return time;
    }
    Timestamp::now()
}

/// The most by which the clock may be set back at once and still be followed: daily corrections are as small.
const SLACK: SignedDuration = SignedDuration::from_secs(2);

/// The most by which a stored time may be ahead of the clock and still be believed.
const BELIEVED: SignedDuration = SignedDuration::from_hours(24);

/// Returns the wall-clock time, except that it goes on where the clock was set back. Use it to plan events and to
/// check whether they are due. Then a clock that is set back by an hour does not prolong a wait by an hour. Use
/// [`now`] for times that are recorded as facts.
///
/// It starts anew with each program; pass on the times of an earlier one with [`advance_to`].
pub fn steady() -> Timestamp {
    #[cfg(any(test, feature = "testing"))]
    if let Some(time) = simulated::steady(None) {
        return time;
    }
    look(None)
}

/// Notes a time that an earlier program stored from [`steady`]: the time goes on from there at least. A time that
/// is more than a day ahead is not believed: then the clock was wrong, and is right now.
pub fn advance_to(past: Timestamp) {
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

/// A wall-clock time that was believed, and the running time at that moment.
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

/// A clock for one thread, which follows tokio's paused time and can be set by hand.
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

    /// Sets the time of this thread, which then goes on with tokio's clock. For a thread that runs a
    /// `current_thread` runtime with paused time.
    pub fn set(time: Timestamp) {
        ANCHOR.set(Some((Instant::now(), time)));
    }

    /// Moves the wall clock, forwards or back; intervals do not change.
    pub fn jump(by: SignedDuration) {
        if let Some(time) = now() {
            set(time.checked_add(by).unwrap_or(time));
        }
    }

    /// Returns whether this thread's clock is simulated.
    pub fn is_set() -> bool {
        ANCHOR.get().is_some()
    }

    /// Switches back to real time.
    pub fn clear() {
        ANCHOR.set(None);
        restart();
    }

    /// Forgets the earlier times, as a program that starts anew.
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
        // At `running` seconds the wall clock is off by `off` seconds.
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
