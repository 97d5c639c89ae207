//! The health of the hosts of all computers: a breaker for each, whether the user has disabled it, and the
//! processes that wait until it is well. A waiting process is an entry here, without a task, timer or connection.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{Mutex as Turn, watch},
    time::Instant,
};

use crate::{
    clock,
    store::{BreakerState, Disabled, HostRow, NodeId, Reader, Result},
    transport::{Breaker, Pace, Phase, Trouble},
};

/// Most processes woken at once while they return gradually.
const LARGEST_BATCH: usize = 4096;

/// All hosts by the label of their computer. Those without an entry are well.
#[derive(Debug)]
pub struct Health {
    hosts: Mutex<BTreeMap<String, Host>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Host {
    breaker: Breaker,
    since: Timestamp,
    error: String,
    disabled: Option<Disabled>,
    parked: BTreeSet<NodeId>,
    /// Parked processes that are being woken, a few at a time.
    returning: VecDeque<NodeId>,
    batch: usize,
    /// The breaker state in the store.
    stored: Option<BreakerState>,
    /// Lock for the task that opens a connection to it now.
    turn: Arc<Turn<()>>,
}

impl Host {
    /// Returns the state that the store should have.
    fn state(&self) -> Option<BreakerState> {
        let phase = self.breaker.phase();
        (phase != Phase::Closed).then(|| BreakerState {
            state: phase.to_string(),
            since: self.since,
            failures: self.breaker.failures(),
            error: self.error.clone(),
            next_probe: self.breaker.due().map(wall_clock),
            needs_user: self.breaker.needs_user(),
            waiting: self.parked.len() as u64,
        })
    }

    /// Starts to wake all waiting processes. Those that must still wait park again.
    fn release(&mut self) {
        self.returning.extend(std::mem::take(&mut self.parked));
        self.batch = 8;
    }
}

/// Returns the wall-clock time of a future instant, rounded to the second, since it is stored and compared.
fn wall_clock(at: Instant) -> Timestamp {
    let wait = at.saturating_duration_since(Instant::now());
    let time = clock::now().checked_add(wait).unwrap_or(Timestamp::MAX);
    time.round(jiff::Unit::Second).unwrap_or(time)
}

fn seed() -> u64 {
    crate::ids::fresh().as_u128() as u64
}

impl Health {
    /// Restores the health that an earlier owner stored.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub(crate) fn load(reader: &Reader) -> Result<Health> {
        let hosts = reader.hosts()?.into_iter().map(|(label, row)| (label, restored(row))).collect();
        Ok(Health { hosts: Mutex::new(hosts), changes: watch::Sender::new(0) })
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        // Every change below is complete before it can panic.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Returns a counter that changes when the health of a host may have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns whether connections to a computer are allowed.
    pub(crate) fn admits(&self, computer: &str) -> bool {
        self.hosts().get(computer).is_none_or(|host| host.breaker.admits())
    }

    /// Returns the number of processes that wait until the computer is well.
    pub(crate) fn waiting(&self, computer: &str) -> usize {
        self.hosts().get(computer).map_or(0, |host| host.parked.len())
    }

    /// Returns whether a computer gets no new work.
    pub(crate) fn is_disabled(&self, computer: &str) -> bool {
        self.hosts().get(computer).is_some_and(|host| host.disabled.is_some())
    }

    /// Returns how often the computer's breaker has opened. Pass it to [`Health::failed`] if work fails that began
    /// now.
    pub(crate) fn epoch(&self, computer: &str) -> u64 {
        self.hosts().get(computer).map_or(0, |host| host.breaker.epoch())
    }

    /// Returns the lock under which connections to a computer are opened. One task opens it; the others wait for
    /// the outcome.
    pub(crate) fn turn(&self, computer: &str) -> Arc<Turn<()>> {
        self.hosts().entry(computer.to_owned()).or_default().turn.clone()
    }

    /// Records that work failed because of its host. Returns whether this opened the breaker. A failure of work
    /// that began under an older `epoch` is ignored, since it concerns a connection that is already given up.
    pub(crate) fn failed(
        &self,
        computer: &str,
        epoch: Option<u64>,
        trouble: Trouble,
        error: &str,
        pace: Pace,
    ) -> bool {
        let mut hosts = self.hosts();
        let host = hosts.entry(computer.to_owned()).or_default();
        let is_news = epoch.is_none_or(|epoch| epoch == host.breaker.epoch());
        if !is_news || !host.breaker.failed(trouble, pace, seed(), Instant::now()) {
            return false;
        }
        host.since = clock::now();
        host.error = error.to_owned();
        let returning = std::mem::take(&mut host.returning);
        host.parked.extend(returning);
        drop(hosts);
        self.changed();
        true
    }

    /// Parks a process until its computer is well and, if `new`, enabled. Returns false if it already is.
    pub(crate) fn park(&self, computer: &str, process: NodeId, new: bool) -> bool {
        let mut hosts = self.hosts();
        let Some(host) = hosts.get_mut(computer) else { return false };
        let waits = !host.breaker.admits() || (new && host.disabled.is_some());
        if waits {
            host.parked.insert(process);
        }
        waits
    }

    /// Disables or enables a computer. The store must have the change already.
    pub(crate) fn set_disabled(&self, computer: &str, disabled: Option<Disabled>) {
        let mut hosts = self.hosts();
        let host = hosts.entry(computer.to_owned()).or_default();
        if disabled.is_none() {
            host.breaker.hurry(Instant::now());
            if host.breaker.admits() {
                host.release();
            }
        }
        host.disabled = disabled;
        drop(hosts);
        self.changed();
    }

    /// Makes the next probe of a computer due now, since the user changed something about it.
    pub(crate) fn hurry(&self, computer: &str) {
        if let Some(host) = self.hosts().get_mut(computer) {
            host.breaker.hurry(Instant::now());
        }
        self.changed();
    }

    /// Begins the probes that are due, and returns the labels of their computers.
    pub(crate) fn due_probes(&self, now: Instant) -> Vec<String> {
        let mut hosts = self.hosts();
        let due = hosts.iter_mut().filter_map(|(label, host)| host.breaker.begin_probe(now).then_some(label));
        due.cloned().collect()
    }

    /// Records the outcome of a probe.
    pub(crate) fn probed(&self, computer: &str, outcome: Result<(), (Trouble, String)>, pace: Pace) {
        let mut hosts = self.hosts();
        let host = hosts.entry(computer.to_owned()).or_default();
        match outcome {
            Ok(()) => {
                host.breaker.close();
                host.release();
            }
            Err((trouble, error)) => {
                host.breaker.probe_failed(trouble, pace, seed(), Instant::now());
                host.error = error;
            }
        }
        drop(hosts);
        self.changed();
    }

    /// Takes the next few processes that may continue. Their number grows with each call.
    pub(crate) fn returning(&self) -> Vec<NodeId> {
        let mut all = Vec::new();
        for host in self.hosts().values_mut() {
            let count = host.batch.min(host.returning.len());
            all.extend(host.returning.drain(..count));
            host.batch = (host.batch * 2).min(LARGEST_BATCH);
        }
        all
    }

    /// Returns whether [`Health::returning`] has more.
    pub(crate) fn is_returning(&self) -> bool {
        self.hosts().values().any(|host| !host.returning.is_empty())
    }

    /// Returns the time at which the next probe is due.
    pub(crate) fn next_probe(&self) -> Option<Instant> {
        self.hosts().values().filter_map(|host| host.breaker.due()).min()
    }

    /// Returns whether any host is in trouble.
    pub(crate) fn is_any_open(&self) -> bool {
        self.hosts().values().any(|host| !host.breaker.admits())
    }

    /// Returns the states that are not stored yet.
    pub(crate) fn unsaved(&self) -> Vec<(String, Option<BreakerState>)> {
        let hosts = self.hosts();
        let states = hosts.iter().map(|(label, host)| (label, host, host.state()));
        let unsaved = states.filter(|(_, host, state)| !is_same(state.as_ref(), host.stored.as_ref()));
        unsaved.map(|(label, _, state)| (label.clone(), state)).collect()
    }

    /// Records that these states are stored.
    pub(crate) fn saved(&self, states: Vec<(String, Option<BreakerState>)>) {
        let mut hosts = self.hosts();
        for (label, state) in states {
            hosts.entry(label).or_default().stored = state;
        }
    }
}

/// Compares two states. The time of the next probe is recomputed each time, and may differ by less than two
/// seconds.
fn is_same(a: Option<&BreakerState>, b: Option<&BreakerState>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            let near = match (a.next_probe, b.next_probe) {
                (Some(a), Some(b)) => a.duration_since(b).unsigned_abs() < Duration::from_secs(2),
                (a, b) => a == b,
            };
            near && *a == BreakerState { next_probe: a.next_probe, ..b.clone() }
        }
        (a, b) => a == b,
    }
}

fn restored(row: HostRow) -> Host {
    let Some(state) = row.breaker else { return Host { disabled: row.disabled, ..Host::default() } };
    // Even if the clock was changed meanwhile, a probe is never further off than the longest wait.
    let wait = |next: Timestamp| {
        Duration::try_from(next.duration_since(clock::now()))
            .unwrap_or_default()
            .min(Pace::default().0.longest)
    };
    let due = match (state.next_probe, state.needs_user) {
        (Some(next), _) => Some(Instant::now() + wait(next)),
        (None, true) => None,
        (None, false) => Some(Instant::now()),
    };
    Host {
        breaker: Breaker::left_open(state.failures, state.needs_user, due),
        since: state.since,
        error: state.error.clone(),
        disabled: row.disabled,
        stored: Some(state),
        ..Host::default()
    }
}

/// Returns the status of a process that waits for a host. The host's trouble and the time of the next probe are
/// added when the status is shown, since they change for all of them at once.
pub(crate) fn parked_status(computer: &str) -> String {
    format!("waiting for computer `{computer}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health { hosts: Mutex::default(), changes: watch::Sender::new(0) }
    }

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    fn fail(health: &Health) -> bool {
        let epoch = Some(health.epoch("far"));
        health.failed("far", epoch, Trouble::Passing, "connection refused", Pace::default())
    }

    #[test]
    fn who_is_parked_comes_back_in_a_trickle_when_a_probe_succeeds() {
        let health = health();
        assert!(!health.park("far", NodeId(1), false), "all is well");
        assert!(fail(&health) && !health.admits("far"));
        for id in 0..100 {
            assert!(health.park("far", NodeId(id), false));
        }
        assert_eq!(health.due_probes(Instant::now()), Vec::<String>::new());
        assert_eq!(health.due_probes(after(2)), ["far"]);
        health.probed("far", Err((Trouble::Passing, "still".into())), Pace::default());
        assert!(health.returning().is_empty());
        assert_eq!(health.due_probes(after(12)), ["far"]);
        health.probed("far", Ok(()), Pace::default());
        let sizes: Vec<usize> = (0..5).map(|_| health.returning().len()).collect();
        assert_eq!(sizes, [8, 16, 32, 44, 0]);
    }

    #[test]
    fn a_straggler_s_error_is_no_news_and_a_new_failure_holds_the_trickle() {
        let health = health();
        let old = health.epoch("far");
        fail(&health);
        health.park("far", NodeId(1), false);
        health.due_probes(after(2));
        health.probed("far", Ok(()), Pace::default());
        assert!(!health.failed("far", Some(old), Trouble::Passing, "lost", Pace::default()));
        assert!(health.admits("far"));
        assert!(fail(&health));
        assert!(health.returning().is_empty(), "back to the others");
    }

    #[test]
    fn a_disabled_computer_keeps_new_work_waiting_and_nothing_else() {
        let health = health();
        health.set_disabled("far", Some(Disabled { since: clock::now(), reason: String::new() }));
        assert!(!health.park("far", NodeId(1), false), "a job of it goes on");
        assert!(health.park("far", NodeId(2), true));
        health.set_disabled("far", None);
        assert_eq!(health.returning(), [NodeId(2)]);
    }

    #[test]
    fn what_was_stored_is_restored_and_not_written_again() {
        let health = health();
        fail(&health);
        let unsaved = health.unsaved();
        health.saved(unsaved.clone());
        assert!(health.unsaved().is_empty());
        let state = unsaved[0].1.as_ref().expect("an open breaker is stored");
        let row = HostRow { breaker: Some(state.clone()), ..HostRow::default() };
        let again = restored(row);
        assert!(!again.breaker.admits());
        assert!(is_same(again.state().as_ref(), Some(state)), "{:?} {state:?}", again.state());
    }
}
