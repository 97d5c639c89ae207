//! Tests of the gates: who passes, and what the others are shown.

use super::*;
use std::collections::HashSet;

use crate::{
    computer::Computer,
    scheduler::{InUse, Machine, Usage},
};

const SEEN: Seen = Seen { foreign: (0, 0), has_queue: true, listed: jiff::Timestamp::UNIX_EPOCH };

fn computer(label: &str, max_active_jobs: Option<u32>, rate: Option<&str>) -> Computer {
    let submit_rate = rate.map(str::to_owned);
    Computer { label: label.into(), max_active_jobs, submit_rate, ..Computer::default() }
}

fn queue(computers: Vec<Computer>, active: u32) -> Queue {
    let sharing = Sharing { queue: QueueId::At("there".into()), computers, machine: None };
    let usage = Usage { active, ..Usage::default() };
    Queue { sharing, usage, holders: HashSet::new(), in_use: InUse::default() }
}

fn waiting(gates: &Gates, label: &str, processes: impl IntoIterator<Item = i64>) {
    let mut inner = gates.lock();
    inner.gates.entry(label.to_owned()).or_default().wanting.extend(processes.into_iter().map(NodeId));
}

fn passed(gates: &Gates, queue: &Queue) -> Vec<i64> {
    gates.lock().admit(queue, &SEEN, |_| true).passed.into_iter().map(|process| process.0).collect()
}

#[test]
fn older_ones_pass_first_and_leaves_under_way_count() {
    let gates = Gates::default();
    waiting(&gates, "a", 1..=5);
    let queue = queue(vec![computer("a", Some(3), None)], 1);
    assert_eq!(passed(&gates, &queue), [1, 2]);
    assert!(passed(&gates, &queue).is_empty());
    gates.arrived("a", NodeId(1));
    assert_eq!(passed(&gates, &queue), [3]);
}

#[test]
fn computers_of_one_queue_share_the_smaller_bound_and_their_leaves() {
    let gates = Gates::default();
    waiting(&gates, "a", [1, 4, 5]);
    waiting(&gates, "b", [2, 3, 6]);
    let of = |first: &str, second: &str, active| {
        let bound = |label: &str| if label == "a" { Some(10) } else { Some(3) };
        let computers = [first, second].map(|label| computer(label, bound(label), None));
        queue(computers.into(), active)
    };
    // Whichever computer lists, the oldest processes pass, wherever they wait.
    assert_eq!(passed(&gates, &of("a", "b", 0)), [1, 2, 3]);
    assert!(passed(&gates, &of("b", "a", 0)).is_empty(), "leave of either counts for both");
    gates.arrived("b", NodeId(2));
    assert_eq!(passed(&gates, &of("b", "a", 0)), [4]);
    // A host in trouble does not block processes that wait at another computer.
    gates.arrived("a", NodeId(1));
    let one = gates.lock().admit(&of("b", "a", 0), &SEEN, |label| label == "b");
    assert_eq!(one.passed, [NodeId(6)]);
}

/// Returns a queue whose jobs share a machine of 8 cores.
fn workstation(cores_in_use: u32) -> Queue {
    let mut queue = queue(vec![computer("ws", None, None)], 0);
    queue.sharing.machine = Some(Machine { cores: Some(8), ..Machine::default() });
    queue.in_use.add(&Demand { cores: cores_in_use, ..Demand::default() });
    queue
}

#[test]
fn leaves_under_way_have_their_share_of_the_machine_and_nobody_younger_takes_it() {
    let gates = Gates::default();
    for (process, cores) in [(1, 2), (2, 4), (3, 1), (4, 9)] {
        gates.demand(NodeId(process), Demand { cores, ..Demand::default() });
    }
    waiting(&gates, "ws", 1..=4);
    assert_eq!(
        passed(&gates, &workstation(4)),
        [1, 4],
        "2 waits, 3 after it; 4 is to be told that it never fits"
    );
    assert_eq!(passed(&gates, &workstation(4)), [] as [i64; 0], "the leave counts");
    assert!(gates.is_any_wanted(&workstation(0).sharing));
    gates.arrived("ws", NodeId(1));
    assert_eq!(passed(&gates, &workstation(4)), [2]);
    gates.arrived("ws", NodeId(2));
    assert_eq!(passed(&gates, &workstation(7)), [3]);
    gates.arrived("ws", NodeId(3));
    assert!(!gates.is_any_wanted(&workstation(0).sharing), "who never fits has no leave");
}

#[tokio::test]
async fn who_stands_still_holds_nobody_up() {
    let gates = Gates::default();
    for process in 1..=3 {
        gates.demand(NodeId(process), Demand { cores: 8, ..Demand::default() });
    }
    waiting(&gates, "ws", 1..=3);
    let freed = gates.freed();
    gates.stands_still(NodeId(1));
    let told = tokio::time::timeout(Duration::ZERO, freed.notified()).await;
    assert!(told.is_ok(), "those behind it are looked at");
    assert_eq!(passed(&gates, &workstation(0)), [2]);
    assert_eq!(passed(&gates, &workstation(0)), [] as [i64; 0]);
    gates.stands_still(NodeId(2));
    assert_eq!(passed(&gates, &workstation(0)), [3], "its leave is free");
}

#[test]
fn those_who_wait_are_told_what_for() {
    let gates = Gates::default();
    gates.demand(NodeId(1), Demand { cores: 2, ..Demand::default() });
    waiting(&gates, "ws", [1, 2]);
    let queue = workstation(7);
    let mut inner = gates.lock();
    let admitted = inner.admit(&queue, &SEEN, |_| true);
    assert_eq!(admitted.passed, [NodeId(2)], "one that asks for nothing");
    let news = inner.news(&queue.sharing, &admitted).unwrap();
    let Change::Observed { status, .. } = &news.changes[0] else { panic!("{:?}", news.changes) };
    assert_eq!(status.as_deref(), Some("waiting for 2 cores on ws: 7 of 8 in use"));
    assert_eq!(news.states[0].1.taken.cores, 7);
}

#[test]
fn a_computer_without_a_limit_makes_no_statement() {
    let gates = Gates::default();
    waiting(&gates, "free", 1..=5);
    waiting(&gates, "bound", 6..=9);
    let both = queue(vec![computer("free", None, None), computer("bound", Some(2), None)], 0);
    assert_eq!(passed(&gates, &both), [1, 2]);
    assert_eq!(passed(&gates, &queue(vec![computer("free", None, None)], 0)), [3, 4, 5], "alone");
}

#[tokio::test(start_paused = true)]
async fn computers_of_one_queue_share_the_slower_rate_and_what_the_scheduler_taught() {
    let gates = Gates::default();
    waiting(&gates, "a", 1..=20);
    waiting(&gates, "b", 21..=40);
    let computers = vec![computer("a", None, Some("10/10s")), computer("b", None, Some("2/10s"))];
    let both = queue(computers, 0);
    assert_eq!(passed(&gates, &both).len(), 1);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(passed(&gates, &both).len(), 2);
    let free = queue(vec![computer("a", None, None), computer("b", None, None)], 4);
    gates.lock().gates.entry("b".into()).or_default().learned = Some(Learned::taught(9, None));
    assert!(gates.has_learned_limit(&free.sharing));
    assert_eq!(passed(&gates, &free).len(), 2, "9 but for 4 with tickets and 3 with leave");
}

fn refuse(gates: &Gates, label: &str, process: i64, bound: u32) {
    let mut inner = gates.lock();
    let gate = inner.gates.entry(label.to_owned()).or_default();
    gate.granted.remove(&NodeId(process));
    gate.wanting.insert(NodeId(process));
    gate.refused.insert(NodeId(process));
    gate.learned = Some(Learned::taught(bound, gate.learned.as_ref()));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_probed_by_one_at_a_time_and_never_twice_by_the_same_before_others() {
    let gates = Gates::default();
    waiting(&gates, "a", 1..=3);
    let full = queue(vec![computer("a", None, None)], 5);
    refuse(&gates, "a", 1, 5);
    let (mut probes, start) = (Vec::new(), Instant::now());
    while start.elapsed() < Duration::from_secs(300) {
        tokio::time::advance(Duration::from_secs(1)).await;
        let passed = passed(&gates, &full);
        assert!(passed.len() <= 1, "{passed:?}");
        for process in passed {
            refuse(&gates, "a", process, 5);
            probes.push((start.elapsed().as_secs(), process));
        }
    }
    assert_eq!(probes[..3].iter().map(|probe| probe.1).collect::<Vec<_>>(), [2, 3, 1]);
    assert_eq!(probes[..4].iter().map(|probe| probe.0).collect::<Vec<_>>(), [5, 15, 35, 75]);
    assert!(probes.len() < 10);
}

#[tokio::test(start_paused = true)]
async fn a_bound_that_proves_too_small_is_soon_no_bound() {
    let gates = Gates::default();
    waiting(&gates, "a", 1..=100);
    refuse(&gates, "a", 1, 1);
    let (mut active, start) = (1, Instant::now());
    while active < 101 {
        tokio::time::advance(Duration::from_secs(1)).await;
        let passed = passed(&gates, &queue(vec![computer("a", None, None)], active));
        passed.iter().for_each(|process| gates.arrived("a", NodeId(*process)));
        active += passed.len() as u32;
        assert!(start.elapsed() < Duration::from_secs(20), "{active}");
    }
}
