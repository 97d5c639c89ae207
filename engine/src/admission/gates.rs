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
    clamp: Option<Learned>,
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
    pub(crate) fn is_clamped(&self, sharing: &Sharing) -> bool {
        self.lock().clamp(sharing).is_some()
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
            gate.clamp = Some(Learned::taught(bound, gate.clamp.as_ref()));
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
    fn clamp(&self, sharing: &Sharing) -> Option<u32> {
        self.of(sharing).filter_map(|(_, gate)| Some(gate.clamp.as_ref()?.bound)).min()
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
        let Some(clamp) = &mut self.clamp else { return };
        if clamp.taught.elapsed() > FORGET {
            self.clamp = None;
        } else {
            clamp.probe(active, under_way);
        }
    }

    fn leave(&mut self, process: NodeId) {
        self.wanting.remove(&process);
        self.refused.remove(&process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    use crate::{
        computer::Computer,
        scheduler::{InUse, Machine, Usage},
    };

    const SEEN: Seen = Seen { foreign: (0, 0), has_queue: true, listed: jiff::Timestamp::UNIX_EPOCH };

    fn computer(label: &str, max_active_jobs: Option<u32>, rate: Option<&str>) -> Computer {
        let submit_rate = rate.map(str::to_owned);
        Computer { label: label.into(), max_active_jobs, submit_rate, ..Computer::default() }
    }

    fn queue(computers: Vec<Computer>, active: u32) -> Queue {
        let sharing = Sharing { queue: QueueId::At("there".into()), computers, machine: None };
        let usage = Usage { active, ..Usage::default() };
        Queue { sharing, usage, holders: HashSet::new(), in_use: InUse::default() }
    }

    fn waiting(gates: &Gates, label: &str, processes: impl IntoIterator<Item = i64>) {
        let mut inner = gates.lock();
        inner.gates.entry(label.to_owned()).or_default().wanting.extend(processes.into_iter().map(NodeId));
    }

    fn passed(gates: &Gates, queue: &Queue) -> Vec<i64> {
        gates.lock().admit(queue, &SEEN, |_| true).passed.into_iter().map(|process| process.0).collect()
    }

    #[test]
    fn older_ones_pass_first_and_leaves_under_way_count() {
        let gates = Gates::default();
        waiting(&gates, "a", 1..=5);
        let queue = queue(vec![computer("a", Some(3), None)], 1);
        assert_eq!(passed(&gates, &queue), [1, 2]);
        assert!(passed(&gates, &queue).is_empty());
        gates.arrived("a", NodeId(1));
        assert_eq!(passed(&gates, &queue), [3]);
    }

    #[test]
    fn computers_of_one_queue_share_the_smaller_bound_and_their_leaves() {
        let gates = Gates::default();
        waiting(&gates, "a", [1, 4, 5]);
        waiting(&gates, "b", [2, 3, 6]);
        let of = |first: &str, second: &str, active| {
            let bound = |label: &str| if label == "a" { Some(10) } else { Some(3) };
            let computers = [first, second].map(|label| computer(label, bound(label), None));
            queue(computers.into(), active)
        };
        // Whichever computer lists, the oldest processes pass, wherever they wait.
        assert_eq!(passed(&gates, &of("a", "b", 0)), [1, 2, 3]);
        assert!(passed(&gates, &of("b", "a", 0)).is_empty(), "leave of either counts for both");
        gates.arrived("b", NodeId(2));
        assert_eq!(passed(&gates, &of("b", "a", 0)), [4]);
        // A host in trouble does not block processes that wait at another computer.
        gates.arrived("a", NodeId(1));
        let one = gates.lock().admit(&of("b", "a", 0), &SEEN, |label| label == "b");
        assert_eq!(one.passed, [NodeId(6)]);
    }

    /// Returns a queue whose jobs share a machine of 8 cores.
    fn workstation(cores_in_use: u32) -> Queue {
        let mut queue = queue(vec![computer("ws", None, None)], 0);
        queue.sharing.machine = Some(Machine { cores: Some(8), ..Machine::default() });
        queue.in_use.add(&Demand { cores: cores_in_use, ..Demand::default() });
        queue
    }

    #[test]
    fn leaves_under_way_have_their_share_of_the_machine_and_nobody_younger_takes_it() {
        let gates = Gates::default();
        for (process, cores) in [(1, 2), (2, 4), (3, 1), (4, 9)] {
            gates.demand(NodeId(process), Demand { cores, ..Demand::default() });
        }
        waiting(&gates, "ws", 1..=4);
        assert_eq!(
            passed(&gates, &workstation(4)),
            [1, 4],
            "2 waits, 3 after it; 4 is to be told that it never fits"
        );
        assert_eq!(passed(&gates, &workstation(4)), [] as [i64; 0], "the leave counts");
        assert!(gates.is_any_wanted(&workstation(0).sharing));
        gates.arrived("ws", NodeId(1));
        assert_eq!(passed(&gates, &workstation(4)), [2]);
        gates.arrived("ws", NodeId(2));
        assert_eq!(passed(&gates, &workstation(7)), [3]);
        gates.arrived("ws", NodeId(3));
        assert!(!gates.is_any_wanted(&workstation(0).sharing), "who never fits has no leave");
    }

    #[tokio::test]
    async fn who_stands_still_holds_nobody_up() {
        let gates = Gates::default();
        for process in 1..=3 {
            gates.demand(NodeId(process), Demand { cores: 8, ..Demand::default() });
        }
        waiting(&gates, "ws", 1..=3);
        let freed = gates.freed();
        gates.stands_still(NodeId(1));
        let told = tokio::time::timeout(Duration::ZERO, freed.notified()).await;
        assert!(told.is_ok(), "those behind it are looked at");
        assert_eq!(passed(&gates, &workstation(0)), [2]);
        assert_eq!(passed(&gates, &workstation(0)), [] as [i64; 0]);
        gates.stands_still(NodeId(2));
        assert_eq!(passed(&gates, &workstation(0)), [3], "its leave is free");
    }

    #[test]
    fn those_who_wait_are_told_what_for() {
        let gates = Gates::default();
        gates.demand(NodeId(1), Demand { cores: 2, ..Demand::default() });
        waiting(&gates, "ws", [1, 2]);
        let queue = workstation(7);
        let mut inner = gates.lock();
        let admitted = inner.admit(&queue, &SEEN, |_| true);
        assert_eq!(admitted.passed, [NodeId(2)], "one that asks for nothing");
        let news = inner.news(&queue.sharing, &admitted).unwrap();
        let Change::Observed { status, .. } = &news.changes[0] else { panic!("{:?}", news.changes) };
        assert_eq!(status.as_deref(), Some("waiting for 2 cores on ws: 7 of 8 in use"));
        assert_eq!(news.states[0].1.taken.cores, 7);
    }

    #[test]
    fn a_computer_without_a_limit_makes_no_statement() {
        let gates = Gates::default();
        waiting(&gates, "free", 1..=5);
        waiting(&gates, "bound", 6..=9);
        let both = queue(vec![computer("free", None, None), computer("bound", Some(2), None)], 0);
        assert_eq!(passed(&gates, &both), [1, 2]);
        assert_eq!(passed(&gates, &queue(vec![computer("free", None, None)], 0)), [3, 4, 5], "alone");
    }

    #[tokio::test(start_paused = true)]
    async fn computers_of_one_queue_share_the_slower_rate_and_what_the_scheduler_taught() {
        let gates = Gates::default();
        waiting(&gates, "a", 1..=20);
        waiting(&gates, "b", 21..=40);
        let computers = vec![computer("a", None, Some("10/10s")), computer("b", None, Some("2/10s"))];
        let both = queue(computers, 0);
        assert_eq!(passed(&gates, &both).len(), 1);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(passed(&gates, &both).len(), 2);
        let free = queue(vec![computer("a", None, None), computer("b", None, None)], 4);
        gates.lock().gates.entry("b".into()).or_default().clamp = Some(Learned::taught(9, None));
        assert!(gates.is_clamped(&free.sharing));
        assert_eq!(passed(&gates, &free).len(), 2, "9 but for 4 with tickets and 3 with leave");
    }

    fn refuse(gates: &Gates, label: &str, process: i64, bound: u32) {
        let mut inner = gates.lock();
        let gate = inner.gates.entry(label.to_owned()).or_default();
        gate.granted.remove(&NodeId(process));
        gate.wanting.insert(NodeId(process));
        gate.refused.insert(NodeId(process));
        gate.clamp = Some(Learned::taught(bound, gate.clamp.as_ref()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_is_probed_by_one_at_a_time_and_never_twice_by_the_same_before_others() {
        let gates = Gates::default();
        waiting(&gates, "a", 1..=3);
        let full = queue(vec![computer("a", None, None)], 5);
        refuse(&gates, "a", 1, 5);
        let (mut probes, start) = (Vec::new(), Instant::now());
        while start.elapsed() < Duration::from_secs(300) {
            tokio::time::advance(Duration::from_secs(1)).await;
            let passed = passed(&gates, &full);
            assert!(passed.len() <= 1, "{passed:?}");
            for process in passed {
                refuse(&gates, "a", process, 5);
                probes.push((start.elapsed().as_secs(), process));
            }
        }
        assert_eq!(probes[..3].iter().map(|probe| probe.1).collect::<Vec<_>>(), [2, 3, 1]);
        assert_eq!(probes[..4].iter().map(|probe| probe.0).collect::<Vec<_>>(), [5, 15, 35, 75]);
        assert!(probes.len() < 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bound_that_proves_too_small_is_soon_no_bound() {
        let gates = Gates::default();
        waiting(&gates, "a", 1..=100);
        refuse(&gates, "a", 1, 1);
        let (mut active, start) = (1, Instant::now());
        while active < 101 {
            tokio::time::advance(Duration::from_secs(1)).await;
            let passed = passed(&gates, &queue(vec![computer("a", None, None)], active));
            passed.iter().for_each(|process| gates.arrived("a", NodeId(*process)));
            active += passed.len() as u32;
            assert!(start.elapsed() < Duration::from_secs(20), "{active}");
        }
    }
}
