//! The gates of computers: the processes that wait for permission to submit, and their admission after each
//! fresh listing.
//!
//! No process passes before the queue was listed, and none passes after a listing that failed. A gate grants
//! permission under bounds. The ticket itself is taken with the intent to submit, in one transaction that
//! checks the bounds again. So no crash and no number of tasks makes ferry exceed a limit.
//!
//! Limits hold for a queue and a user, not for a label. Computers that share a queue share tickets, grants,
//! the bound learnt from the scheduler, and the rate. A listing by one of them admits processes that wait at
//! any of them. The sharing is worked out anew for each listing, since a host may report later which queue it
//! is.

mod learned;
mod line;
mod machine;
mod pass;
mod queue;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

pub(crate) use self::line::News;
use self::{
    learned::{FORGET, Learned},
    pass::Admitted,
    queue::Queue,
};
use crate::{
    scheduler::{Bounds, Bucket, Demand},
    store::{Change, GateState, NodeId, QueueId, Reader, Sharing},
};

/// Interval at which waiting processes' places in the line are written.
const TELL: Duration = Duration::from_secs(3);

/// The parts of a listing that the gate needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Jobs of this user that are not ours: pending, and pending or running.
    pub(crate) foreign: (u32, u32),
    /// True if jobs can be pending there at all.
    pub(crate) has_queue: bool,
    /// Time of the listing.
    pub(crate) listed: jiff::Timestamp,
}

/// The outcome of one round of admissions.
pub(crate) struct Round {
    /// The processes that were admitted.
    pub(crate) passed: Vec<NodeId>,
    /// The bounds under which they were admitted.
    pub(crate) bounds: Bounds,
    /// The reason for waiting of each process that still waits, and the usage for `limit show`, if they are due.
    pub(crate) news: Option<News>,
}

/// The gates of all computers.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    inner: Mutex<Inner>,
    /// One `Notify` for each poller, notified whenever a ticket is returned. They are notified in order, so
    /// that a simulation is reproducible; a `watch` channel wakes its receivers in random order.
    freed: Mutex<Vec<Arc<Notify>>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Gates by the label of the computer.
    gates: BTreeMap<String, Gate>,
    buckets: BTreeMap<QueueId, Bucket>,
    /// Resource demands of the processes that wait for a share of a machine or hold a grant.
    demands: HashMap<NodeId, Demand>,
}

/// The gate of one computer.
#[derive(Debug, Default)]
struct Gate {
    /// Waiting processes, older ones first.
    wanting: BTreeSet<NodeId>,
    granted: BTreeMap<NodeId, Instant>,
    learned: Option<Learned>,
    /// Waiting processes whose jobs the scheduler refused last.
    refused: BTreeSet<NodeId>,
    told: Option<Instant>,
    shown: Option<GateState>,
}

impl Gates {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change below is complete before it can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notifies all pollers that a ticket was returned, by any computer.
    pub(crate) fn free(&self) {
        self.freed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .for_each(|poller| poller.notify_one());
    }

    /// Returns a `Notify` that is notified whenever a ticket is returned from now on.
    pub(crate) fn freed(&self) -> Arc<Notify> {
        let poller = Arc::new(Notify::new());
        self.freed.lock().unwrap_or_else(PoisonError::into_inner).push(poller.clone());
        poller
    }

    /// Returns whether a process waits at a computer's gate.
    pub(crate) fn is_wanted(&self, computer: &str) -> bool {
        self.lock().gates.get(computer).is_some_and(|gate| !gate.wanting.is_empty())
    }

    /// Returns whether a process waits at one of these computers, or was admitted and has no ticket yet.
    pub(crate) fn is_any_wanted(&self, sharing: &Sharing) -> bool {
        let inner = self.lock();
        inner.of(sharing).any(|(_, gate)| !(gate.wanting.is_empty() && gate.granted.is_empty()))
    }

    /// Records a process's demand on its machine. Call it before the process comes to the gate.
    pub(crate) fn demand(&self, process: NodeId, demand: Demand) {
        self.lock().demands.insert(process, demand);
    }

    /// Returns whether the scheduler has refused jobs of these computers for want of room. Their gate then
    /// holds, with limits or without.
    pub(crate) fn has_learned_limit(&self, sharing: &Sharing) -> bool {
        self.lock().learned_limit(sharing).is_some()
    }

    /// Adds a process to those that wait. `refused`: the scheduler has just refused its job, so the number of
    /// active jobs becomes the bound.
    pub(crate) fn want(&self, store: &Reader, computer: &str, process: NodeId, refused: bool) {
        let active = refused
            .then(|| Queue::read(store, computer, (0, 0)).map_or(1, |queue| queue.usage.active.max(1)));
        let mut inner = self.lock();
        let gate = inner.gates.entry(computer.to_owned()).or_default();
        gate.granted.remove(&process);
        gate.wanting.insert(process);
        gate.told = None;
        if let Some(bound) = active {
            gate.learned = Some(Learned::taught(bound, gate.learned.as_ref()));
            // It is tried after the others.
            gate.refused.insert(process);
        }
    }

    /// Removes the grant of a process whose job is submitted: its ticket counts from now on.
    pub(crate) fn arrived(&self, computer: &str, process: NodeId) {
        let mut inner = self.lock();
        inner.demands.remove(&process);
        if let Some(gate) = inner.gates.get_mut(computer) {
            gate.granted.remove(&process);
        }
    }

    /// Removes a process that is paused, so that none waits behind it. What it had a grant for is free.
    pub(crate) fn stands_still(&self, process: NodeId) {
        let left = |gate: &mut Gate| gate.wanting.remove(&process) | gate.granted.remove(&process).is_some();
        let left = self.lock().gates.values_mut().map(left).filter(|left| *left).count();
        if left > 0 {
            self.free();
        }
    }

    /// Removes a process that no longer waits.
    pub(crate) fn forget(&self, computer: &str, process: NodeId) {
        if let Some(gate) = self.lock().gates.get_mut(computer) {
            gate.leave(process);
            gate.granted.remove(&process);
        }
    }

    /// Admits the processes that the limits leave room for, at this computer and at those that share its
    /// queue. It is called after a listing by one of them. Returns the processes that were admitted, with their
    /// bounds, and the changes to be stored; `None` if no process waits or the computer is not open.
    pub(crate) fn admit(
        &self,
        store: &Reader,
        computer: &str,
        seen: Seen,
        is_open: impl Fn(&str) -> bool,
    ) -> Option<Round> {
        if !self.is_wanted(computer) || !is_open(computer) {
            return None;
        }
        let queue = Queue::read(store, computer, seen.foreign).ok()?;
        let mut inner = self.lock();
        let admitted = inner.admit(&queue, &seen, is_open);
        let news = inner.news(&queue.sharing, &admitted);
        Some(Round { passed: admitted.passed, bounds: admitted.bounds, news })
    }

    /// Records that the news of a round were stored.
    pub(crate) fn was_told(&self, states: Vec<(String, GateState)>) {
        self.lock().was_told(states);
    }

    /// Returns the status changes for the waiting processes while none can be admitted.
    pub(crate) fn held(&self, computer: &str, why: impl fmt::Display) -> Vec<Change> {
        let mut inner = self.lock();
        let Some(gate) = inner.gates.get_mut(computer) else { return Vec::new() };
        gate.shown = None;
        let status = format!("waiting for a queue slot on {computer}, {why}; retrying");
        gate.wanting.iter().map(|process| line::told(*process, status.clone())).collect()
    }
}

impl Inner {
    fn of<'a>(&'a self, sharing: &'a Sharing) -> impl Iterator<Item = (&'a str, &'a Gate)> {
        sharing.labels().filter_map(|label| Some((label, self.gates.get(label)?)))
    }

    fn each(&mut self, sharing: &Sharing, mut change: impl FnMut(&mut Gate)) {
        for label in sharing.labels() {
            self.gates.get_mut(label).into_iter().for_each(&mut change);
        }
    }

    /// Returns the bound learnt from the scheduler: the smallest one, if it refused jobs of several
    /// computers.
    fn learned_limit(&self, sharing: &Sharing) -> Option<u32> {
        self.of(sharing).filter_map(|(_, gate)| Some(gate.learned.as_ref()?.bound)).min()
    }

    fn was_told(&mut self, states: Vec<(String, GateState)>) {
        for (label, state) in states {
            let gate = self.gates.entry(label).or_default();
            gate.shown = Some(state);
            gate.told = Some(Instant::now());
        }
    }
}

impl Gate {
    /// Raises a bound learnt from the scheduler, and forgets it if it was not confirmed for a long time.
    fn probe(&mut self, active: u32, under_way: u32) {
        let Some(learned) = &mut self.learned else { return };
        if learned.taught.elapsed() > FORGET {
            self.learned = None;
        } else {
            learned.probe(active, under_way);
        }
    }

    fn leave(&mut self, process: NodeId) {
        self.wanting.remove(&process);
        self.refused.remove(&process);
    }
}
