//! When the engine looks at a computer's queue, counted on a host in memory, in virtual time: the floor between two
//! looks, the first one after idleness, and the early one after a submission.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeMap, time::Duration};

use ferry_engine::testing::{HostPlan, HostSettings, LaunchPlan, Plan, Told, Watch, run};
use ferry_plugin_proto::Value;

/// The scripted scheduler's least time between two looks, s.
const FLOOR: f64 = 10.0;

/// A job that runs so long, launched at a time, s.
fn launch(at: f64, seconds: i64) -> LaunchPlan {
    LaunchPlan {
        at: Duration::from_secs_f64(at),
        label: format!("at {at}"),
        process_type: "sim.job",
        inputs: BTreeMap::from([("value".into(), Value::Int(1)), ("seconds".into(), Value::Int(seconds))]),
        computer: Some("alpha"),
    }
}

/// Runs the launches on a computer with this cap; what its host noted, each with its time.
fn watched(launches: Vec<LaunchPlan>, max_active: Option<u32>) -> Vec<(f64, String)> {
    watched_on(Told::Nothing, launches, max_active)
}

/// The same on a host whose jobs tell this of their ends.
fn watched_on(told: Told, launches: Vec<LaunchPlan>, max_active: Option<u32>) -> Vec<(f64, String)> {
    let settings = HostSettings { latency_max: 20, told, ..HostSettings::quiet("alpha") };
    let host =
        HostPlan { settings, max_queued: None, max_active, submit_rate: None, is_proven: true, second: None };
    let plan = Plan {
        seed: 7,
        hosts: vec![host],
        launches,
        on_commit: BTreeMap::new(),
        on_op: BTreeMap::new(),
        on_call: Default::default(),
        events: Vec::new(),
        lasts: Duration::from_secs(3600),
    };
    let report = run(&plan, Watch::Text).unwrap();
    assert!(report.wrongs.is_empty(), "{:#?}", report.wrongs);
    let timed = |line: &String| {
        let (time, what) = line.trim_start().split_once("  ")?;
        Some((time.parse().ok()?, what.to_owned()))
    };
    report.lines.iter().filter_map(timed).collect()
}

/// The times of what begins with one of these words, s.
fn times(notes: &[(f64, String)], words: &[&str]) -> Vec<f64> {
    let is_meant = |what: &String| words.iter().any(|word| what.starts_with(word));
    notes.iter().filter(|(_, what)| is_meant(what)).map(|(time, _)| *time).collect()
}

fn looks(notes: &[(f64, String)]) -> Vec<f64> {
    let looks = times(notes, &["survey on", "status on"]);
    for pair in looks.windows(2) {
        assert!(pair[1] - pair[0] >= FLOOR, "two looks within the floor: {pair:?} of {looks:?}");
    }
    looks
}

/// The first of these times at or after a moment, as the time that passed since then.
fn after(times: &[f64], moment: f64) -> f64 {
    times.iter().find(|time| **time >= moment).expect("nothing came after that moment") - moment
}

#[test]
fn after_idleness_the_queue_is_looked_at_at_once() {
    let notes = watched(vec![launch(0.0, 5), launch(600.0, 5)], Some(20));
    let (looks, submits) = (looks(&notes), times(&notes, &["submit on"]));
    for moment in [0.0, 600.0] {
        let (look, submit) = (after(&looks, moment), after(&submits, moment));
        assert!(look < 1.0 && submit < 5.0, "looked after {look} s, submitted after {submit} s: {notes:#?}");
    }
}

#[test]
fn a_burst_after_idleness_passes_by_one_look() {
    // Few, since the host keeps its last notes alone.
    let launches = (0..6).map(|number| launch(600.0 + f64::from(number) * 0.5, 30));
    let notes = watched(launches.collect(), Some(6));
    looks(&notes);
    let submitted = notes.iter().filter(|(time, what)| what.contains("is in for") && *time < 609.0).count();
    assert_eq!(submitted, 6, "{notes:#?}");
}

#[test]
fn who_comes_within_the_floor_of_a_look_passes_by_it_up_to_the_cap() {
    let launches = vec![launch(0.0, 300), launch(3.0, 300), launch(4.0, 300)];
    let notes = watched(launches, Some(2));
    looks(&notes);
    let jobs: Vec<f64> = times(&notes, &["job "]);
    let is_in = notes.iter().filter(|(_, what)| what.contains("is in for")).map(|(time, _)| *time);
    let is_in: Vec<f64> = is_in.collect();
    assert!(is_in[1] - 3.0 < 4.0, "the second one did not wait for another look: {is_in:?}");
    assert!(is_in[2] > 300.0, "the third one waits for the end of one of them: {is_in:?}, {jobs:?}");
}

#[test]
fn a_submission_does_not_wait_for_the_interval_that_has_grown() {
    let notes = watched(vec![launch(0.0, 3000), launch(1000.0, 5)], None);
    let looks = looks(&notes);
    let before: Vec<f64> = looks.iter().copied().filter(|look| *look < 1000.0).collect();
    let [.., last_but_one, last] = before[..] else { panic!("no two looks before: {looks:?}") };
    assert!(last - last_but_one > 5.0 * FLOOR, "the interval has not grown: {looks:?}");
    let submitted = 1000.0 + after(&times(&notes, &["submit on"]), 1000.0);
    let look = after(&looks, submitted);
    assert!(submitted > last + FLOOR && look < 2.0, "looked {look} s after the submission: {looks:?}");
}

#[test]
fn however_jobs_come_two_looks_keep_the_floor() {
    for cap in [None, Some(3)] {
        let launches =
            (0..25u32).map(|number| launch(f64::from(number * number) * 0.7, 2 + i64::from(number)));
        looks(&watched(launches.collect(), cap));
    }
}

/// Returns the delay, s, from the end of each job to the next look. The jobs run for these times, s, in the order of
/// their starts.
fn seen_after(notes: &[(f64, String)], seconds: &[f64]) -> Vec<f64> {
    let looks = times(notes, &["survey on", "status on"]);
    // The host notes an end only when somebody asks it for something.
    let starts = notes.iter().filter(|(_, what)| what.contains(" starts in ")).map(|(at, _)| *at);
    let starts: Vec<f64> = starts.collect();
    assert_eq!(starts.len(), seconds.len(), "{notes:#?}");
    starts.iter().zip(seconds).map(|(start, lasts)| after(&looks, start + lasts)).collect()
}

#[test]
fn an_end_that_is_told_is_seen_at_once() {
    let launches = || vec![launch(0.0, 500), launch(1.0, 700), launch(300.0, 350)];
    let seen = seen_after(&watched_on(Told::Ends, launches(), None), &[500.0, 700.0, 350.0]);
    assert!(seen.iter().all(|wait| *wait < 0.5), "{seen:?}");
    let polled = seen_after(&watched(launches(), None), &[500.0, 700.0, 350.0]);
    assert!(polled.iter().any(|wait| *wait > 2.0), "nothing is shown by it: {polled:?}");
}

#[test]
fn a_job_that_ended_before_it_was_watched_is_seen_at_once() {
    let notes = watched_on(Told::Ends, vec![launch(0.0, 600), launch(300.0, 0)], None);
    let seen = seen_after(&notes, &[600.0, 0.0]);
    assert!(seen.iter().all(|wait| *wait < 0.5), "{seen:?}");
}

#[test]
fn who_waits_for_room_passes_when_an_end_is_told() {
    let notes = watched_on(Told::Ends, (0..5).map(|number| launch(f64::from(number), 60)).collect(), Some(1));
    let is_start = |(_, what): &&(f64, String)| what.contains(" starts in ");
    let starts: Vec<f64> = notes.iter().filter(is_start).map(|(at, _)| *at).collect();
    assert_eq!(starts.len(), 5);
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] < 65.0), "{starts:?}");
}

#[test]
fn a_watch_that_hangs_or_fails_holds_up_no_look_and_is_nobodys_trouble() {
    for told in [Told::Hangs, Told::Fails] {
        let notes = watched_on(told, vec![launch(0.0, 500), launch(100.0, 700)], None);
        let seen = seen_after(&notes, &[500.0, 700.0]);
        assert!(seen.iter().all(|wait| *wait < 50.0 * FLOOR), "{told:?}: {seen:?}");
        let probes = times(&notes, &["open"]).len();
        assert!(probes <= 1, "{told:?}: the computer was not in trouble: {notes:#?}");
    }
}
