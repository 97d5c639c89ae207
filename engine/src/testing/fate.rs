//! The faults of an owner, planned in advance: which commits fail, which remote operations are lost, and when it
//! dies. It counts commits and operations across crashes, so that "the 17th commit" has one meaning in a schedule.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    rng::Rng,
    trace::{Trace, Watch},
};
use crate::store::{ErrorKind, testing::Fault};

/// The fault of one remote operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpFault {
    /// The connection is lost before the operation acts; the caller can't know which.
    LostBefore,
    /// The connection is lost after the operation acted; the caller can't know which.
    LostAfter,
    /// It starts with this delay.
    SlowBefore(Duration),
    /// Its answer comes with this delay.
    SlowAfter(Duration),
    /// The owner dies just before it.
    DieBefore,
    /// The owner dies after it acted, before the answer.
    DieAfter,
    /// A submission's wrapper is on its way, and acts with this delay; the connection is lost.
    Late(Duration),
    /// The scheduler's client times out, and the job was accepted.
    TimedOutIn,
    /// The scheduler's client times out, and the job was not accepted.
    TimedOutNotIn,
    /// A listing silently leaves out every other job.
    Half,
}

impl OpFault {
    /// Returns whether the fault can apply to an operation of this name. If not, it waits for one.
    fn fits(self, what: &str) -> bool {
        match self {
            OpFault::Late(_) | OpFault::TimedOutIn | OpFault::TimedOutNotIn => what == "submit",
            OpFault::Half => matches!(what, "status" | "survey" | "recover"),
            _ => true,
        }
    }
}

/// The faults of a schedule, and the events so far.
pub(super) struct Fate {
    inner: Mutex<Inner>,
    crash: Notify,
    began: Instant,
}

struct Inner {
    commits: u64,
    ops: u64,
    crashes: u32,
    /// Counts of commits and operations at the end of all faults.
    before_calm: Option<(u64, u64)>,
    on_commit: BTreeMap<u64, Fault>,
    on_op: BTreeMap<u64, OpFault>,
    /// Faults that wait for an operation to which they apply.
    waiting: Vec<OpFault>,
    calls: u64,
    on_call: BTreeSet<u64>,
    store_down: Option<(Instant, ErrorKind)>,
    trace: Trace,
    wrongs: Vec<String>,
}

impl fmt::Debug for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fate").finish_non_exhaustive()
    }
}

impl Fate {
    pub(super) fn new(
        on_commit: BTreeMap<u64, Fault>,
        on_op: BTreeMap<u64, OpFault>,
        on_call: BTreeSet<u64>,
        watch: Watch,
    ) -> Fate {
        let inner = Inner {
            commits: 0,
            ops: 0,
            crashes: 0,
            before_calm: None,
            on_commit,
            on_op,
            waiting: Vec::new(),
            calls: 0,
            on_call,
            store_down: None,
            trace: Trace::new(watch),
            wrongs: Vec::new(),
        };
        Fate { inner: Mutex::new(inner), crash: Notify::new(), began: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event to the trace.
    pub(super) fn note(&self, what: fmt::Arguments<'_>) {
        self.lock().trace.note(self.began.elapsed(), what);
    }

    /// Records a violation: an event that must never happen.
    pub(super) fn wrong(&self, what: String) {
        self.note(format_args!("WRONG {what}"));
        let wrongs = &mut self.lock().wrongs;
        if !wrongs.contains(&what) {
            wrongs.push(what);
        }
    }

    /// Returns the times that the last commit takes on the disk, and for its answer. They are mostly short, now
    /// and then very long.
    pub(super) fn commit_takes(&self) -> (Duration, Duration) {
        let mut rng = Rng::new(self.lock().commits);
        let mut time = || {
            let most = if rng.chance(10) { 2_000 } else { 5 };
            Duration::from_millis(rng.between(0, most))
        };
        (time(), time())
    }

    /// Counts a commit; returns its fault.
    pub(super) fn commit(&self) -> Fault {
        let mut inner = self.lock();
        inner.commits += 1;
        let number = inner.commits;
        let down = inner.store_down.filter(|(until, _)| Instant::now() < *until);
        match inner.on_commit.remove(&number) {
            Some(fault) => fault,
            None => down.map_or(Fault::None, |(_, kind)| Fault::Fail(kind)),
        }
    }

    /// Counts a remote operation; returns its fault, if any.
    pub(super) fn op(&self, what: &str) -> Option<OpFault> {
        let mut inner = self.lock();
        inner.ops += 1;
        let number = inner.ops;
        let due = inner.on_op.remove(&number);
        inner.waiting.extend(due);
        let fitting = inner.waiting.iter().position(|fault| fault.fits(what))?;
        Some(inner.waiting.remove(fitting))
    }

    /// Counts a call of a plugin; returns whether its host dies during it.
    pub(super) fn call(&self) -> bool {
        let mut inner = self.lock();
        inner.calls += 1;
        let number = inner.calls;
        inner.on_call.remove(&number)
    }

    /// Makes the store fail for a while.
    pub(super) fn store_down(&self, lasts: Duration, kind: ErrorKind) {
        self.lock().store_down = Some((Instant::now() + lasts, kind));
    }

    /// Ends all faults.
    pub(super) fn calm(&self) {
        let mut inner = self.lock();
        inner.before_calm = Some((inner.commits, inner.ops));
        inner.on_commit.clear();
        inner.on_op.clear();
        inner.waiting.clear();
        inner.on_call.clear();
        inner.store_down = None;
    }

    /// Lets the owner die: the caller never gets an answer.
    pub(super) async fn die<T>(&self, of: &str) -> T {
        self.note(format_args!("CRASH at {of}"));
        self.lock().crashes += 1;
        self.crash.notify_one();
        std::future::pending().await
    }

    /// Waits for the next crash of the owner.
    pub(super) async fn crashed(&self) {
        self.crash.notified().await;
    }

    /// Returns the counts of commits, remote operations and crashes. Commits and operations count until the end of
    /// all faults.
    pub(super) fn counts(&self) -> (u64, u64, u32) {
        let inner = self.lock();
        let (commits, ops) = inner.before_calm.unwrap_or((inner.commits, inner.ops));
        (commits, ops, inner.crashes)
    }

    pub(super) fn wrongs(&self) -> Vec<String> {
        self.lock().wrongs.clone()
    }

    pub(super) fn digest(&self) -> String {
        self.lock().trace.digest()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lock().trace.lines()
    }
}
