//! Tests of lines, timers, troubles and left-out call trees. `table.rs` has the slots.

use super::*;

fn now() -> Now {
    Now { at: Moment::START, wall: jiff::Timestamp::UNIX_EPOCH }
}

fn later(now: Now, seconds: u64) -> Now {
    Now { at: now.at + Duration::from_secs(seconds), wall: now.wall }
}

/// A core, the effects that it gave, and the time.
struct Bench {
    core: Core,
    effects: Effects,
    now: Now,
}

impl Bench {
    fn new(tasks: usize, only: Option<i64>) -> Bench {
        let now = now();
        let core = Core::new(tasks, only.map(NodeId), now);
        Bench { core, effects: Effects::new(), now }
    }

    fn on(&mut self, event: Event) {
        self.core.on(event, self.now, &mut self.effects);
    }

    /// Wakes a process, and answers where it is.
    fn wake(&mut self, id: i64, root: i64, is_workflow: bool) {
        self.on(Event::Wake(NodeId(id)));
        self.on(Event::Located(NodeId(id), Ok(Some(Place { root: NodeId(root), is_workflow }))));
    }

    fn done(&mut self, id: i64, then: Then) {
        self.on(Event::Done(NodeId(id), then.into()));
    }

    /// Starts those that are ready, and returns them.
    fn started(&mut self) -> Vec<i64> {
        self.effects.clear();
        self.core.start_ready(self.now, &mut self.effects);
        let start = |effect| match effect {
            Effect::Start(id, _) => Some(id.0),
            _ => None,
        };
        self.effects.drain(..).filter_map(start).collect()
    }

    /// Returns the troubles that were told of, as numbers of processes.
    fn troubles(&mut self) -> Vec<Option<usize>> {
        let told = |effect| match effect {
            Effect::Tell(trouble) => Some(trouble.map(|trouble| trouble.processes)),
            _ => None,
        };
        self.effects.drain(..).filter_map(told).collect()
    }
}

fn broken() -> store::Error {
    store::Error::new(store::ErrorKind::Other, "read")
}

#[test]
fn trees_take_turns_within_two_bounds() {
    let mut bench = Bench::new(2, None);
    for id in 11..14 {
        bench.wake(id, 1, false);
    }
    bench.wake(21, 2, false);
    for id in 101..141 {
        bench.wake(id, 3, true);
    }
    let started = bench.started();
    assert_eq!((started.len(), &started[STEPS..]), (STEPS + 2, &[11, 21][..]));
    assert_eq!(bench.core.in_flight(), STEPS + 2);
    bench.done(21, Then::Idle);
    bench.done(101, Then::After(Duration::ZERO));
    assert_eq!(bench.started(), [133, 12], "it goes to the end of its tree's line");
}

#[test]
fn processes_that_wait_for_a_person_or_have_ended_leave_no_entry() {
    let mut bench = Bench::new(9, None);
    for (id, then) in [(1, Then::Idle), (2, Then::Ended)] {
        bench.wake(id, id, false);
        bench.started();
        bench.done(id, then);
    }
    bench.on(Event::Observed(NodeId(3), Observation::Vanished));
    bench.on(Event::Located(NodeId(3), Ok(None)));
    assert!(bench.core.slots.is_empty(), "{:?}", bench.core.slots);
    assert_eq!((bench.core.in_flight(), bench.core.watched(), bench.core.next_due()), (0, 0, None));
    assert_eq!(bench.started(), [0; 0]);
}

#[test]
fn other_trees_are_left_to_a_daemon_until_a_terminal_follows_them() {
    let mut bench = Bench::new(9, Some(1));
    bench.wake(11, 1, false);
    bench.wake(21, 2, false);
    let place = Place { root: NodeId(2), is_workflow: false };
    let found = [(22, 0), (23, 60)].map(|(id, wait)| {
        let wait = Duration::from_secs(wait);
        Unfinished { id: NodeId(id), place, wait }
    });
    bench.on(Event::Loaded(Ok(found.into())));
    assert_eq!((bench.started(), bench.core.slots.len()), (vec![11], 1));
    // Even if it can't be read at once.
    bench.on(Event::Attach(NodeId(22)));
    bench.on(Event::Located(NodeId(22), Err(broken())));
    bench.wake(22, 2, false);
    bench.wake(21, 2, false);
    assert_eq!(bench.started(), [22, 21]);
}

#[test]
fn a_timer_wakes_and_is_gone_with_an_earlier_wake() {
    let mut bench = Bench::new(9, None);
    for id in [1, 2] {
        bench.wake(id, id, false);
        bench.started();
        bench.done(id, Then::After(Duration::from_secs(60)));
    }
    bench.on(Event::Wake(NodeId(2)));
    assert_eq!(bench.started(), [2], "its place is known");
    bench.now = later(bench.now, 61);
    bench.on(Event::Due);
    assert_eq!((bench.started(), bench.core.next_due()), (vec![1], None));
}

#[test]
fn trouble_of_the_store_is_shown_until_the_last_process_is_through() {
    let mut bench = Bench::new(9, None);
    bench.on(Event::Loaded(Err(broken())));
    assert_eq!(bench.troubles(), [Some(0)]);
    bench.wake(1, 1, false);
    bench.started();
    bench.done(1, Then::Stuck(broken()));
    bench.on(Event::Wake(NodeId(2)));
    bench.on(Event::Located(NodeId(2), Err(broken())));
    assert_eq!(bench.troubles(), [Some(1), Some(2)]);
    bench.now = later(bench.now, 6);
    bench.on(Event::Due);
    assert!(matches!(bench.effects.pop_front(), Some(Effect::Load)));
    bench.on(Event::Loaded(Ok(Vec::new())));
    for id in [1, 2] {
        bench.wake(id, id, false);
    }
    assert_eq!((bench.troubles(), bench.started()), (vec![], vec![1, 2]), "still the same trouble");
    bench.done(1, Then::Idle);
    bench.done(2, Then::Ended);
    assert_eq!(bench.troubles(), [Some(1), None]);
}

#[test]
fn suspects_take_turns() {
    let mut bench = Bench::new(9, None);
    bench.core.suspect(Suspects::of([NodeId(1), NodeId(2)]));
    for id in 1..=3 {
        bench.wake(id, id, false);
    }
    assert_eq!(bench.started(), [1, 3]);
    bench.done(1, Then::Idle);
    // Its place is known.
    assert_eq!(bench.started(), [2]);
    assert_eq!(bench.core.next_due(), None);
}

#[test]
fn an_end_wakes_the_caller_and_a_step_those_that_it_made() {
    let mut bench = Bench::new(9, None);
    bench.wake(1, 1, true);
    bench.started();
    let step = Driven {
        born: vec![NodeId(2)],
        killed: vec![NodeId(3)],
        caller: Some(NodeId(9)),
        ..Then::After(Duration::ZERO).into()
    };
    bench.on(Event::Done(NodeId(1), step));
    let effects = format!("{:?}", bench.effects);
    assert_eq!(effects, "[Locate(NodeId(2)), KillTree(NodeId(3))]");
    bench.started();
    let end = Driven { caller: Some(NodeId(9)), ..Then::Ended.into() };
    bench.on(Event::Done(NodeId(1), end));
    assert_eq!(format!("{:?}", bench.effects), "[Ended(NodeId(1)), Locate(NodeId(9))]");
}
