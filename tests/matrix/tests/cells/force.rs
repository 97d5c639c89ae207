//! Kills of unreachable jobs: the request is kept. `--force` ends the process at once, and the job when its
//! computer answers again. A job that was never submitted needs no answer.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, text};
use serde_json::Value;

use crate::{
    cell::{Cell, CellCase},
    services::Wire,
};

pub(crate) const CASES: &[CellCase] = &[
    ("a_kill_comes_true_when_the_link_is_back", a_kill_comes_true_when_the_link_is_back),
    ("a_forced_kill_leaves_its_job_to_the_reaper", a_forced_kill_leaves_its_job_to_the_reaper),
    ("a_job_is_left_to_the_reaper_alone", a_job_is_left_to_the_reaper_alone),
    ("a_kill_of_what_was_never_submitted_needs_no_link", a_kill_of_what_was_never_submitted_needs_no_link),
];

const LIMIT: Duration = Duration::from_secs(240);
/// Maximum time of a forced kill. It tries to cancel the job for 5 s.
const FORCED: Duration = Duration::from_secs(15);

/// Waits until `process show` meets a condition. Returns its output.
fn until(ferry: &Profile, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let shown = ferry.json(&["process", "show", id])?;
        if is(&shown) {
            return Ok(shown);
        }
        check(begun.elapsed() < LIMIT, || format!("not {what}: {shown:#}\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(100));
    }
}

/// Submits a job that runs for longer than any case.
fn submit_long(cell: &Cell, ferry: &Profile) -> Result<String> {
    cell.submit(ferry, &["arithmetic.add_job", "x=1", "y=1", "sleep=600"])
}

/// Starts such a job behind a wire. Returns when it runs.
fn running(cell: &Cell, wire: &Wire) -> Result<(Profile, String)> {
    let ferry = cell.profile_below_scratch(Some(wire))?;
    ferry.ok(&["daemon", "start"])?;
    let id = submit_long(cell, &ferry)?;
    until(&ferry, &id, "running", |shown| shown["scheduler_state"] == "RUNNING")?;
    check(queued(&ferry)? == 1, || "the queue does not show it".into())?;
    Ok((ferry, id))
}

/// Returns the number of a profile's jobs that the real queue shows.
fn queued(ferry: &Profile) -> Result<usize> {
    let mut squeue = Command::new("squeue");
    squeue.args(["-h", "-t", "PD,CF,R", "-o", "%Z"]).stderr(Stdio::null());
    let listed = squeue.output().map_err(|error| format!("squeue: {error}"))?;
    let dirs = String::from_utf8_lossy(&listed.stdout).into_owned();
    Ok(dirs.lines().filter(|dir| dir.starts_with(text(ferry.scratch()))).count())
}

fn wait_until_gone(ferry: &Profile) -> Result {
    let begun = Instant::now();
    while queued(ferry)? > 0 {
        check(begun.elapsed() < LIMIT, || format!("the job lives on\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn a_kill_comes_true_when_the_link_is_back(cell: &Cell) -> Result {
    let wire = Wire::take()?;
    let (ferry, id) = running(cell, &wire)?;
    let cut = wire.cut()?;
    ferry.ferry(&["process", "kill", &id, "--timeout", "3"])?.expect(1)?.says(&[
        "did not end within 3 s",
        "the wish is kept",
        &id,
    ])?;
    let shown = until(&ferry, &id, "told why", |shown| {
        shown["waiting_for"].as_str().is_some_and(|text| text.contains("killed") || text.contains("computer"))
    })?;
    check(shown["state"] != "killed" && shown["kill_requested"] == true, || format!("{shown:#}"))?;
    check(queued(&ferry)? == 1, || "it was cancelled over a wire that is cut".into())?;
    drop(cut);
    check(ferry.ended(&id, LIMIT)?["state"] == "killed", || "not killed".into())?;
    wait_until_gone(&ferry)
}

fn a_forced_kill_leaves_its_job_to_the_reaper(cell: &Cell) -> Result {
    let wire = Wire::take()?;
    let (ferry, id) = running(cell, &wire)?;
    let cut = wire.cut()?;
    let begun = Instant::now();
    ferry.ok(&["process", "kill", "--force", &id, "--timeout", "30"])?;
    let took = begun.elapsed();
    check(ferry.ended(&id, FORCED)?["state"] == "killed", || "not killed".into())?;
    check(took < FORCED, || format!("it took {took:?}"))?;
    check(queued(&ferry)? == 1, || "it was cancelled over a wire that is cut".into())?;
    let report = ferry.ok(&["process", "report", &id])?;
    check(report.contains("was not cancelled yet") && report.contains("keeps trying"), || report.clone())?;
    // The list of them outlives the daemon.
    check(orphans(&ferry)? == 1, || "the job is on no list".into())?;
    ferry.ok(&["daemon", "restart"])?;
    check(orphans(&ferry)? == 1, || "a restart forgot the job".into())?;
    drop(cut);
    wait_until_gone(&ferry)?;
    let begun = Instant::now();
    while orphans(&ferry)? > 0 {
        check(begun.elapsed() < LIMIT, || "a job that is gone stays on the list".into())?;
        thread::sleep(Duration::from_millis(200));
    }
    let report = ferry.ok(&["process", "report", &id])?;
    check(report.contains("was cancelled, or had already ended"), || report.clone())
}

/// No other process uses the computer, so the reaper itself must notice that its connection is lost.
fn a_job_is_left_to_the_reaper_alone(cell: &Cell) -> Result {
    let wire = Wire::take()?;
    let (ferry, id) = running(cell, &wire)?;
    let cut = wire.cut()?;
    ferry.ok(&["process", "kill", "--force", &id, "--timeout", "30"])?;
    check(ferry.ended(&id, FORCED)?["state"] == "killed", || "not killed".into())?;
    let begun = Instant::now();
    while !counted(&ferry, "SELECT count(*) FROM orphan WHERE error IS NOT NULL")
        .is_ok_and(|count| count == 1)
    {
        check(begun.elapsed() < LIMIT, || format!("it does not fail\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(200));
    }
    drop(cut);
    wait_until_gone(&ferry)
}

fn orphans(ferry: &Profile) -> Result<i64> {
    counted(ferry, "SELECT count(*) FROM orphan")
}

fn counted(ferry: &Profile, query: &str) -> Result<i64> {
    let store = ferry.root().join("store.db");
    let open = rusqlite::Connection::open_with_flags(store, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let count = open.and_then(|store| store.query_row(query, [], |row| row.get(0)));
    count.map_err(|error| format!("the store: {error}"))
}

fn a_kill_of_what_was_never_submitted_needs_no_link(cell: &Cell) -> Result {
    let wire = Wire::take()?;
    let ferry = cell.profile_below_scratch(Some(&wire))?;
    let cut = wire.cut()?;
    ferry.ok(&["daemon", "start"])?;
    let id = submit_long(cell, &ferry)?;
    until(&ferry, &id, "waiting", |shown| shown["state"] == "waiting")?;
    let begun = Instant::now();
    ferry.ok(&["process", "kill", &id])?;
    let took = begun.elapsed();
    check(ferry.ended(&id, LIMIT)?["state"] == "killed", || "not killed".into())?;
    check(took < Duration::from_secs(3), || format!("it took {took:?}"))?;
    drop(cut);
    check(queued(&ferry)? == 0, || "it was submitted all the same".into())
}
