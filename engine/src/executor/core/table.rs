//! A test of every event in every slot. The table that is expected stands in `table.txt`.

use std::{fmt::Write as _, time::Duration};

use super::{
    super::slot::{Again, Errand, LeftAt, Place, Slot},
    Core, Effect, Effects, Event, Moment, Now, Then,
};
use crate::{
    calcjob::{JobWatch, Observation},
    scheduler::{Bounds, JobId, JobRef},
    store::{self, NodeId},
};

const ID: NodeId = NodeId(7);
const PLACE: Place = Place { root: NodeId(1), is_workflow: false };
/// The time of sleepers.
const LATER: Duration = Duration::from_secs(9);

fn seen() -> Option<Box<Observation>> {
    Some(Box::new(Observation::Vanished))
}

fn slots(now: Moment) -> Vec<Option<Slot>> {
    let queued = |from| Slot::Queued { place: PLACE, from, seen: None };
    let in_flight = |from, again| Slot::InFlight { place: PLACE, from, again };
    let locating = |was_stuck| Slot::Locating { errand: Errand::default(), was_stuck };
    let all = [
        locating(false),
        locating(true),
        queued(LeftAt::Nowhere),
        queued(LeftAt::Watch),
        queued(LeftAt::Gate),
        queued(LeftAt::Stuck),
        Slot::Queued { place: PLACE, from: LeftAt::Nowhere, seen: seen() },
        in_flight(LeftAt::Nowhere, Again::No),
        in_flight(LeftAt::Watch, Again::No),
        in_flight(LeftAt::Gate, Again::No),
        in_flight(LeftAt::Stuck, Again::No),
        in_flight(LeftAt::Nowhere, Again::Yes(Box::default())),
        in_flight(LeftAt::Watch, Again::Yes(Box::default())),
        in_flight(LeftAt::Nowhere, Again::Yes(Box::new(seen()))),
        Slot::Watched(PLACE),
        Slot::AtGate(PLACE),
        Slot::Sleeping { place: PLACE, until: now + LATER },
        Slot::Stuck { until: now + LATER, errand: Errand::default() },
    ];
    std::iter::once(None).chain(all.map(Some)).collect()
}

fn events() -> Vec<(&'static str, Event)> {
    let job = JobRef { id: JobId("12".into()), token: "t".into(), dir: "/w".into() };
    let watch =
        JobWatch { process: ID, computer: "far".into(), job, shown: None, status: None, look_in: None };
    let broken = || store::Error::new(store::ErrorKind::Other, "read");
    let ended = Observation::Ended(Box::default());
    let done = |then: Then| Event::Done(ID, then.into());
    vec![
        ("wake", Event::Wake(ID)),
        ("attach", Event::Attach(ID)),
        ("kill", Event::Kill(ID)),
        ("its job runs", Event::Observed(ID, Observation::Running)),
        ("its job ended", Event::Observed(ID, ended)),
        ("admitted", Event::Observed(ID, Observation::Granted(Bounds::default()))),
        ("located", Event::Located(ID, Ok(Some(PLACE)))),
        ("not found", Event::Located(ID, Ok(None))),
        ("unreadable", Event::Located(ID, Err(broken()))),
        ("due", Event::Due),
        ("done: watch", done(Then::Watch(watch))),
        ("done: gate", done(Then::Gate { computer: "far".into(), refused: false })),
        ("done: again", done(Then::After(Duration::ZERO))),
        ("done: later", done(Then::After(LATER))),
        ("done: stuck", done(Then::Stuck(broken()))),
        ("done: idle", done(Then::Idle)),
        ("done: ended", done(Then::Ended)),
    ]
}

fn in_words(slot: Option<&Slot>) -> String {
    let from = |from: &LeftAt| match from {
        LeftAt::Nowhere => "",
        LeftAt::Watch => ", watched",
        LeftAt::Gate => ", at gate",
        LeftAt::Stuck => ", stuck",
    };
    let with = |seen: bool| if seen { " +seen" } else { "" };
    match slot {
        None => "-".into(),
        Some(Slot::Locating { errand, was_stuck }) => {
            let stuck = if *was_stuck { ", stuck" } else { "" };
            format!("locating{stuck}{}", with(errand.seen.is_some()))
        }
        Some(Slot::Queued { from: last, seen, .. }) => {
            format!("queued{}{}", from(last), with(seen.is_some()))
        }
        Some(Slot::InFlight { from: last, again, .. }) => {
            let again = match again {
                Again::No => String::new(),
                Again::Yes(seen) => format!(", again{}", with(seen.is_some())),
            };
            format!("in flight{}{again}", from(last))
        }
        Some(Slot::Watched(_)) => "watched".into(),
        Some(Slot::AtGate(_)) => "at gate".into(),
        Some(Slot::Sleeping { .. }) => "sleeping".into(),
        Some(Slot::Stuck { errand, .. }) => format!("stuck{}", with(errand.seen.is_some())),
    }
}

fn effect_in_words(effect: &Effect) -> &'static str {
    match effect {
        Effect::Start(..) => "start",
        Effect::Interrupt(_) => "interrupt",
        Effect::Watch(_) => "watch",
        Effect::Want { .. } => "want",
        Effect::Forget(_) => "forget",
        Effect::Locate(_) => "locate",
        Effect::Load => "load",
        Effect::KillTree(_) => "kill tree",
        Effect::Ended(_) => "ended",
        Effect::Tell(Some(_)) => "tell trouble",
        Effect::Tell(None) => "tell that all is well",
    }
}

/// Checks that lines, timers and counts agree with the slots.
fn check(core: &Core) {
    let count = |is: fn(&Slot) -> bool| core.slots.values().filter(|slot| is(slot)).count();
    assert_eq!(core.watched, count(|slot| matches!(slot, Slot::Watched(_))));
    assert_eq!(core.stuck, count(Slot::is_stuck));
    assert_eq!(core.in_flight(), count(|slot| matches!(slot, Slot::InFlight { .. })));
    assert_eq!(core.work.ready.len(), count(|slot| matches!(slot, Slot::Queued { .. })));
    assert_eq!(core.timers.len(), count(|slot| slot.until().is_some()));
}

#[test]
fn every_event_in_every_slot() {
    let start = Now { at: Moment::START, wall: jiff::Timestamp::UNIX_EPOCH };
    let due = Now { at: start.at + LATER, wall: start.wall };
    let mut table = String::new();
    for column in 0..events().len() {
        writeln!(table, "{}", events()[column].0).unwrap();
        for slot in slots(start.at) {
            let (mut core, mut effects) = (Core::new(1, None, start), Effects::new());
            let before = in_words(slot.as_ref());
            core.change(ID, start, &mut effects, |_, _| slot);
            check(&core);
            effects.clear();
            let event = events().swap_remove(column).1;
            core.on(event, if column == 9 { due } else { start }, &mut effects);
            check(&core);
            let after = in_words(core.slots.get(&ID));
            let effects: Vec<&str> = effects.iter().map(effect_in_words).collect();
            if (&after, effects.is_empty()) != (&before, true) {
                writeln!(table, "    {before:<25} -> {after:<27} {}", effects.join(", ")).unwrap();
            }
        }
    }
    let table: Vec<&str> = table.lines().map(str::trim_end).collect();
    assert_eq!(
        table.join("\n"),
        include_str!("table.txt").trim_end(),
        "the table is now:\n{}",
        table.join("\n")
    );
}
