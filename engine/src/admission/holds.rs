//! Processes whose submission the scheduler refused for now. Each waits on its own, and others may pass.
//!
//! Processes form a group if they were refused alike: the same partition, account and quality of service, and the
//! same message. One of a group tries at a time, soon at first, then ever more rarely, up to a minute. When one
//! succeeds, a few more try at once, and a few more for each of those. If the number of jobs was the reason,
//! newcomers join the group without a try. Otherwise it is unknown whether the message applies to a newcomer too.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::SchedulerTrouble;
use crate::{
    back_off::{BackOff, spread},
    clock,
    store::NodeId,
};

/// The delays before one of the waiting processes tries again.
const WAITS: BackOff = BackOff { first: Duration::from_secs(5), longest: Duration::from_secs(60) };
/// Divisor: the interval is the time since the last success divided by this.
const PARTS: u32 = 3;
/// Time after which a process that was sent to try counts as lost.
const LOST: Duration = Duration::from_secs(90);
/// The number of processes that try at once after a success.
const MORE: usize = 4;

/// A refusal by which the process's job is held back. The process tries again when its turn comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The scheduler's words.
    pub words: String,
    /// True if the number of jobs was the reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quota: bool,
}

impl Held {
    /// Returns the words that this refusal shares with others of its lane; `None` if the number of jobs was the
    /// reason.
    pub(crate) fn reason(&self) -> Option<String> {
        (!self.quota).then(|| self.words.clone())
    }
}

/// The settings that jobs share which are refused together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane {
    pub(crate) computer: String,
    pub(crate) queue_name: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) qos: Option<String>,
    pub(crate) custom: String,
}

/// A lane, and the scheduler's message. There is no message if the reason is the number of jobs, which the whole
/// lane shares.
type Key = (Lane, Option<String>);

/// The processes that wait, in groups.
#[derive(Debug, Default)]
pub(crate) struct Holds(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    groups: BTreeMap<Key, Group>,
    /// Processes that may try now.
    called: VecDeque<NodeId>,
}

#[derive(Debug)]
struct Group {
    /// Time at which the group was formed, for display.
    began: Timestamp,
    /// Time of the last success, or of the group's formation.
    since: Instant,
    /// The scheduler's message.
    words: String,
    next: Instant,
    waiting: VecDeque<NodeId>,
    /// Processes that were sent to try, with the time.
    trying: BTreeMap<NodeId, Instant>,
}

impl Group {
    fn new(now: Instant) -> Group {
        Group {
            began: clock::now(),
            since: now,
            words: String::new(),
            next: now,
            waiting: VecDeque::new(),
            trying: BTreeMap::new(),
        }
    }

    /// Returns the delay. It varies by a tenth, so that groups do not return at the same time.
    fn interval(&self, seed: NodeId, now: Instant) -> Duration {
        let wait = WAITS.wait_by_age(now.duration_since(self.since), PARTS);
        // Ids in a row are far from one another.
        spread(wait, seed.0.unsigned_abs().wrapping_mul(70))
    }

    /// Returns the time at which the next process may try; `None` if none waits.
    fn due(&self) -> Option<Instant> {
        self.waiting.front()?;
        let lost = self.trying.values().max().map(|sent| *sent + LOST);
        Some(lost.map_or(self.next, |lost| lost.max(self.next)))
    }

    fn remove(&mut self, process: NodeId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| *waiting != process);
        self.trying.remove(&process).is_some() | (self.waiting.len() < before)
    }

    fn send(&mut self, count: usize, now: Instant) -> Vec<NodeId> {
        let sent: Vec<NodeId> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        self.trying.extend(sent.iter().map(|process| (*process, now)));
        sent
    }
}

impl Holds {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change below is complete before it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a process that was refused, behind the others that were refused alike.
    pub(crate) fn hold(&self, process: NodeId, lane: Lane, held: &Held) {
        let now = Instant::now();
        let mut inner = self.lock();
        // Its own group stays, even if it is alone there: the group remembers how long this has gone on.
        inner.groups.values_mut().for_each(|group| {
            group.remove(process);
        });
        let group = inner.groups.entry((lane, held.reason())).or_insert_with(|| Group::new(now));
        group.words.clone_from(&held.words);
        group.waiting.push_back(process);
        group.next = group.next.max(now + group.interval(process, now));
        inner.tidy();
    }

    /// Returns whether a process may try. `held`: its last refusal, as stored. `has_leave`: it comes from the
    /// gate, where it may have waited so long that others were called meanwhile.
    pub(crate) fn admits(&self, process: NodeId, lane: &Lane, held: Option<&Held>, has_leave: bool) -> bool {
        let now = Instant::now();
        let mut inner = self.lock();
        if inner.groups.values().any(|group| group.trying.contains_key(&process)) {
            return true;
        }
        if inner.groups.values().any(|group| group.waiting.contains(&process)) {
            return false;
        }
        let full = (lane.clone(), None);
        let key = match held {
            Some(held) => (lane.clone(), held.reason()),
            None if inner.groups.contains_key(&full) => full,
            None => return true,
        };
        // After a start of the owner, the first of them tries, and the others wait for its outcome.
        let is_first = !inner.groups.contains_key(&key);
        let group = inner.groups.entry(key).or_insert_with(|| Group::new(now));
        if let Some(held) = held {
            group.words.clone_from(&held.words);
        }
        let tries = is_first || (has_leave && held.is_some());
        if tries {
            group.trying.insert(process, now);
            group.next = group.next.max(now + WAITS.first);
        } else {
            group.waiting.push_back(process);
        }
        tries
    }

    /// Records that a process was accepted. A few more of those that waited with it may try now.
    pub(crate) fn passed(&self, process: NodeId) {
        let now = Instant::now();
        let mut inner = self.lock();
        let Inner { groups, called } = &mut *inner;
        for group in groups.values_mut().filter(|group| group.trying.contains_key(&process)) {
            group.trying.remove(&process);
            group.since = now;
            called.extend(group.send(MORE, now));
        }
        inner.tidy();
    }

    /// Removes a process that no longer waits.
    pub(crate) fn forget(&self, process: NodeId) {
        self.lock().drop_from_all(process);
    }

    /// Returns the reasons why processes wait, and their numbers, for `ferry status`.
    pub(crate) fn told(&self) -> Vec<SchedulerTrouble> {
        let inner = self.lock();
        let told = inner.groups.iter().map(|((lane, _), group)| SchedulerTrouble {
            computer: lane.computer.clone(),
            cluster: None,
            since: group.began.to_string(),
            message: group.words.clone(),
            held: group.waiting.len() + group.trying.len(),
        });
        told.collect()
    }

    /// Returns the time at which the next process is to be called.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.lock().groups.values().filter_map(Group::due).min()
    }

    /// Takes the processes that may try now; the caller wakes them.
    pub(crate) fn called(&self) -> Vec<NodeId> {
        let now = Instant::now();
        let mut inner = self.lock();
        let Inner { groups, called } = &mut *inner;
        for group in groups.values_mut().filter(|group| group.due().is_some_and(|due| due <= now)) {
            // A process that was sent before and did not return was paused, for example.
            group.trying.clear();
            let sent = group.send(1, now);
            let wait = sent.first().map_or(WAITS.first, |process| group.interval(*process, now));
            group.next = now + wait;
            called.extend(sent);
        }
        called.drain(..).collect()
    }
}

impl Inner {
    fn drop_from_all(&mut self, process: NodeId) {
        for group in self.groups.values_mut() {
            group.remove(process);
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        self.groups.retain(|_, group| !(group.waiting.is_empty() && group.trying.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn lane(qos: &str) -> Lane {
        Lane {
            computer: "far".into(),
            queue_name: None,
            account: None,
            qos: Some(qos.into()),
            custom: String::new(),
        }
    }

    fn drained() -> Held {
        Held { words: "partition not available".into(), quota: false }
    }

    fn quota() -> Held {
        Held { words: "QOSMaxSubmitJobPerUserLimit".into(), quota: true }
    }

    async fn after(seconds: u64, holds: &Holds) -> Vec<i64> {
        advance(Duration::from_secs(seconds)).await;
        holds.called().into_iter().map(|process| process.0).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_those_who_were_refused_tries_at_a_time_ever_more_rarely() {
        let holds = Holds::default();
        for id in 1..=40 {
            assert!(holds.admits(NodeId(id), &lane("a"), None, false), "it is not known to mean all of them");
            holds.hold(NodeId(id), lane("a"), &drained());
        }
        let (start, mut tries) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(600) {
            for id in after(1, &holds).await {
                tries += 1;
                assert!(holds.admits(NodeId(id), &lane("a"), Some(&drained()), false));
                assert!(!holds.admits(
                    NodeId(if id == 1 { 2 } else { 1 }),
                    &lane("a"),
                    Some(&drained()),
                    false
                ));
                holds.hold(NodeId(id), lane("a"), &drained());
            }
        }
        assert!((12..40).contains(&tries), "{tries}");
        assert!(holds.admits(NodeId(99), &lane("a"), None, false), "others pass");
        let told = holds.told();
        assert_eq!((told.len(), told[0].held, &*told[0].message), (1, 40, "partition not available"));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_short_trouble_all_get_in_within_ten_seconds() {
        let holds = Holds::default();
        (1..=40).for_each(|id| holds.hold(NodeId(id), lane("a"), &drained()));
        let start = Instant::now();
        let mut passed = 0;
        while passed < 40 {
            for id in after(1, &holds).await {
                if start.elapsed() < Duration::from_secs(25) {
                    holds.hold(NodeId(id), lane("a"), &drained());
                } else {
                    holds.passed(NodeId(id));
                    passed += 1;
                }
            }
            assert!(start.elapsed() <= Duration::from_secs(36), "{passed} of 40");
        }
        assert_eq!(holds.next(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_on_jobs_holds_newcomers_of_its_lane_and_nobody_else() {
        let holds = Holds::default();
        holds.hold(NodeId(1), lane("small"), &quota());
        assert!(!holds.admits(NodeId(2), &lane("small"), None, false));
        assert!(holds.admits(NodeId(3), &lane("large"), None, false));
        assert_eq!(after(6, &holds).await, [1]);
        assert_eq!(after(6, &holds).await, [] as [i64; 0], "one at a time");
        holds.passed(NodeId(1));
        assert_eq!(after(0, &holds).await, [2]);
        assert!(holds.admits(NodeId(2), &lane("small"), None, false));
        holds.forget(NodeId(2));
        assert!(holds.admits(NodeId(4), &lane("small"), None, false), "nobody is held there any more");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_come_back_holds_up_nobody_for_ever() {
        let holds = Holds::default();
        holds.hold(NodeId(1), lane("a"), &quota());
        holds.hold(NodeId(2), lane("a"), &quota());
        assert_eq!(after(6, &holds).await, [1]);
        assert_eq!(after(60, &holds).await, [] as [i64; 0]);
        assert_eq!(after(60, &holds).await, [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_start_the_first_tries_and_the_others_wait() {
        let holds = Holds::default();
        assert!(holds.admits(NodeId(1), &lane("a"), Some(&drained()), false));
        assert!(!holds.admits(NodeId(2), &lane("a"), Some(&drained()), false));
        holds.hold(NodeId(1), lane("a"), &drained());
        assert_eq!(after(6, &holds).await, [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_alone_is_tried_ever_more_rarely_too() {
        let holds = Holds::default();
        holds.hold(NodeId(1), lane("a"), &drained());
        let (start, mut tries) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(1200) {
            for id in after(1, &holds).await {
                tries += 1;
                holds.hold(NodeId(id), lane("a"), &drained());
            }
        }
        assert!((18..40).contains(&tries), "{tries}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waited_long_for_leave_tries_when_it_has_it() {
        let holds = Holds::default();
        holds.hold(NodeId(1), lane("a"), &quota());
        holds.hold(NodeId(2), lane("a"), &quota());
        assert_eq!(after(6, &holds).await, [1]);
        assert_eq!(after(120, &holds).await, [2]);
        assert!(holds.admits(NodeId(1), &lane("a"), Some(&quota()), true));
        assert!(!holds.admits(NodeId(3), &lane("a"), None, true), "a newcomer gives its leave back");
    }
}
