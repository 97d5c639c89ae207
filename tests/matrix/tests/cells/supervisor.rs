//! The supervisor with real deaths: `kill -9`, SIGABRT and SIGSEGV of the worker, stopped parts, and the log.

use std::{
    fs,
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, kill, plugin, text};
use serde_json::Value;

use crate::{
    Case,
    cell::{Cell, CellCase},
};

pub(crate) const CASES: &[Case] = &[
    ("a_killed_worker_is_started_again", a_killed_worker_is_started_again),
    ("who_crashes_the_daemon_three_times_is_excepted", who_crashes_the_daemon_three_times_is_excepted),
    ("kills_from_outside_are_nobodys_fault", kills_from_outside_are_nobodys_fault),
    ("a_stopped_supervisor_hangs_nobody", a_stopped_supervisor_hangs_nobody),
    ("stopped_parts_are_ended_by_force", stopped_parts_are_ended_by_force),
    ("no_worker_outlives_its_supervisor", no_worker_outlives_its_supervisor),
    ("a_waiting_supervisor_can_be_stopped", a_waiting_supervisor_can_be_stopped),
    ("a_start_in_a_terminal_is_supervised", a_start_in_a_terminal_is_supervised),
    ("the_log_is_rotated_and_opened_anew", the_log_is_rotated_and_opened_anew),
    ("log_levels_change_at_once", log_levels_change_at_once),
    ("a_run_shows_the_end_though_its_daemon_died", a_run_shows_the_end_though_its_daemon_died),
    ("a_second_interrupt_kills", a_second_interrupt_kills),
];

/// Cases that run where there is a connection, whose library logs.
pub(crate) const LINK_CASES: &[CellCase] =
    &[("log_levels_of_a_library_change_at_once", log_levels_of_a_library_change_at_once)];

const LIMIT: Duration = Duration::from_secs(240);

/// Waits until something holds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Result {
    let start = Instant::now();
    while !holds() {
        check(start.elapsed() < LIMIT, || format!("not in {LIMIT:?}: {what}"))?;
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Returns `daemon status`, whether or not a daemon runs.
fn status(ferry: &Profile) -> Result<Value> {
    ferry.ferry(&["daemon", "status", "--format", "json"])?.json()
}

fn supervisor(ferry: &Profile) -> Result<i32> {
    let status = status(ferry)?;
    status["supervisor"]["pid"].as_i64().map(|pid| pid as i32).ok_or_else(|| format!("none: {status:#}"))
}

/// Returns whether a process runs. One that has ended and was not reaped does not.
pub(crate) fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn a_killed_worker_is_started_again() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let (first, _) = ferry.daemon()?;
    let above = supervisor(&ferry)?;
    let id = ferry.submit(&["arithmetic.add_job", "x=1", "y=2", "sleep=1"])?;
    kill(first, 9);
    eventually("a new worker", || ferry.daemon().is_ok_and(|(pid, _)| pid != first))?;
    let shown = status(&ferry)?;
    check(shown["supervisor"]["pid"] == above && shown["supervisor"]["restarts"] == 1, || {
        format!("{shown:#}")
    })?;
    let reason = shown["last_death"]["reason"].as_str().unwrap_or_default();
    check(reason.contains("SIGKILL") && shown["last_death"]["pid"] == first, || format!("{shown:#}"))?;
    check(ferry.ended(&id, LIMIT)?["exit_code"] == 0, || "not finished".into())?;
    ferry.ok(&["daemon", "stop"])?;
    eventually("the supervisor's end", || !lives(above))
}

/// Submits a process whose step never ends, in a running daemon.
fn sleeper(ferry: &Profile) -> Result<String> {
    ferry.ok(&["plugin", "install", text(&plugin("hostile_file")?)])?;
    ferry.submit(&["hostile.call", "deed=sleep"])
}

/// Ends the worker with a signal while it steps something, and waits for the next one.
fn crash(ferry: &Profile, signal: i32) -> Result {
    eventually("something is stepped", || {
        status(ferry).is_ok_and(|status| status["stepping"].as_u64().is_some_and(|count| count > 0))
    })?;
    let (pid, _) = ferry.daemon()?;
    // The first of two SIGSEGV only takes the runtime's own handler away.
    while lives(pid) {
        kill(pid, signal);
        sleep(Duration::from_millis(20));
    }
    ferry.ok(&["daemon", "start"]).map(drop)
}

fn who_crashes_the_daemon_three_times_is_excepted() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let guilty = sleeper(&ferry)?;
    let innocent: Vec<String> =
        (0..5).map(|_| ferry.submit(&["arithmetic.add_job", "x=1", "y=1"])).collect::<Result<_>>()?;
    crash(&ferry, 6)?;
    crash(&ferry, 6)?;
    check(ferry.json(&["process", "show", &guilty])?["state"] != "excepted", || "too early".into())?;
    crash(&ferry, 11)?;
    let shown = ferry.ended(&guilty, LIMIT)?;
    let why = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["state"] == "excepted", || format!("{shown:#}"))?;
    check(why.contains("SIGSEGV") && why.contains("3 times"), || why.to_owned())?;
    let report = ferry.ok(&["process", "report", &guilty])?;
    check(report.contains("SIGABRT"), || report.clone())?;
    for id in innocent {
        check(ferry.ended(&id, LIMIT)?["exit_code"] == 0, || format!("{id} was harmed"))?;
    }
    Ok(())
}

fn kills_from_outside_are_nobodys_fault() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let id = sleeper(&ferry)?;
    (0..4).try_for_each(|_| crash(&ferry, 9))?;
    let shown = ferry.json(&["process", "show", &id])?;
    check(shown["state"] != "excepted", || format!("{shown:#}"))?;
    ferry.ok(&["process", "kill", &id])?;
    check(ferry.ended(&id, LIMIT)?["state"] == "killed", || "not killed".into())
}

fn a_stopped_supervisor_hangs_nobody() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let (worker, _) = ferry.daemon()?;
    let above = supervisor(&ferry)?;
    kill(above, 19);
    let start = Instant::now();
    check(status(&ferry)?["supervisor"]["stopped"] == true, || "not told".into())?;
    let id = ferry.submit(&["arithmetic.add_job", "x=1", "y=2"])?;
    check(ferry.ended(&id, LIMIT)?["exit_code"] == 0, || "not finished".into())?;
    ferry.ok(&["daemon", "stop"])?;
    check(start.elapsed() < Duration::from_secs(20), || format!("it took {:?}", start.elapsed()))?;
    check(!lives(worker) && !lives(above), || "something is left".into())?;
    ferry.ok(&["daemon", "start"]).map(drop)
}

fn stopped_parts_are_ended_by_force() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let (worker, _) = ferry.daemon()?;
    let above = supervisor(&ferry)?;
    kill(worker, 19);
    kill(above, 19);
    let start = Instant::now();
    let words = ["SIGSTOP", &worker.to_string()];
    ferry.ferry(&["daemon", "status"])?.expect(1)?.says(&words)?;
    ferry.ferry(&["submit", "arithmetic.add_job", "x=1", "y=2"])?.expect(1)?.says(&words)?;
    ferry.ok(&["status"])?;
    ferry.ok(&["process", "list"])?;
    ferry.ok(&["daemon", "stop"])?;
    check(start.elapsed() < Duration::from_secs(20), || format!("it took {:?}", start.elapsed()))?;
    check(!lives(worker) && !lives(above), || "something is left".into())?;
    ferry.ok(&["daemon", "start"]).map(drop)
}

fn no_worker_outlives_its_supervisor() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let (worker, _) = ferry.daemon()?;
    kill(supervisor(&ferry)?, 9);
    eventually("the worker's end", || !lives(worker))?;
    check(ferry.log_tail().contains("daemon stopped"), || ferry.log_tail())?;
    ferry.ok(&["daemon", "start"])?;
    check(supervisor(&ferry)? > 0, || "no supervisor".into())
}

fn a_waiting_supervisor_can_be_stopped() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let above = supervisor(&ferry)?;
    kill(ferry.daemon()?.0, 9);
    eventually("a back-off", || status(&ferry).is_ok_and(|status| status["running"] == false))?;
    ferry.ok(&["daemon", "stop"])?;
    check(!lives(above), || "it waits on".into())?;
    sleep(Duration::from_millis(1500));
    ferry.ferry(&["daemon", "status"])?.expect(1).map(drop)
}

fn spawn(ferry: &Profile, words: &[&str]) -> Result<Child> {
    let mut command = ferry.command(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())
}

fn a_start_in_a_terminal_is_supervised() -> Result {
    let ferry = Profile::new()?;
    let child = spawn(&ferry, &["daemon", "start", "--foreground"])?;
    eventually("a daemon", || ferry.daemon().is_ok())?;
    let (first, _) = ferry.daemon()?;
    check(supervisor(&ferry)? == child.id() as i32, || "not the one in the terminal".into())?;
    kill(first, 9);
    eventually("a new worker", || ferry.daemon().is_ok_and(|(pid, _)| pid != first))?;
    kill(child.id() as i32, 15);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    check(output.status.success() && said.contains("daemon stopped"), || said.clone())?;
    ferry.ferry(&["daemon", "status"])?.expect(1).map(drop)
}

fn the_log_is_rotated_and_opened_anew() -> Result {
    let ferry = Profile::new()?;
    for (key, value) in [("log.max_size", "0.001"), ("log.files", "3")] {
        ferry.ok(&["config", "set", key, value])?;
    }
    ferry.ok(&["daemon", "start"])?;
    // Each of these is a line of the log.
    let fill =
        || (0..24).try_for_each(|_| ferry.ok(&["config", "set", "log.level.a_target", "info"]).map(drop));
    fill()?;
    let log = ferry.root().join("daemon.log");
    let size = |name: &str| fs::metadata(ferry.root().join(name)).map(|found| found.len());
    // The daemon takes a setting up after it has answered.
    eventually("three logs", || size("daemon.log.2").is_ok() && size("daemon.log").is_ok())?;
    for name in ["daemon.log", "daemon.log.1", "daemon.log.2"] {
        let size = size(name).map_err(|error| format!("{name}: {error}"))?;
        check(size <= 1000, || format!("{name} has {size} bytes"))?;
    }
    check(size("daemon.log.3").is_err(), || "a fourth log is kept".into())?;
    fs::rename(&log, ferry.scratch().join("taken")).map_err(|error| error.to_string())?;
    ferry.ok(&["config", "set", "log.level.b_target", "info"])?;
    eventually("a new log in place of the one taken away", || ferry.log_tail().contains("b_target"))?;
    // A new worker goes on in the same files.
    kill(ferry.daemon()?.0, 9);
    ferry.ok(&["daemon", "start"])?;
    check(size("daemon.log.3").is_err() && size("daemon.log").is_ok(), || "lost its way".into())
}

fn log_levels_change_at_once() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let (pid, _) = ferry.daemon()?;
    let told = || ferry.log_tail().matches("DEBUG runtime: alive").count();
    ferry.ok(&["config", "set", "log.level.runtime", "debug"])?;
    eventually("the runtime's own lines", || told() > 0)?;
    ferry.ok(&["config", "unset", "log.level.runtime"])?;
    let before = told();
    sleep(Duration::from_secs(11));
    check(told() == before, || "it goes on".into())?;
    ferry.ok(&["config", "set", "log.level", "error"])?;
    ferry.ok(&["config", "set", "log.level.russh", "debug"])?;
    check(ferry.daemon()?.0 == pid, || "it was started again".into())?;
    let refused = ferry.ferry(&["config", "set", "log.level.russh", "loud"])?.expect(2)?;
    refused.says(&["log.level.russh", "loud", "trace"])?;
    ferry.ferry(&["config", "set", "log.level.a=b", "info"])?.expect(2)?.says(&["a=b"]).map(drop)
}

/// A job that is looked at often makes russh talk all the time.
fn log_levels_of_a_library_change_at_once(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let (pid, _) = ferry.daemon()?;
    let id = cell.submit(&ferry, &["arithmetic.add_job", "x=1", "y=2", "sleep=60"])?;
    eventually("a job", || {
        ferry.json(&["process", "show", &id]).is_ok_and(|shown| shown["job_id"].is_string())
    })?;
    let told = || {
        let log = fs::read_to_string(ferry.root().join("daemon.log")).unwrap_or_default();
        log.matches("DEBUG russh::").count()
    };
    check(told() == 0, || format!("before anybody asked: {}", ferry.log_tail()))?;
    ferry.ok(&["config", "set", "log.level.russh", "debug"])?;
    eventually("russh's own lines", || told() > 0)?;
    ferry.ok(&["config", "unset", "log.level.russh"])?;
    sleep(Duration::from_millis(500));
    let before = told();
    sleep(Duration::from_secs(3));
    check(told() == before, || format!("it goes on: {}", ferry.log_tail()))?;
    // That it had anything to say meanwhile.
    ferry.ok(&["config", "set", "log.level.russh", "debug"])?;
    eventually("russh's lines again", || told() > before)?;
    check(ferry.daemon()?.0 == pid, || "it was started again".into())?;
    ferry.ok(&["process", "kill", &id]).map(drop)
}

fn launched(ferry: &Profile) -> Result<String> {
    let mut id = None;
    eventually("a launch", || {
        id = ferry.json(&["process", "list", "-a"]).ok().and_then(|listed| listed[0]["id"].as_i64());
        id.is_some()
    })?;
    Ok(id.unwrap_or_default().to_string())
}

fn a_run_shows_the_end_though_its_daemon_died() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let child = spawn(&ferry, &["run", "arithmetic.add_job", "x=2", "y=3", "sleep=3"])?;
    launched(&ferry)?;
    for _ in 0..2 {
        sleep(Duration::from_millis(500));
        kill(ferry.daemon()?.0, 9);
        ferry.ok(&["daemon", "start"])?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    check(output.status.success() && said.contains("sum"), || {
        format!("{said}{}", String::from_utf8_lossy(&output.stderr))
    })
}

fn a_second_interrupt_kills() -> Result {
    for daemon in [false, true] {
        let ferry = Profile::new()?;
        if daemon {
            ferry.ok(&["daemon", "start"])?;
        }
        let child = spawn(&ferry, &["run", "shell.run", "command=sleep", "arguments=60"])?;
        let id = launched(&ferry)?;
        sleep(Duration::from_millis(700));
        kill(child.id() as i32, 2);
        eventually("a pause", || {
            ferry.json(&["process", "show", &id]).is_ok_and(|shown| shown["paused"] == true)
        })?;
        kill(child.id() as i32, 2);
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        check(!output.status.success() && said.contains("killed"), || said.clone())?;
        check(ferry.ended(&id, LIMIT)?["state"] == "killed", || said.clone())?;
    }
    Ok(())
}
