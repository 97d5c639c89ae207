//! Simulations: that they can be replayed, that nothing goes wrong under any of many seeds, and that a crash at any
//! commit and around any remote operation leads to the same graph as none.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeMap, time::Duration};

use ferry_engine::{
    store::testing::Fault,
    testing::{
        Event, HostPlan, HostSettings, Known, LaunchPlan, OpFault, Outage, Plan, Report, SecondPlan, Watch,
        try_out,
    },
};
use ferry_plugin_proto::Value;

/// Seeds of each test that goes through some.
const SEEDS: u64 = 60;

fn check(plan: &Plan, what: &str) -> Report {
    let report = try_out(plan, Watch::Off).unwrap();
    assert!(report.wrongs.is_empty(), "seed {}, {what}: {:#?}", plan.seed, report.wrongs);
    report
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..SEEDS {
        let plan = Plan::of_seed(seed);
        let [one, two] = [(); 2].map(|()| try_out(&plan, Watch::Digest).unwrap());
        assert_eq!(one.digest, two.digest, "seed {seed}");
        assert_eq!(one.trees, two.trees, "seed {seed}");
    }
    let other = try_out(&Plan::of_seed(1), Watch::Digest).unwrap();
    assert_ne!(try_out(&Plan::of_seed(0), Watch::Digest).unwrap().digest, other.digest);
}

#[test]
fn nothing_goes_wrong_under_many_seeds() {
    for seed in 1000..1000 + SEEDS {
        check(&Plan::of_seed(seed), "the seed's own plan");
    }
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> BTreeMap<String, Value> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn job() -> BTreeMap<String, Value> {
    map([("value", Value::Int(41)), ("seconds", Value::Int(30))])
}

/// A job, a calcfunction on its result, and a nap.
fn script() -> BTreeMap<String, Value> {
    let call = |name: &str, kind: &str, inputs| {
        Value::Map(map([("call", name.into()), ("type", kind.into()), ("inputs", Value::Map(inputs))]))
    };
    let Value::Map(mut first) = call("a", "sim.job", job()) else { unreachable!("a call is a map") };
    first.insert("computer".into(), "alpha".into());
    let wait = |name: &str| Value::Map(map([("wait", Value::List(vec![name.into()]))]));
    let add = call("b", "sim.add", map([("x", "$a.sum".into()), ("y", Value::Int(1))]));
    let nap = Value::Map(map([("sleep", Value::Int(20))]));
    let end = Value::Map(map([("return", "sum".into()), ("of", "b.sum".into())]));
    map([("script", Value::List(vec![Value::Map(first), wait("a"), add, wait("b"), nap, end]))])
}

fn plan(process_type: &'static str, inputs: BTreeMap<String, Value>) -> Plan {
    let settings = HostSettings { latency_max: 20, pending_max: 5, ..HostSettings::quiet("alpha") };
    let host = HostPlan {
        settings,
        max_queued: None,
        max_active: Some(1),
        submit_rate: None,
        is_proven: true,
        second: None,
    };
    let launch = LaunchPlan {
        at: Duration::ZERO,
        label: "p".into(),
        process_type,
        inputs,
        computer: (process_type == "sim.job").then_some("alpha"),
    };
    Plan {
        seed: 7,
        hosts: vec![host],
        launches: vec![launch],
        on_commit: BTreeMap::new(),
        on_op: BTreeMap::new(),
        on_call: Default::default(),
        events: Vec::new(),
        lasts: Duration::from_secs(3600),
    }
}

/// Dies at every commit and around every remote operation of a plan, one after the other.
fn crash_everywhere(plan: &Plan) {
    let whole = check(plan, "without a crash");
    let mut crashes = 0;
    for number in 1..=whole.commits {
        for fault in [Fault::DieBefore, Fault::DieAfter] {
            let plan = Plan { on_commit: [(number, fault)].into(), ..plan.clone() };
            let report = check(&plan, &format!("{fault:?} of commit {number}"));
            assert_eq!(report.trees, whole.trees);
            crashes += report.crashes;
        }
    }
    for number in 1..=whole.ops {
        for fault in [OpFault::DieBefore, OpFault::DieAfter] {
            let plan = Plan { on_op: [(number, fault)].into(), ..plan.clone() };
            let report = check(&plan, &format!("{fault:?} of remote operation {number}"));
            assert_eq!(report.trees, whole.trees);
            crashes += report.crashes;
        }
    }
    assert_eq!(u64::from(crashes), 2 * (whole.commits + whole.ops), "some crash did not happen");
}

#[test]
fn a_crash_anywhere_in_a_calcjob_changes_nothing() {
    crash_everywhere(&plan("sim.job", job()));
}

/// The scheduler's verdict on a job's end becomes its exit code, whenever the owner dies.
#[test]
fn the_scheduler_s_verdicts_are_exit_codes_through_any_crash() {
    for (status, label) in [
        (110, "ERROR_SCHEDULER_OUT_OF_MEMORY"),
        (120, "ERROR_SCHEDULER_OUT_OF_WALLTIME"),
        (140, "ERROR_SCHEDULER_NODE_FAILURE"),
        (142, "ERROR_SCHEDULER_PREEMPTED"),
    ] {
        let inputs = map([("seconds", Value::Int(30)), ("ends", Value::Int(status))]);
        let report = check(&plan("sim.job", inputs.clone()), label);
        let told = &report.trees["p"];
        assert!(told.contains(&format!("finished exit Some({status})")) && told.contains(label), "{told}");
        if status == 110 {
            crash_everywhere(&plan("sim.job", inputs));
        }
    }
}

#[test]
fn a_crash_anywhere_in_a_parent_and_its_children_changes_nothing() {
    crash_everywhere(&plan("script.run", script()));
}

#[test]
fn a_crash_anywhere_in_a_calcfunction_changes_nothing() {
    crash_everywhere(&plan("sim.add", map([("x", Value::Int(1)), ("y", Value::Int(2))])));
}

/// One event at many moments of a parent and its children.
fn at_many_moments(event: &Event) -> Duration {
    let mut longest = Duration::ZERO;
    for second in (0..90).step_by(3) {
        let at = Duration::from_millis(second * 1000 + 250);
        let plan = Plan { events: vec![(at, event.clone())], ..plan("script.run", script()) };
        let report = check(&plan, &format!("{event:?} after {at:?}"));
        assert!(report.disturbed.is_empty());
        longest = longest.max(report.lasted);
    }
    longest
}

#[test]
fn a_clock_that_is_set_back_an_hour_changes_nothing_and_delays_nobody() {
    let longest = at_many_moments(&Event::ClockBack(Duration::from_secs(3600)));
    let whole = check(&plan("script.run", script()), "with a clock that is right").lasted;
    assert!(longest < whole + Duration::from_secs(60), "{longest:?} instead of {whole:?}");
}

#[test]
fn a_machine_that_sleeps_for_a_day_or_three_changes_nothing() {
    at_many_moments(&Event::Suspend(Duration::from_secs(86_400)));
    at_many_moments(&Event::Suspend(Duration::from_secs(3 * 86_400)));
}

#[test]
fn a_host_that_is_away_for_two_minutes_changes_nothing() {
    for outage in [Outage::Refuses, Outage::Silent] {
        at_many_moments(&Event::HostDown { host: "alpha", lasts: Duration::from_secs(120), outage });
    }
}

/// Half an answer, one that is lost, and half an answer again do not add up to a job that is gone.
#[test]
fn lies_with_a_lost_answer_between_them_end_no_job() {
    let long = map([("seconds", Value::Int(120))]);
    let mut plan = plan("sim.job", long);
    plan.hosts[0].settings.is_authoritative = false;
    plan.hosts[0].max_active = None;
    let whole = check(&plan, "an honest scheduler");
    for first in 7..whole.ops {
        for lost in first + 1..first + 4 {
            for second in lost + 1..lost + 5 {
                let half = OpFault::Half;
                let on_op = [(first, half), (lost, OpFault::LostAfter), (second, half)].into();
                let what = format!("half of {first}, {lost} lost, half of {second}");
                let report = check(&Plan { on_op, ..plan.clone() }, &what);
                assert_eq!(report.trees, whole.trees, "{what}");
            }
        }
    }
}

/// A job that may exist is no end: after too many times the process waits for the user, and only force ends it.
#[test]
fn what_was_forgotten_too_often_is_no_end() {
    let mut plan = plan("sim.job", job());
    plan.hosts[0].settings.is_authoritative = false;
    plan.hosts[0].settings.pending_max = 100_000;
    let at = |minute: u64| Duration::from_secs(60 * minute);
    plan.events = (1..=9).map(|minute| (at(minute), Event::Forgets("alpha"))).collect();
    plan.events.push((at(15), Event::Kill { label: "p".into(), force: true }));
    let report = check(&plan, "nine times");
    assert!(report.trees["p"].contains("killed"), "{}", report.trees["p"]);
}

/// Nobody but the reaper wants anything of the host then, and it must notice that its connection is lost.
#[test]
fn a_forced_kill_while_the_host_is_away_leaves_no_job() {
    let long = map([("seconds", Value::Int(3000))]);
    for outage in [Outage::Refuses, Outage::Silent] {
        for kill in 31..50 {
            let lasts = Duration::from_secs(15);
            let down = Event::HostDown { host: "alpha", lasts, outage };
            let kill_it = Event::Kill { label: "p".into(), force: true };
            let events = vec![(Duration::from_secs(30), down), (Duration::from_secs(kill), kill_it)];
            let plan = Plan { events, ..plan("sim.job", long.clone()) };
            let report = check(&plan, &format!("{outage:?}, killed after {kill} s"));
            assert!(report.trees["p"].contains("killed"), "{}", report.trees["p"]);
        }
    }
}

/// Many jobs through two computers of one host: the world counts them together.
#[test]
fn two_computers_of_a_host_share_the_smaller_bound() {
    for known in [Known::ByAddress, Known::FromBefore, Known::AtContact] {
        for (first, second) in [(Some(2), Some(3)), (Some(3), Some(2)), (Some(2), None)] {
            if known == Known::AtContact && second.is_some_and(|second| Some(second) < first) {
                continue;
            }
            for has_queue in [true, false] {
                let mut plan = plan("sim.job", job());
                let host = &mut plan.hosts[0];
                (host.settings.has_queue, host.max_active) = (has_queue, first);
                host.second =
                    Some(SecondPlan { label: "alpha-too", max_queued: None, max_active: second, known });
                let launch = plan.launches[0].clone();
                plan.launches = (0..12)
                    .map(|n| LaunchPlan {
                        label: format!("p{n}"),
                        computer: Some(["alpha", "alpha-too"][n % 2]),
                        ..launch.clone()
                    })
                    .collect();
                let report = check(&plan, &format!("{known:?}, {first:?} and {second:?}"));
                assert!(report.lasted > Duration::from_secs(6 * 30), "{:?}: two at a time", report.lasted);
            }
        }
    }
}

#[test]
fn a_hand_over_at_any_time_changes_nothing() {
    at_many_moments(&Event::HandOver);
}
