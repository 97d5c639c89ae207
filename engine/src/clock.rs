//! What time it is. Everything that writes or compares wall-clock times in runner, scheduler, calcjob and store
//! asks here, and measures intervals with `tokio::time::Instant`, so that a simulation can hold both in its hand.

use jiff::Timestamp;

/// The time of day. In a simulation: its own.
pub fn now() -> Timestamp {
    #[cfg(any(test, feature = "testing"))]
    if let Some(time) = simulated::now() {
        return time;
    }
    Timestamp::now()
}

/// A clock for one thread, which goes with tokio's paused time and can be set by hand.
#[cfg(any(test, feature = "testing"))]
pub mod simulated {
    use std::cell::Cell;

    use jiff::{SignedDuration, Timestamp};
    use tokio::time::Instant;

    thread_local! {
        static ANCHOR: Cell<Option<(Instant, Timestamp)>> = const { Cell::new(None) };
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
    }

    pub(super) fn now() -> Option<Timestamp> {
        let (since, time) = ANCHOR.get()?;
        time.checked_add(since.elapsed()).ok()
    }
}
