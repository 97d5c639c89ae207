//! The executor: an event loop that picks the next runnable process, tracks the tasks in flight, and reschedules
//! waiting processes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ferry_plugin_proto::Kind;
use tokio::{
    sync::{Notify, mpsc},
    task::{Id, JoinError, JoinSet},
    time::Instant,
};

use crate::{
    calcjob::{Observation, Submitters},
    clock,
    computers::{
        Event, cancel_orphans as reaper, poller::Pollers, prober::watch_hosts, remove_work_dirs as cleaner,
    },
    executor::crash_blame::Suspects,
    executor::{
        StoreTrouble,
        advance::{Driven, Then, drive},
        failure::STORE_RETRY,
        fair_queue::Ready,
        timers::Timers,
    },
    owner::Context,
    spec::is_workflow,
    store::{self, NodeId},
};

/// Time that steps which must not be interrupted may take after a stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Numbers that `status` shows.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) stepping: AtomicUsize,
    pub(crate) watching: AtomicUsize,
    pub(crate) trouble: Mutex<Option<StoreTrouble>>,
}

pub(crate) struct Executor {
    cx: Arc<Context>,
    submitters: Arc<Submitters>,
    pollers: Pollers,
    inbox: mpsc::UnboundedReceiver<Event>,
    gauges: Arc<Gauges>,
    /// The only call trees to step (`ferry run`); all others are left to a daemon.
    only: Option<HashSet<NodeId>>,
    /// Workflows that are ready for a step. Steps are quick, so they never queue behind other work.
    steps: Ready,
    /// All other processes that are ready.
    work: Ready,
    /// Numbers of tasks that are running from each queue.
    stepping: usize,
    working: usize,
    busy: BTreeMap<NodeId, Hand>,
    /// Running ones that were woken meanwhile.
    again: HashSet<NodeId>,
    watching: HashSet<NodeId>,
    /// Processes that wait at their computer's gate.
    gated: HashSet<NodeId>,
    observations: HashMap<NodeId, Observation>,
    /// The task that watches computers in trouble; it ends with the loop.
    watcher: JoinSet<()>,
    timers: Timers,
    /// Processes that were stuck when they were last driven.
    stuck: HashSet<NodeId>,
    /// Time at which to read the unfinished processes again, if that failed.
    load_again: Option<Instant>,
    tasks: JoinSet<Driven>,
    names: HashMap<Id, NodeId>,
    pub(crate) suspects: Suspects,
}

/// A process that is being stepped.
struct Hand {
    interrupt: Arc<Notify>,
    is_step: bool,
}

/// Most steps of workflows at the same time.
const STEPS: usize = 32;

impl Executor {
    pub(crate) fn new(
        cx: Arc<Context>,
        events: mpsc::UnboundedSender<Event>,
        inbox: mpsc::UnboundedReceiver<Event>,
        gauges: Arc<Gauges>,
        only: Option<NodeId>,
    ) -> Self {
        let mut watcher = JoinSet::new();
        watcher.spawn(watch_hosts(cx.clone(), events.clone()));
        Executor {
            watcher,
            submitters: Arc::new(Submitters::new(cx.clone())),
            pollers: Pollers::new(cx.clone(), events),
            cx,
            inbox,
            gauges,
            only: only.map(|id| HashSet::from([id])),
            steps: Ready::default(),
            work: Ready::default(),
            stepping: 0,
            working: 0,
            busy: BTreeMap::new(),
            again: HashSet::new(),
            watching: HashSet::new(),
            gated: HashSet::new(),
            observations: HashMap::new(),
            timers: Timers::new(),
            stuck: HashSet::new(),
            load_again: None,
            tasks: JoinSet::new(),
            names: HashMap::new(),
            suspects: Suspects::default(),
        }
    }

    /// Steps processes until a stop is requested, beginning with those that an earlier owner left unfinished.
    pub(crate) async fn run(mut self) {
        self.load();
        // Ends with the loop: it holds the profile.
        let mut side = JoinSet::new();
        side.spawn(reaper::serve(self.cx.clone()));
        side.spawn(cleaner::serve(self.cx.clone()));
        loop {
            self.start_ready();
            self.gauges.stepping.store(self.busy.len(), Ordering::Relaxed);
            self.gauges.watching.store(self.watching.len(), Ordering::Relaxed);
            let timers = self.timers.next().into_iter().chain(self.load_again);
            let next_timer = timers.chain(self.cx.holds.next()).min();
            tokio::select! {
                // In a fixed order, so that a simulation can be replayed.
                biased;
                event = self.inbox.recv() => match event {
                    Some(Event::Stop) | None => break,
                    Some(event) => self.take(event),
                },
                Some(done) = self.tasks.join_next_with_id() => self.finished(done),
                () = sleep_until(next_timer) => self.ring(),
            }
        }
        side.shutdown().await;
        self.stop().await;
    }

    /// Loads the processes that have not ended. Those that wait for a child or a time stay rows in the store.
    fn load(&mut self) {
        let live = match self.cx.store.live_processes() {
            Ok(live) => live,
            Err(error) => {
                tracing::error!(%error, "unfinished processes could not be read; retrying");
                self.load_again = Some(Instant::now() + STORE_RETRY);
                return self.tell_trouble(Some(&error));
            }
        };
        self.load_again = None;
        self.tell_trouble(None);
        // The clock may have been set back while no owner ran.
        live.iter().filter_map(|process| process.since).for_each(clock::advance_to);
        for process in live {
            // Launched or requested before this could be read.
            if self.busy.contains_key(&process.id) {
                continue;
            }
            if !process.at_rest {
                self.enqueue(process.id, process.root, process.kind);
            } else if let Some(wake) = process.wake {
                let delay = wake.duration_since(clock::steady());
                self.timers.set(process.id, Duration::try_from(delay).unwrap_or_default());
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Wake(id) => self.wake(id),
            Event::Attach(id) => {
                let place = self.cx.store.place(id).ok().flatten();
                if let (Some(only), Some((root, _))) = (&mut self.only, place) {
                    only.insert(root);
                }
                self.wake(id);
            }
            Event::Kill(id) => {
                self.forget(id);
                if let Some(hand) = self.busy.get(&id) {
                    hand.interrupt.notify_one();
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
        // A single bar: both are to be removed.
        if self.watching.remove(&id) | self.gated.remove(&id) {
            self.pollers.forget(id);
        }
    }

    fn wake(&mut self, id: NodeId) {
        if self.busy.contains_key(&id) {
            self.again.insert(id);
            return;
        }
        let (root, kind) = match self.cx.store.place(id) {
            Ok(Some(place)) => place,
            Ok(None) => {
                self.clear_stuck(id);
                return;
            }
            Err(error) => {
                tracing::error!(process = %id, %error, "the process could not be read");
                return self.mark_stuck(id, &error);
            }
        };
        self.enqueue(id, root, kind);
    }

    fn mark_stuck(&mut self, id: NodeId, error: &store::Error) {
        self.timers.set(id, STORE_RETRY);
        self.stuck.insert(id);
        self.tell_trouble(Some(error));
    }

    fn clear_stuck(&mut self, id: NodeId) {
        if self.stuck.remove(&id) {
            self.tell_trouble(None);
        }
    }

    /// Updates the trouble that `status` shows if the store can't be read or written. `news` is its latest error.
    fn tell_trouble(&self, news: Option<&store::Error>) {
        let mut told = self.gauges.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stuck.is_empty() && self.load_again.is_none() {
            *told = None;
        } else if let Some(error) = news {
            let help = error.help_text().map(str::to_owned);
            *told = Some(StoreTrouble { processes: 0, message: error.to_string(), help });
        }
        if let Some(trouble) = &mut *told {
            trouble.processes = self.stuck.len();
        }
    }

    fn enqueue(&mut self, id: NodeId, root: NodeId, kind: Kind) {
        if self.only.as_ref().is_some_and(|only| !only.contains(&root)) {
            return;
        }
        let queue = if is_workflow(kind) { &mut self.steps } else { &mut self.work };
        queue.push(root, id);
    }

    fn start_ready(&mut self) {
        while self.stepping < STEPS
            && let Some(id) = self.steps.pop()
        {
            self.start(id, true);
        }
        while self.working < self.cx.settings.runner_tasks
            && let Some(id) = self.work.pop()
        {
            self.start(id, false);
        }
    }

    fn start(&mut self, id: NodeId, is_step: bool) {
        self.timers.clear(id);
        if let Some(wait) = self.suspects.not_yet(id, Instant::now()) {
            return self.timers.set(id, wait);
        }
        self.suspects.begin(id);
        let interrupt = Arc::new(Notify::new());
        let (cx, submitters, heard) = (self.cx.clone(), self.submitters.clone(), interrupt.clone());
        let observation = self.observations.remove(&id);
        let task = self.tasks.spawn(async move { drive(&cx, &submitters, id, observation, &heard).await });
        self.names.insert(task.id(), id);
        self.busy.insert(id, Hand { interrupt, is_step });
        *self.count(is_step) += 1;
    }

    fn count(&mut self, is_step: bool) -> &mut usize {
        if is_step { &mut self.stepping } else { &mut self.working }
    }

    fn finished(&mut self, done: Result<(Id, Driven), JoinError>) {
        let (task, driven) = match done {
            Ok(done) => done,
            Err(error) => {
                // A bug in ferry: the process is left as it is on disk and tried again, slowly.
                tracing::error!(%error, "a step ended in a panic");
                (error.id(), Driven::from(Then::After(Duration::from_secs(30))))
            }
        };
        let Some(id) = self.names.remove(&task) else { return };
        if let Some(hand) = self.busy.remove(&id) {
            *self.count(hand.is_step) -= 1;
        }
        if let Some(next) = self.suspects.end(id) {
            self.wake(next);
        }
        driven.born.into_iter().for_each(|child| self.wake(child));
        for top in driven.killed {
            let tree = self.cx.store.live_tree(top).unwrap_or_default();
            tree.into_iter().rev().for_each(|id| self.take(Event::Kill(id)));
        }
        if !matches!(driven.then, Then::Stuck(_)) {
            self.clear_stuck(id);
        }
        match driven.then {
            // Observations that arrived meanwhile are taken in first.
            Then::Watch(_) if self.observations.contains_key(&id) => {}
            Then::Watch(watch) => {
                self.watching.insert(id);
                self.pollers.watch(watch);
            }
            Then::Gate { computer, refused } => {
                self.gated.insert(id);
                self.pollers.want(id, computer, refused);
            }
            Then::After(delay) if delay.is_zero() => drop(self.again.insert(id)),
            Then::After(delay) => self.timers.set(id, delay),
            Then::Stuck(error) => self.mark_stuck(id, &error),
            Then::Ended => {
                self.cx.holds.forget(id);
                self.cx.board.tell(id);
                driven.caller.into_iter().for_each(|caller| self.wake(caller));
            }
            Then::Idle => {}
        }
        if self.again.remove(&id) {
            self.wake(id);
        }
        self.call_held();
    }

    fn ring(&mut self) {
        if self.load_again.is_some_and(|at| at <= Instant::now()) {
            self.load();
        }
        for id in self.timers.ring() {
            self.wake(id);
        }
        self.call_held();
    }

    /// Wakes the processes that a scheduler refused for now and that may try again.
    fn call_held(&mut self) {
        for id in self.cx.holds.called() {
            self.wake(id);
        }
    }

    /// Interrupts steps that may be interrupted, gives the rest a little time, and drops those that are then left.
    /// The outcome of each can be looked up.
    async fn stop(mut self) {
        self.watcher.abort_all();
        self.busy.values().for_each(|hand| hand.interrupt.notify_one());
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!(
                "some steps were interrupted by the stop; their outcome is looked up at the next start"
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
