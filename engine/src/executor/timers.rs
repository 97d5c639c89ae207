//! The times at which processes are woken: one entry each.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::moment::{Moment, Now};
use crate::store::NodeId;

/// Interval at which the wall clock is compared with the monotonic one.
const LOOK: Duration = Duration::from_secs(15);
/// A difference that counts: the machine slept, or its clock was set.
const JUMP: SignedDuration = SignedDuration::from_secs(2);

/// The timers of processes. An entry is due when its delay has passed on the monotonic clock. That clock stands
/// still while a machine sleeps, so the entry is also due when the wall clock has reached its time. A wall clock
/// that was set back delays nothing.
#[derive(Debug)]
pub(crate) struct Timers {
    /// The time by the wall clock of each entry, in microseconds since 1970: half of a timestamp's bytes.
    due: BTreeMap<(Moment, NodeId), i64>,
    looked: Now,
}

impl Timers {
    pub(crate) fn new(now: Now) -> Self {
        Timers { due: BTreeMap::new(), looked: now }
    }

    /// Sets a process's timer.
    pub(crate) fn set(&mut self, id: NodeId, until: Moment, now: Now) {
        let wall = now.wall.checked_add(until - now.at).unwrap_or(Timestamp::MAX);
        self.due.insert((until, id), wall.as_microsecond());
    }

    /// Removes the timer that a process has at this time.
    pub(crate) fn clear(&mut self, id: NodeId, until: Moment) {
        self.due.remove(&(until, id));
    }

    /// Returns the time at which to call [`Timers::ring`] again.
    pub(crate) fn next(&self) -> Option<Moment> {
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
        let wall_now = now.wall.as_microsecond();
        let is_due = |at: Moment, wall: i64| at <= now.at || (has_jumped && wall <= wall_now);
        let of = self.due.iter().take_while(|((at, _), _)| has_jumped || *at <= now.at);
        let rung: Vec<(Moment, NodeId)> =
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
    use crate::{clock, executor::moment::Clocks};

    fn after(now: Now, seconds: u64) -> Moment {
        now.at + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn they_ring_in_order_once_and_what_is_cleared_never() {
        let clocks = Clocks::start();
        let now = clocks.read();
        let mut timers = Timers::new(now);
        timers.set(NodeId(1), after(now, 5), now);
        timers.set(NodeId(2), after(now, 3), now);
        timers.clear(NodeId(1), after(now, 5));
        timers.set(NodeId(1), after(now, 1), now);
        assert!(timers.ring(clocks.read()).is_empty());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(timers.ring(clocks.read()), [NodeId(1), NodeId(2)]);
        assert_eq!((timers.ring(clocks.read()).len(), timers.next()), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_a_day_finds_them_due_and_a_clock_set_back_delays_none() {
        clock::simulated::set("2026-01-01T00:00:00Z".parse().unwrap());
        let clocks = Clocks::start();
        let now = clocks.read();
        let mut timers = Timers::new(now);
        timers.set(NodeId(1), after(now, 3600), now);
        clock::simulated::jump(SignedDuration::from_hours(24));
        tokio::time::advance(LOOK).await;
        assert!(timers.next().unwrap() <= clocks.read().at);
        assert_eq!(timers.ring(clocks.read()), [NodeId(1)]);

        let now = clocks.read();
        timers.set(NodeId(2), after(now, 60), now);
        clock::simulated::jump(SignedDuration::from_hours(-1));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(timers.ring(clocks.read()), [NodeId(2)]);
        clock::simulated::clear();
    }
}
