//! The loop: who is ready, who is in hand, who comes back when.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    task::{Id, JoinError, JoinSet},
    time::Instant,
};

use super::{
    Context, Event, Submitters,
    drive::{Then, drive},
    poller::{Observation, Pollers},
};
use crate::store::NodeId;

/// How long steps that must not be interrupted may go on after a stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Numbers that `status` shows.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pub(super) stepping: AtomicUsize,
    pub(super) watching: AtomicUsize,
}

pub(super) struct StepLoop {
    cx: Arc<Context>,
    submitters: Arc<Submitters>,
    pollers: Pollers,
    inbox: mpsc::UnboundedReceiver<Event>,
    gauges: Arc<Gauges>,
    /// Only these are stepped (`ferry run`); all others are left to a daemon.
    only: Option<HashSet<NodeId>>,
    ready: VecDeque<NodeId>,
    /// What is in `ready`.
    queued: HashSet<NodeId>,
    busy: HashMap<NodeId, Arc<Notify>>,
    /// Busy ones that were woken meanwhile.
    again: HashSet<NodeId>,
    watching: HashSet<NodeId>,
    /// Waiting at their computer's gate.
    gated: HashSet<NodeId>,
    observations: HashMap<NodeId, Observation>,
    timers: BinaryHeap<Reverse<(Instant, NodeId)>>,
    tasks: JoinSet<Then>,
    names: HashMap<Id, NodeId>,
}

impl StepLoop {
    pub(super) fn new(
        cx: Arc<Context>,
        events: mpsc::UnboundedSender<Event>,
        inbox: mpsc::UnboundedReceiver<Event>,
        gauges: Arc<Gauges>,
        only: Option<NodeId>,
    ) -> Self {
        StepLoop {
            submitters: Arc::new(Submitters::new(cx.clone())),
            pollers: Pollers::new(cx.clone(), events),
            cx,
            inbox,
            gauges,
            only: only.map(|id| HashSet::from([id])),
            ready: VecDeque::new(),
            queued: HashSet::new(),
            busy: HashMap::new(),
            again: HashSet::new(),
            watching: HashSet::new(),
            gated: HashSet::new(),
            observations: HashMap::new(),
            timers: BinaryHeap::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
        }
    }

    /// Steps until told to stop, beginning with what an earlier owner left unfinished.
    pub(super) async fn run(mut self) {
        self.load();
        loop {
            self.start_ready();
            self.gauges.stepping.store(self.busy.len(), Ordering::Relaxed);
            self.gauges.watching.store(self.watching.len(), Ordering::Relaxed);
            let next_timer = self.timers.peek().map(|Reverse((at, _))| *at);
            tokio::select! {
                event = self.inbox.recv() => match event {
                    Some(Event::Stop) | None => break,
                    Some(event) => self.take(event),
                },
                Some(done) = self.tasks.join_next_with_id() => self.finished(done),
                () = sleep_until(next_timer) => self.ring(),
            }
        }
        self.stop().await;
    }

    fn load(&mut self) {
        match self.cx.store.live_processes() {
            Ok(ids) => ids.into_iter().for_each(|id| self.wake(id)),
            Err(error) => tracing::error!(%error, "unfinished processes could not be read"),
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Wake(id) => self.wake(id),
            Event::Attach(id) => {
                if let Some(only) = &mut self.only {
                    only.insert(id);
                }
                self.wake(id);
            }
            Event::Kill(id) => {
                self.forget(id);
                if let Some(interrupt) = self.busy.get(&id) {
                    interrupt.notify_one();
                }
                self.wake(id);
            }
            Event::Observed(id, observation) => {
                self.watching.remove(&id);
                self.gated.remove(&id);
                self.observations.insert(id, observation);
                self.wake(id);
            }
            Event::Stop => {}
        }
    }

    fn forget(&mut self, id: NodeId) {
        if self.watching.remove(&id) | self.gated.remove(&id) {
            self.pollers.forget(id);
        }
    }

    fn wake(&mut self, id: NodeId) {
        if self.only.as_ref().is_some_and(|only| !only.contains(&id)) {
            return;
        }
        if self.busy.contains_key(&id) {
            self.again.insert(id);
        } else if self.queued.insert(id) {
            self.ready.push_back(id);
        }
    }

    fn start_ready(&mut self) {
        while self.busy.len() < self.cx.settings.runner_tasks
            && let Some(id) = self.ready.pop_front()
        {
            self.queued.remove(&id);
            let interrupt = Arc::new(Notify::new());
            let (cx, submitters, heard) = (self.cx.clone(), self.submitters.clone(), interrupt.clone());
            let observation = self.observations.remove(&id);
            let task =
                self.tasks.spawn(async move { drive(&cx, &submitters, id, observation, &heard).await });
            self.names.insert(task.id(), id);
            self.busy.insert(id, interrupt);
        }
    }

    fn finished(&mut self, done: Result<(Id, Then), JoinError>) {
        let (task, then) = match done {
            Ok(done) => done,
            Err(error) => {
                // A bug of ours: the process is left as it is on disk and tried again, slowly.
                tracing::error!(%error, "a step ended in a panic");
                (error.id(), Then::After(Duration::from_secs(30)))
            }
        };
        let Some(id) = self.names.remove(&task) else { return };
        self.busy.remove(&id);
        match then {
            Then::Watch(watch) => {
                self.watching.insert(id);
                self.pollers.watch(watch);
            }
            Then::Gate { computer, refused } => {
                self.gated.insert(id);
                self.pollers.want(id, computer, refused);
            }
            Then::After(delay) if delay.is_zero() => drop(self.again.insert(id)),
            Then::After(delay) => self.timers.push(Reverse((Instant::now() + delay, id))),
            Then::Idle | Then::Ended => {}
        }
        if self.again.remove(&id) {
            self.wake(id);
        }
    }

    fn ring(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, id))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            self.wake(id);
        }
    }

    /// Interrupts what may be interrupted, gives the rest a little time, and drops what is then left: all of it
    /// can be looked up.
    async fn stop(mut self) {
        self.busy.values().for_each(|interrupt| interrupt.notify_one());
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!(
                "some steps were dropped at the stop; their outcome is looked up at the next start"
            );
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
