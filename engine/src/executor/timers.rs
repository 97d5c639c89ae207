//! The times at which processes are woken: one entry each.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::{clock, store::NodeId};

/// Interval at which the wall clock is compared with the monotonic one.
const LOOK: Duration = Duration::from_secs(15);
/// A difference that counts: the machine slept, or its clock was set.
const JUMP: SignedDuration = SignedDuration::from_secs(2);

/// The timers of processes. An entry is due when its delay has passed on the monotonic clock. That clock stands
/// still while a machine sleeps, so the entry is also due when the wall clock has reached its time. A wall clock
/// that was set back delays nothing.
#[derive(Debug)]
pub(crate) struct Timers {
    order: BTreeSet<(Instant, NodeId)>,
    due: HashMap<NodeId, (Instant, Timestamp)>,
    looked: (Instant, Timestamp),
}

impl Timers {
    pub(crate) fn new() -> Self {
        Timers { order: BTreeSet::new(), due: HashMap::new(), looked: (Instant::now(), clock::now()) }
    }

    /// Sets a process's timer, in place of its last one.
    pub(crate) fn set(&mut self, id: NodeId, delay: Duration) {
        self.clear(id);
        let at = Instant::now() + delay;
        let wall = clock::now().checked_add(delay).unwrap_or(Timestamp::MAX);
        self.order.insert((at, id));
        self.due.insert(id, (at, wall));
    }

    /// Removes a process's timer.
    pub(crate) fn clear(&mut self, id: NodeId) {
        if let Some((at, _)) = self.due.remove(&id) {
            self.order.remove(&(at, id));
        }
    }

    /// Returns the time at which to call [`Timers::ring`] again.
    pub(crate) fn next(&self) -> Option<Instant> {
        let (at, _) = self.order.first()?;
        Some((*at).min(self.looked.0 + LOOK))
    }

    /// Takes the processes whose time has come, earliest first.
    pub(crate) fn ring(&mut self) -> Vec<NodeId> {
        let (now, wall) = (Instant::now(), clock::now());
        let ran = SignedDuration::try_from(now - self.looked.0).unwrap_or(SignedDuration::MAX);
        let jumped = wall.duration_since(self.looked.1) > ran.saturating_add(JUMP);
        if now - self.looked.0 >= LOOK || jumped {
            self.looked = (now, wall);
        }
        let mut rung: Vec<NodeId> =
            self.order.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        if jumped {
            let slept = self.due.iter().filter(|(_, (at, due))| *at > now && *due <= wall);
            let mut slept: Vec<_> = slept.map(|(id, (at, _))| (*at, *id)).collect();
            slept.sort_unstable();
            rung.extend(slept.into_iter().map(|(_, id)| id));
        }
        rung.iter().for_each(|id| self.clear(*id));
        rung
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn they_ring_in_order_once_and_the_last_setting_counts() {
        let mut timers = Timers::new();
        timers.set(NodeId(1), Duration::from_secs(5));
        timers.set(NodeId(2), Duration::from_secs(3));
        timers.set(NodeId(1), Duration::from_secs(1));
        assert!(timers.ring().is_empty());
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(timers.ring(), [NodeId(1), NodeId(2)]);
        assert_eq!((timers.ring().len(), timers.next()), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_a_day_finds_them_due_and_a_clock_set_back_delays_none() {
        clock::simulated::set("2026-01-01T00:00:00Z".parse().unwrap());
        let mut timers = Timers::new();
        timers.set(NodeId(1), Duration::from_secs(3600));
        clock::simulated::jump(SignedDuration::from_hours(24));
        tokio::time::advance(LOOK).await;
        assert!(timers.next().unwrap() <= Instant::now());
        assert_eq!(timers.ring(), [NodeId(1)]);

        timers.set(NodeId(2), Duration::from_secs(60));
        clock::simulated::jump(SignedDuration::from_hours(-1));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(timers.ring(), [NodeId(2)]);
        clock::simulated::clear();
    }
}
