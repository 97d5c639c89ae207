//! The place of one process, as the executor sees it, and what an event makes of it. Pure.
//!
//! ```text
//!            wake              located            its turn             done
//! (no slot) ------> Locating ----------> Queued ----------> InFlight ------> Watched, AtGate,
//!                    |   ^                 ^ ^                 |             Sleeping, Stuck,
//!      can't be read v   | wake, or        | +-- woken during -+             or (no slot)
//!                    Stuck its time        |
//!                                          +-- Watched, AtGate, Sleeping: wake, observed, or its time
//! ```
//!
//! A process that waits for a child, a person or a host has no slot: it is a row in the store.

use std::time::Duration;

use super::{
    advance::Then,
    core::{Effect, Effects},
    failure::STORE_RETRY,
    moment::Moment,
};
use crate::{
    calcjob::Observation,
    store::{self, NodeId},
};

/// Facts of a process that never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The top of its call tree.
    pub(crate) root: NodeId,
    pub(crate) is_workflow: bool,
}

/// An observation that its next step takes in. It is boxed since few slots have one.
pub(super) type Seen = Option<Box<Observation>>;

/// The place of a process. It has at most 32 bytes: there are as many as sleepers.
#[derive(Debug)]
pub(super) enum Slot {
    /// Its [`Place`] is being read from the store.
    Locating { errand: Errand, was_stuck: bool },
    /// It is ready for a step.
    Queued { place: Place, from: LeftAt, seen: Seen },
    /// A step of it is running.
    InFlight { place: Place, from: LeftAt, again: Again },
    /// A poller watches its job.
    Watched(Place),
    /// It waits at its computer's gate.
    AtGate(Place),
    /// It waits for a time.
    Sleeping { place: Place, until: Moment },
    /// The store could not be read or written; it is tried again at this time.
    Stuck { until: Moment, errand: Errand },
}

/// The reason why a process is located.
#[derive(Debug, Default)]
pub(super) struct Errand {
    pub(super) seen: Seen,
    /// True if a terminal follows the process.
    pub(super) is_attached: bool,
}

/// The last place at rest of a process that is ready or in flight. Until it is at rest again, it keeps what it had
/// there: a poller knows it still, or it counts as stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeftAt {
    Nowhere,
    Watch,
    Gate,
    Stuck,
}

/// A wish for a further step that came during one. It is boxed since few processes are in flight.
#[derive(Debug)]
pub(super) enum Again {
    No,
    Yes(Box<Seen>),
}

impl LeftAt {
    fn is_polled(self) -> bool {
        matches!(self, LeftAt::Watch | LeftAt::Gate)
    }
}

impl Errand {
    fn and(self, seen: Seen, is_attached: bool) -> Errand {
        Errand { seen: seen.or(self.seen), is_attached: is_attached || self.is_attached }
    }
}

impl Again {
    fn is_wanted(&self) -> bool {
        matches!(self, Again::Yes(_))
    }

    fn has_seen(&self) -> bool {
        matches!(self, Again::Yes(seen) if seen.is_some())
    }

    fn and(self, seen: Seen) -> Again {
        match self {
            Again::Yes(earlier) => Again::Yes(Box::new(seen.or(*earlier))),
            Again::No => Again::Yes(Box::new(seen)),
        }
    }
}

impl Slot {
    /// Returns whether the store is in trouble over this process, as far as is known.
    pub(super) fn is_stuck(&self) -> bool {
        match self {
            Slot::Stuck { .. } | Slot::Locating { was_stuck: true, .. } => true,
            Slot::Queued { from, .. } | Slot::InFlight { from, .. } => *from == LeftAt::Stuck,
            _ => false,
        }
    }

    /// Returns its time to wake by itself.
    pub(super) fn until(&self) -> Option<Moment> {
        match self {
            Slot::Sleeping { until, .. } | Slot::Stuck { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// Returns the slot of a process that something has happened to: it is stepped, or stepped again.
    pub(super) fn woken(slot: Option<Slot>, seen: Seen, is_attached: bool) -> Slot {
        match slot {
            None => Slot::Locating { errand: Errand { seen, is_attached }, was_stuck: false },
            Some(Slot::Stuck { errand, .. }) => {
                Slot::Locating { errand: errand.and(seen, is_attached), was_stuck: true }
            }
            Some(Slot::Locating { errand, was_stuck }) => {
                Slot::Locating { errand: errand.and(seen, is_attached), was_stuck }
            }
            Some(Slot::Queued { place, from, seen: earlier }) => {
                Slot::Queued { place, from, seen: seen.or(earlier) }
            }
            Some(Slot::InFlight { place, from, again }) => {
                Slot::InFlight { place, from, again: again.and(seen) }
            }
            Some(Slot::Watched(place)) => Slot::Queued { place, from: LeftAt::Watch, seen },
            Some(Slot::AtGate(place)) => Slot::Queued { place, from: LeftAt::Gate, seen },
            Some(Slot::Sleeping { place, .. }) => Slot::Queued { place, from: LeftAt::Nowhere, seen },
        }
    }

    /// Returns the slot after an observation. The poller has then let go of the process, unless its job runs on.
    pub(super) fn observed(slot: Option<Slot>, observation: Observation) -> Slot {
        let left = match observation {
            Observation::Running => LeftAt::Nowhere,
            Observation::Granted(_) => LeftAt::Gate,
            _ => LeftAt::Watch,
        };
        Slot::woken(slot, Some(Box::new(observation)), false).without(left)
    }

    /// Returns the slot of a process whose end was requested. Its poller forgets it, and its step is interrupted.
    pub(super) fn killed(slot: Option<Slot>, id: NodeId, effects: &mut Effects) -> Slot {
        let mut slot = Slot::woken(slot, None, false);
        if let Slot::Queued { from, .. } | Slot::InFlight { from, .. } = &mut slot
            && from.is_polled()
        {
            *from = LeftAt::Nowhere;
            effects.push_back(Effect::Forget(id));
        }
        if matches!(slot, Slot::InFlight { .. }) {
            effects.push_back(Effect::Interrupt(id));
        }
        slot
    }

    fn without(mut self, left: LeftAt) -> Slot {
        if let Slot::Queued { from, .. } | Slot::InFlight { from, .. } = &mut self
            && *from == left
        {
            *from = LeftAt::Nowhere;
        }
        self
    }

    /// Returns the slot of a process that could not be read.
    pub(super) fn unreadable(slot: Option<Slot>, now: Moment) -> Option<Slot> {
        match slot {
            Some(Slot::Locating { errand, .. }) => Some(Slot::Stuck { until: now + STORE_RETRY, errand }),
            other => other,
        }
    }

    /// Returns the slot after a step, and the error by which the store took nothing. A poller that the process does
    /// not need any more forgets it.
    pub(super) fn stepped(
        slot: Option<Slot>,
        id: NodeId,
        then: Then,
        now: Moment,
        effects: &mut Effects,
    ) -> (Option<Slot>, Option<store::Error>) {
        let Some(Slot::InFlight { place, from, again }) = slot else { return (slot, None) };
        let again = match then {
            Then::After(Duration::ZERO) => again.and(None),
            _ => again,
        };
        let kept = if from.is_polled() && again.is_wanted() { from } else { LeftAt::Nowhere };
        let (to, rest, effect, error) = match then {
            // An observation that came meanwhile is taken in first.
            Then::Watch(_) if again.has_seen() => (kept, None, None, None),
            Then::Watch(watch) => {
                (LeftAt::Watch, Some(Slot::Watched(place)), Some(Effect::Watch(watch)), None)
            }
            Then::Gate { computer, refused } => {
                let want = Effect::Want { process: id, computer, refused };
                (LeftAt::Gate, Some(Slot::AtGate(place)), Some(want), None)
            }
            Then::After(delay) => (kept, Some(Slot::Sleeping { place, until: now + delay }), None, None),
            Then::Stuck(error) => {
                let stuck = Slot::Stuck { until: now + STORE_RETRY, errand: Errand::default() };
                (LeftAt::Stuck, Some(stuck), None, Some(error))
            }
            Then::Idle => (kept, None, None, None),
            Then::Ended => (LeftAt::Nowhere, None, Some(Effect::Ended(id)), None),
        };
        if from.is_polled() && from != to {
            effects.push_back(Effect::Forget(id));
        }
        effects.extend(effect);
        let slot = match again {
            Again::Yes(seen) => Some(Slot::Queued { place, from: to, seen: *seen }),
            Again::No => rest,
        };
        (slot, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_small() {
        assert!(size_of::<Slot>() <= 32, "{} bytes", size_of::<Slot>());
    }
}
