//! The times at which processes are woken: one entry each.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::{clock, store::NodeId};

/// Interval at which the wall clock is compared with the monotonic one.
const LOOK: Duration = Duration::from_secs(15);
/// A difference that counts: the machine slept, or its clock was set.
const JUMP: SignedDuration = SignedDuration::from_secs(2);

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Instant,
    pub(crate) wall: Timestamp,
}

impl Now {
    /// Reads both clocks.
    pub(crate) fn read() -> Now {
        Now { at: Instant::now(), wall: clock::now() }
    }
}

/// The timers of processes. An entry is due when its delay has passed on the monotonic clock. That clock stands
/// still while a machine sleeps, so the entry is also due when the wall clock has reached its time. A wall clock
/// that was set back delays nothing.
#[derive(Debug)]
pub(crate) struct Timers {
    /// The time by the wall clock of each entry.
    due: BTreeMap<(Instant, NodeId), Timestamp>,
    looked: Now,
}

impl Timers {
    pub(crate) fn new(now: Now) -> Self {
        Timers { due: BTreeMap::new(), looked: now }
    }

    /// Sets a process's timer.
    pub(crate) fn set(&mut self, id: NodeId, until: Instant, now: Now) {
        let delay = until.saturating_duration_since(now.at);
        self.due.insert((until, id), now.wall.checked_add(delay).unwrap_or(Timestamp::MAX));
    }

    /// Removes the timer that a process has at this time.
    pub(crate) fn clear(&mut self, id: NodeId, until: Instant) {
        self.due.remove(&(until, id));
    }

    /// Returns the time at which to call [`Timers::ring`] again.
    pub(crate) fn next(&self) -> Option<Instant> {
        let ((at, _), _) = self.due.first_key_value()?;
        Some((*at).min(self.looked.at + LOOK))
    }

    /// Takes the processes whose time has come, earliest first.
    pub(crate) fn ring(&mut self, now: Now) -> Vec<NodeId> {
        let passed = now.at - self.looked.at;
        let ran = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        let has_jumped = now.wall.duration_since(self.looked.wall) > ran.saturating_add(JUMP);
        if passed >= LOOK || has_jumped {
            self.looked = now;
        }
        // Times are in order, but for those that a jump makes due.
        let is_due = |at: Instant, wall: Timestamp| at <= now.at || (has_jumped && wall <= now.wall);
        let of = self.due.iter().take_while(|((at, _), _)| has_jumped || *at <= now.at);
        let rung: Vec<(Instant, NodeId)> =
            of.filter(|((at, _), wall)| is_due(*at, **wall)).map(|(key, _)| *key).collect();
        for key in &rung {
            self.due.remove(key);
        }
        rung.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
impl Timers {
    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(now: Now, seconds: u64) -> Instant {
        now.at + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn they_ring_in_order_once_and_what_is_cleared_never() {
        let now = Now::read();
        let mut timers = Timers::new(now);
        timers.set(NodeId(1), after(now, 5), now);
        timers.set(NodeId(2), after(now, 3), now);
        timers.clear(NodeId(1), after(now, 5));
        timers.set(NodeId(1), after(now, 1), now);
        assert!(timers.ring(Now::read()).is_empty());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(timers.ring(Now::read()), [NodeId(1), NodeId(2)]);
        assert_eq!((timers.ring(Now::read()).len(), timers.next()), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_a_day_finds_them_due_and_a_clock_set_back_delays_none() {
        clock::simulated::set("2026-01-01T00:00:00Z".parse().unwrap());
        let now = Now::read();
        let mut timers = Timers::new(now);
        timers.set(NodeId(1), after(now, 3600), now);
        clock::simulated::jump(SignedDuration::from_hours(24));
        tokio::time::advance(LOOK).await;
        assert!(timers.next().unwrap() <= Instant::now());
        assert_eq!(timers.ring(Now::read()), [NodeId(1)]);

        let now = Now::read();
        timers.set(NodeId(2), after(now, 60), now);
        clock::simulated::jump(SignedDuration::from_hours(-1));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(timers.ring(Now::read()), [NodeId(2)]);
        clock::simulated::clear();
    }
}
