//! The executor: an event loop that brings events to the [`Core`] and carries out what it decides.
//!
//! It owns what the core does not: the tasks in flight, the pollers, the store, and the clocks.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    task::{JoinError, JoinSet},
    time::Instant,
};

use super::{
    StoreTrouble,
    advance::{Driven, Then, drive},
    core::{Core, Effect, Effects, Event, Unfinished},
    moment::Clocks,
    slot::{Place, Seen},
};
use crate::{
    calcjob::Submitters,
    clock,
    computers::{self, cancel_orphans, poller::Pollers, prober::watch_hosts, remove_work_dirs},
    executor::crash_blame::{Stepping, Suspects},
    owner::Context,
    spec::is_workflow,
    store::{self, Live, NodeId},
};

/// Time that steps which must not be interrupted may take after a stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Time until a step that ended in a panic is run again: a bug in ferry.
const AFTER_A_PANIC: Duration = Duration::from_secs(30);

/// Numbers that `status` shows.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) stepping: AtomicUsize,
    pub(crate) watching: AtomicUsize,
    pub(crate) trouble: Mutex<Option<StoreTrouble>>,
}

pub(crate) struct Executor {
    cx: Arc<Context>,
    core: Core,
    clocks: Clocks,
    effects: Effects,
    inbox: mpsc::UnboundedReceiver<computers::Event>,
    gauges: Arc<Gauges>,
    submitters: Arc<Submitters>,
    pollers: Pollers,
    tasks: JoinSet<(NodeId, Driven)>,
    /// The interrupts of the tasks.
    interrupts: BTreeMap<NodeId, Arc<Notify>>,
    stepping: Option<Stepping>,
    /// The tasks beside the steps. They hold the profile, so they end with the loop.
    side: JoinSet<()>,
}

impl Executor {
    /// Returns an executor over a profile. `only`: the process whose call tree alone is stepped.
    pub(crate) fn new(
        cx: Arc<Context>,
        events: mpsc::UnboundedSender<computers::Event>,
        inbox: mpsc::UnboundedReceiver<computers::Event>,
        gauges: Arc<Gauges>,
        only: Option<NodeId>,
    ) -> Self {
        let clocks = Clocks::start();
        let mut side = JoinSet::new();
        side.spawn(watch_hosts(cx.clone(), events.clone()));
        Executor {
            core: Core::new(cx.settings.runner_tasks, only, clocks.read()),
            clocks,
            effects: Effects::new(),
            inbox,
            gauges,
            submitters: Arc::new(Submitters::new(cx.clone())),
            pollers: Pollers::new(cx.clone(), events),
            tasks: JoinSet::new(),
            interrupts: BTreeMap::new(),
            stepping: None,
            side,
            cx,
        }
    }

    /// Lets suspects of the last crash take turns, and notes in a file which processes are being stepped.
    pub(crate) fn blame(&mut self, suspects: Suspects, stepping: Option<Stepping>) {
        self.core.suspect(suspects);
        self.stepping = stepping;
    }

    /// Steps processes until a stop is requested, beginning with those that an earlier owner left unfinished.
    pub(crate) async fn run(mut self) {
        self.effects.push_back(Effect::Load);
        self.side.spawn(cancel_orphans::serve(self.cx.clone()));
        self.side.spawn(remove_work_dirs::serve(self.cx.clone()));
        loop {
            self.carry_out();
            self.core.start_ready(self.clocks.read(), &mut self.effects);
            self.carry_out();
            self.gauges.stepping.store(self.core.in_flight(), Ordering::Relaxed);
            self.gauges.watching.store(self.core.watched(), Ordering::Relaxed);
            let due = self.core.next_due().map(|at| self.clocks.instant(at));
            let next = due.into_iter().chain(self.cx.holds.next()).min();
            tokio::select! {
                // In a fixed order, so that a simulation can be replayed.
                biased;
                event = self.inbox.recv() => match event.and_then(told) {
                    Some(event) => self.on(event),
                    None => break,
                },
                Some(done) = self.tasks.join_next() => self.finished(done),
                () = sleep_until(next) => {
                    self.on(Event::Due);
                    self.call_held();
                }
            }
        }
        self.side.shutdown().await;
        self.stop().await;
    }

    fn on(&mut self, event: Event) {
        self.core.on(event, self.clocks.read(), &mut self.effects);
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.effects.pop_front() {
            match effect {
                Effect::Start(id, seen) => self.start(id, seen),
                Effect::Interrupt(id) => {
                    if let Some(interrupt) = self.interrupts.get(&id) {
                        interrupt.notify_one();
                    }
                }
                Effect::Watch(watch) => self.pollers.watch(watch),
                Effect::Want { process, computer, refused } => self.pollers.want(process, computer, refused),
                Effect::Forget(id) => self.pollers.forget(id),
                Effect::Locate(id) => self.on(Event::Located(id, self.locate(id))),
                Effect::Load => self.on(Event::Loaded(self.load())),
                Effect::KillTree(top) => {
                    let tree = self.cx.store.live_tree(top).unwrap_or_default();
                    tree.into_iter().rev().for_each(|id| self.on(Event::Kill(id)));
                }
                Effect::Ended(id) => {
                    self.cx.holds.forget(id);
                    self.cx.board.tell(id);
                }
                Effect::Tell(trouble) => {
                    *self.gauges.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
                }
            }
        }
    }

    fn start(&mut self, id: NodeId, seen: Seen) {
        if let Some(stepping) = &mut self.stepping {
            stepping.begin(id);
        }
        let interrupt = Arc::new(Notify::new());
        self.interrupts.insert(id, interrupt.clone());
        let (cx, submitters) = (self.cx.clone(), self.submitters.clone());
        self.tasks.spawn(async move {
            let step = drive(&cx, &submitters, id, seen.map(|seen| *seen), &interrupt);
            (id, contained(step).await)
        });
    }

    fn finished(&mut self, done: Result<(NodeId, Driven), JoinError>) {
        // No task is aborted while the loop runs, and none panics.
        let Ok((id, driven)) = done else { return };
        self.interrupts.remove(&id);
        if let Some(stepping) = &mut self.stepping {
            stepping.end(id);
        }
        self.on(Event::Done(id, driven));
        self.call_held();
    }

    /// Reads the facts of a process that never change.
    fn locate(&self, id: NodeId) -> store::Result<Option<Place>> {
        let found = self.cx.store.place(id);
        if let Err(error) = &found {
            tracing::error!(process = %id, %error, "the process could not be read");
        }
        Ok(found?.map(|(root, kind)| Place { root, is_workflow: is_workflow(kind) }))
    }

    /// Reads the processes that have not ended. Those that wait for a child or a person stay rows in the store.
    fn load(&self) -> store::Result<Vec<Unfinished>> {
        let live = self.cx.store.live_processes().inspect_err(|error| {
            tracing::error!(%error, "unfinished processes could not be read; retrying");
        })?;
        // The clock may have been set back while no owner ran.
        live.iter().filter_map(|process| process.since).for_each(clock::advance_to);
        Ok(live.into_iter().filter_map(unfinished).collect())
    }

    /// Wakes the processes that a scheduler refused for now and that may try again.
    fn call_held(&mut self) {
        // An end that was just noted may let others try.
        self.carry_out();
        for id in self.cx.holds.called() {
            self.on(Event::Wake(id));
        }
    }

    /// Interrupts steps that may be interrupted, gives the rest a little time, and drops those that are then left.
    /// The outcome of each can be looked up.
    async fn stop(mut self) {
        self.interrupts.values().for_each(|interrupt| interrupt.notify_one());
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!(
                "some steps were interrupted by the stop; their outcome is looked up at the next start"
            );
        }
    }
}

/// Returns what somebody told the executor, for its core; `None` for a request to stop.
fn told(event: computers::Event) -> Option<Event> {
    Some(match event {
        computers::Event::Wake(id) => Event::Wake(id),
        computers::Event::Attach(id) => Event::Attach(id),
        computers::Event::Kill(id) => Event::Kill(id),
        computers::Event::Observed(id, observation) => Event::Observed(id, observation),
        computers::Event::Stop => return None,
    })
}

/// Returns the time until a process is stepped; `None` if something else wakes it.
fn unfinished(process: Live) -> Option<Unfinished> {
    let wait = match process.wake {
        _ if !process.at_rest => Duration::ZERO,
        Some(wake) => Duration::try_from(wake.duration_since(clock::steady())).unwrap_or_default(),
        None => return None,
    };
    let place = Place { root: process.root, is_workflow: is_workflow(process.kind) };
    Some(Unfinished { id: process.id, place, wait })
}

/// Runs a step to its end, even if that is a panic. That is a bug in ferry: the process is left as it is on disk, and
/// tried again, slowly.
async fn contained(step: impl Future<Output = Driven>) -> Driven {
    let mut step = pin!(step);
    poll_fn(|task| {
        catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(task))).unwrap_or_else(|_| {
            tracing::error!("a step ended in a panic");
            Poll::Ready(Then::After(AFTER_A_PANIC).into())
        })
    })
    .await
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_a_step_ends_that_step_alone() {
        let panics = async {
            tokio::task::yield_now().await;
            panic!("a test of a panic")
        };
        let driven = contained(panics).await;
        assert!(matches!(driven.then, Then::After(AFTER_A_PANIC)), "{driven:?}");
    }
}
