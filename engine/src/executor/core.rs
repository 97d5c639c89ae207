//! The core of the executor: where each process is, and what follows from each event. Pure: no store, no clock, no
//! task. `event_loop.rs` brings the events and carries the effects out.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::{
    StoreTrouble,
    advance::{Driven, Then},
    failure::STORE_RETRY,
    fair_queue::Ready,
    moment::{Moment, Now},
    slot::{Again, LeftAt, Place, Seen, Slot},
    timers::Timers,
};
use crate::{
    calcjob::{JobWatch, Observation},
    executor::crash_blame::Suspects,
    store::{self, NodeId},
};

/// Most steps of workflows at the same time.
const STEPS: usize = 32;

/// The events that the core reacts to.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something about a process may have changed.
    Wake(NodeId),
    /// A terminal follows the process: it is stepped, even where only some processes are.
    Attach(NodeId),
    /// The end of the process was requested.
    Kill(NodeId),
    /// The job of the process was observed.
    Observed(NodeId, Observation),
    /// The answer to [`Effect::Locate`]; `None`: there is no such process.
    Located(NodeId, store::Result<Option<Place>>),
    /// The answer to [`Effect::Load`].
    Loaded(store::Result<Vec<Unfinished>>),
    /// The task that stepped the process has ended.
    Done(NodeId, Driven),
    /// The time of [`Core::next_due`] has come.
    Due,
}

/// An unfinished process that an earlier owner left.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) id: NodeId,
    pub(crate) place: Place,
    /// Time until it is to be stepped.
    pub(crate) wait: Duration,
}

/// The actions that events lead to.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Step the process, with what was observed of its job.
    Start(NodeId, Seen),
    /// Interrupt its step.
    Interrupt(NodeId),
    /// Watch its job.
    Watch(JobWatch),
    /// Ask for permission to submit.
    Want { process: NodeId, computer: String, refused: bool },
    /// Neither watch its job nor ask for it any longer.
    Forget(NodeId),
    /// Read its place from the store.
    Locate(NodeId),
    /// Read the unfinished processes from the store.
    Load,
    /// Send [`Event::Kill`] to the live processes of this call tree, from the leaves up.
    KillTree(NodeId),
    /// Notify those that wait for its end.
    Ended(NodeId),
    /// Show this trouble of the store.
    Tell(Option<StoreTrouble>),
}

/// Effects in order, in a buffer that is used again for each event.
pub(crate) type Effects = VecDeque<Effect>;

/// Processes of one sort that are ready or in flight.
#[derive(Debug, Default)]
struct Line {
    ready: Ready,
    running: usize,
    /// Most of them in flight.
    most: usize,
}

/// The state of the executor.
#[derive(Debug)]
pub(crate) struct Core {
    slots: HashMap<NodeId, Slot>,
    /// Workflows. Their steps are quick, so they never queue behind other work.
    steps: Line,
    /// All other processes.
    work: Line,
    timers: Timers,
    /// Processes that are watched by a poller, and those over which the store is in trouble.
    watched: usize,
    stuck: usize,
    /// The only call trees to step (`ferry run`); all others are left to a daemon.
    only: Option<HashSet<NodeId>>,
    suspects: Suspects,
    /// Time at which to read the unfinished processes again, if that failed.
    load_again: Option<Moment>,
    /// The trouble that is shown.
    trouble: Option<StoreTrouble>,
}

impl Core {
    /// Returns the core of an executor that steps this number of processes at once, workflows not counted.
    pub(crate) fn new(tasks: usize, only: Option<NodeId>, now: Now) -> Core {
        Core {
            slots: HashMap::new(),
            steps: Line { most: STEPS, ..Line::default() },
            work: Line { most: tasks, ..Line::default() },
            timers: Timers::new(now),
            watched: 0,
            stuck: 0,
            only: only.map(|id| HashSet::from([id])),
            suspects: Suspects::default(),
            load_again: None,
            trouble: None,
        }
    }

    /// Lets the suspects of the last crash take turns.
    pub(crate) fn suspect(&mut self, suspects: Suspects) {
        self.suspects = suspects;
    }

    /// Returns the number of processes in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.steps.running + self.work.running
    }

    /// Returns the number of processes whose jobs are watched.
    pub(crate) fn watched(&self) -> usize {
        self.watched
    }

    /// Returns the time at which [`Event::Due`] is due.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.timers.next().into_iter().chain(self.load_again).min()
    }

    /// Takes an event in, and adds what follows from it.
    pub(crate) fn on(&mut self, event: Event, now: Now, effects: &mut Effects) {
        let news = match event {
            Event::Located(id, found) => self.located(id, found, now, effects),
            Event::Loaded(found) => self.loaded(found, now, effects),
            Event::Done(id, driven) => self.done(id, driven, now, effects),
            Event::Wake(id) => self.wake(id, now, effects),
            Event::Due => self.due(now, effects),
            Event::Attach(id) => {
                let is_attached = self.only.is_some();
                self.change(id, now, effects, |slot, _| Some(Slot::woken(slot, None, is_attached)))
            }
            Event::Kill(id) => {
                self.change(id, now, effects, |slot, effects| Some(Slot::killed(slot, id, effects)))
            }
            Event::Observed(id, observation) => {
                self.change(id, now, effects, |slot, _| Some(Slot::observed(slot, observation)))
            }
        };
        self.tell_trouble(news, effects);
    }

    /// Starts the processes that are ready, as far as the bounds allow.
    pub(crate) fn start_ready(&mut self, now: Now, effects: &mut Effects) {
        while let Some(id) = self.steps.next().or_else(|| self.work.next()) {
            let wait = self.suspects.not_yet(id, now.at);
            self.change(id, now, effects, |slot, effects| match (slot, wait) {
                (Some(Slot::Queued { place, .. }), Some(wait)) => {
                    Some(Slot::Sleeping { place, until: now.at + wait })
                }
                (Some(Slot::Queued { place, from, seen }), None) => {
                    effects.push_back(Effect::Start(id, seen));
                    Some(Slot::InFlight { place, from, again: Again::No })
                }
                (other, _) => other,
            });
        }
    }
}

/// The store's error that an event tells of.
type News = Option<store::Error>;

impl Core {
    /// Puts a process into its next slot, with all that hangs on a slot: its line, its timer, its place in the store,
    /// and the counts.
    fn change(
        &mut self,
        id: NodeId,
        now: Now,
        effects: &mut Effects,
        next: impl FnOnce(Option<Slot>, &mut Effects) -> Option<Slot>,
    ) -> News {
        let before = self.slots.remove(&id);
        let was_queued = matches!(before, Some(Slot::Queued { .. }));
        let was_locating = matches!(before, Some(Slot::Locating { .. }));
        if let Some(slot) = &before {
            self.leave(id, slot);
        }
        let after = next(before, effects)?;
        self.enter(id, &after, now);
        match &after {
            Slot::Queued { place, .. } if !was_queued => self.line(*place).ready.push(place.root, id),
            Slot::Locating { .. } if !was_locating => effects.push_back(Effect::Locate(id)),
            _ => {}
        }
        self.slots.insert(id, after);
        None
    }

    fn leave(&mut self, id: NodeId, slot: &Slot) {
        self.watched -= usize::from(matches!(slot, Slot::Watched(_)));
        self.stuck -= usize::from(slot.is_stuck());
        if let Some(until) = slot.until() {
            self.timers.clear(id, until);
        }
        if let Slot::InFlight { place, .. } = slot {
            self.line(*place).running -= 1;
        }
    }

    fn enter(&mut self, id: NodeId, slot: &Slot, now: Now) {
        self.watched += usize::from(matches!(slot, Slot::Watched(_)));
        self.stuck += usize::from(slot.is_stuck());
        if let Some(until) = slot.until() {
            self.timers.set(id, until, now);
        }
        if let Slot::InFlight { place, .. } = slot {
            self.line(*place).running += 1;
        }
    }

    fn line(&mut self, place: Place) -> &mut Line {
        if place.is_workflow { &mut self.steps } else { &mut self.work }
    }

    fn is_left_out(&self, place: Place) -> bool {
        self.only.as_ref().is_some_and(|only| !only.contains(&place.root))
    }

    fn wake(&mut self, id: NodeId, now: Now, effects: &mut Effects) -> News {
        self.change(id, now, effects, |slot, _| Some(Slot::woken(slot, None, false)))
    }

    fn located(
        &mut self,
        id: NodeId,
        found: store::Result<Option<Place>>,
        now: Now,
        effects: &mut Effects,
    ) -> News {
        let place = match found {
            Ok(place) => place,
            Err(error) => {
                self.change(id, now, effects, |slot, _| Slot::unreadable(slot, now.at));
                return Some(error);
            }
        };
        if let (Some(only), Some(place), Some(Slot::Locating { errand, .. })) =
            (&mut self.only, place, self.slots.get(&id))
            && errand.is_attached
        {
            only.insert(place.root);
        }
        let place = place.filter(|place| !self.is_left_out(*place));
        self.change(id, now, effects, |slot, _| match slot {
            Some(Slot::Locating { errand, was_stuck }) => {
                let from = if was_stuck { LeftAt::Stuck } else { LeftAt::Nowhere };
                place.map(|place| Slot::Queued { place, from, seen: errand.seen })
            }
            other => other,
        })
    }

    fn loaded(&mut self, found: store::Result<Vec<Unfinished>>, now: Now, effects: &mut Effects) -> News {
        self.load_again = None;
        let all = match found {
            Ok(all) => all,
            Err(error) => {
                self.load_again = Some(now.at + STORE_RETRY);
                return Some(error);
            }
        };
        for Unfinished { id, place, wait } in all {
            if self.is_left_out(place) {
                continue;
            }
            self.change(id, now, effects, |slot, _| match slot {
                None if wait.is_zero() => Some(Slot::Queued { place, from: LeftAt::Nowhere, seen: None }),
                None => Some(Slot::Sleeping { place, until: now.at + wait }),
                // Launched or requested before this could be read.
                known => known,
            });
        }
        None
    }

    fn done(&mut self, id: NodeId, driven: Driven, now: Now, effects: &mut Effects) -> News {
        let Driven { then, born, killed, caller } = driven;
        let next_suspect = self.suspects.end(id);
        let caller = caller.filter(|_| matches!(then, Then::Ended));
        let mut news = None;
        self.change(id, now, effects, |slot, effects| {
            let (slot, error) = Slot::stepped(slot, id, then, now.at, effects);
            news = error;
            slot
        });
        for woken in next_suspect.into_iter().chain(born).chain(caller) {
            self.wake(woken, now, effects);
        }
        effects.extend(killed.into_iter().map(Effect::KillTree));
        news
    }

    fn due(&mut self, now: Now, effects: &mut Effects) -> News {
        if self.load_again.is_some_and(|at| at <= now.at) {
            effects.push_back(Effect::Load);
        }
        for id in self.timers.ring(now) {
            self.wake(id, now, effects);
        }
        None
    }

    /// Updates the trouble that is shown if the store can't be read or written. `news` is its latest error.
    fn tell_trouble(&mut self, news: News, effects: &mut Effects) {
        let is_well = self.stuck == 0 && self.load_again.is_none();
        let trouble = match (news, &self.trouble) {
            (_, None) if is_well => return,
            (None, Some(told)) if !is_well && told.processes == self.stuck => return,
            (None, None) => return,
            (_, _) if is_well => None,
            (Some(error), _) => {
                let help = error.help_text().map(str::to_owned);
                Some(StoreTrouble { processes: self.stuck, message: error.to_string(), help })
            }
            (None, Some(told)) => Some(StoreTrouble { processes: self.stuck, ..told.clone() }),
        };
        self.trouble.clone_from(&trouble);
        effects.push_back(Effect::Tell(trouble));
    }
}

impl Line {
    /// Takes the next process, if one more may be in flight.
    fn next(&mut self) -> Option<NodeId> {
        if self.running < self.most { self.ready.pop() } else { None }
    }
}

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
