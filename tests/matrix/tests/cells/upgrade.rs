//! An older ferry hands its profile over in the middle of its work. This one continues everything: queued,
//! running, sent and just started jobs. Each job finishes, and runs once.
//!
//! Runs where `FERRY_OLDER` names the binary of an older ferry, with its bundled plugins beside it.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Answer, Profile, Result, check, kill, text};

use serde_json::Value;

use crate::{
    cell::{Cell, CellCase, judge},
    names::NoJobsLeft,
    services::services,
};

const CASES: &[CellCase] = &[
    ("jobs_of_an_older_ferry_come_home_after_its_stop", |cell| hand_over(cell, false)),
    ("jobs_of_an_older_ferry_come_home_after_its_death", |cell| hand_over(cell, true)),
];

/// Number of jobs that it is given at once.
const JOBS: usize = 24;
const LIMIT: Duration = Duration::from_secs(240);

/// Returns the cases that run in a cell.
pub(crate) fn cases() -> &'static [CellCase] {
    if older().is_some() { CASES } else { &[] }
}

fn older() -> Option<PathBuf> {
    std::env::var_os("FERRY_OLDER").map(PathBuf::from)
}

/// Runs a command of the older ferry, which must succeed; what it printed.
fn old(ferry: &Profile, words: &[&str]) -> Result<String> {
    let as_new = ferry.command(words);
    let mut command = Command::new(older().ok_or("FERRY_OLDER is not set")?);
    command.args(words).current_dir(ferry.scratch());
    for (name, value) in as_new.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let answer: Answer = Profile::run(command)?;
    Ok(answer
        .expect(0)
        .map_err(|error| format!("the older ferry: {}: {error}", words.join(" ")))?
        .stdout
        .trim()
        .to_owned())
}

/// Makes a profile with the older ferry. Its jobs work below its scratch directory.
fn profile(cell: &Cell) -> Result<Profile> {
    let ferry = Profile::new()?;
    let computer = cell.computer();
    if cell.name != "local+direct" {
        let file = services()?["computers"][&cell.name].as_str().unwrap_or_default().to_owned();
        let described = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        let kept = described.lines().filter(|line| !line.starts_with("work_dir:"));
        let mut described: String = kept.map(|line| format!("{line}\n")).collect();
        described += &format!("work_dir: {}\n", ferry.scratch().join("work").display());
        let file = ferry.scratch().join("computer.yaml");
        fs::write(&file, described).map_err(|error| error.to_string())?;
        old(&ferry, &["computer", "setup", "-n", "--config", text(&file)])?;
    }
    old(
        &ferry,
        &["computer", "configure", &computer, "-n", "--poll-interval", "0.3", "--max-active-jobs", "16"],
    )?;
    if cell.has_queue() {
        old(&ferry, &["computer", "test", &computer, "--job"])?;
    } else {
        // It is to submit many jobs at once. One that counts no cores does not know this option, and needs none.
        let _ = old(&ferry, &["computer", "configure", &computer, "-n", "--num-cores", "unlimited"]);
    }
    Ok(ferry)
}

fn hand_over(cell: &Cell, dies: bool) -> Result {
    let ferry = profile(cell)?;
    let _left = cell.has_queue().then(|| NoJobsLeft(text(ferry.scratch()).to_owned()));
    old(&ferry, &["daemon", "start"])?;
    let mut jobs = Vec::new();
    if cell.has_queue() {
        jobs.push(submit(cell, &ferry, 0, &["sleep=0", "--option", "queue_name=closed"])?);
    }
    while jobs.len() < 4 {
        jobs.push(submit(cell, &ferry, jobs.len(), &["sleep=20"])?);
    }
    wait_for_jobs(&ferry, jobs.len())?;
    // These are everywhere when the older ferry goes: prepared, uploaded, submitted, waiting for a place.
    while jobs.len() < JOBS {
        jobs.push(submit(cell, &ferry, jobs.len(), &["sleep=1"])?);
    }
    if dies {
        kill_daemon(&ferry)?
    } else {
        old(&ferry, &["daemon", "stop"]).map(drop)?
    }
    let ids = known_jobs(&ferry)?;
    check(ids.len() >= 4, || format!("only {ids:?} were submitted by the older ferry"))?;
    if !cell.has_queue() {
        // The older one counted no cores, and what is handed over is more than fits here.
        ferry.ok(&["computer", "configure", &cell.computer(), "-n", "--num-cores", "unlimited"])?;
    }
    ferry.ok(&["daemon", "start"])?;
    thread::sleep(Duration::from_secs(2));
    if cell.has_queue() {
        let shown = ferry.json(&["process", "show", &jobs[0].0])?;
        let id = shown["job_id"].as_str().and_then(|id| id.split(';').next()).unwrap_or_default();
        let mut update = Command::new("scontrol");
        update.args(["update", &format!("jobid={id}"), "partition=debug"]);
        Profile::run(update)?.expect(0)?;
    }
    ferry.all_ended(LIMIT)?;
    judge(&ferry, &jobs)?;
    let shown = ferry.json(&["limit", "show", &cell.computer()])?;
    check(shown[0]["active"] == 0, || format!("a ticket is left: {shown:#}"))?;
    ferry.ok(&["daemon", "stop"])?;
    ferry.ok(&["storage", "check", "--full"]).map(drop)
}

/// Kills the older ferry's daemon; the supervisor first, or it starts the next worker.
fn kill_daemon(ferry: &Profile) -> Result {
    let status = old(ferry, &["daemon", "status", "--format", "json"])?;
    let status: Value = serde_json::from_str(&status).map_err(|error| error.to_string())?;
    let worker = status["pid"].as_i64().ok_or_else(|| format!("no pid in {status}"))? as i32;
    let stat = fs::read_to_string(format!("/proc/{worker}/stat")).map_err(|error| error.to_string())?;
    let supervisor = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
    kill(supervisor.ok_or_else(|| format!("no parent in {stat}"))?, 9);
    kill(worker, 9);
    Ok(())
}

fn submit(cell: &Cell, ferry: &Profile, x: usize, words: &[&str]) -> Result<(String, PathBuf)> {
    let marker = ferry.scratch().join(format!("marker-{x}"));
    let own = [format!("x={x}"), format!("marker={}", marker.display())];
    let computer = cell.computer();
    let start = ["submit", "arithmetic.add_job", &own[0], "y=1", &own[1], "--computer", &computer];
    Ok((old(ferry, &[&start[..], words].concat())?, marker))
}

/// Waits until this many processes have a job.
fn wait_for_jobs(ferry: &Profile, count: usize) -> Result {
    let begun = Instant::now();
    while known_jobs(ferry)?.len() < count {
        check(begun.elapsed() < LIMIT, || format!("{count} jobs are not submitted\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Returns the jobs of all processes that have not ended.
fn known_jobs(ferry: &Profile) -> Result<Vec<String>> {
    let listed = old(ferry, &["process", "list", "--format", "json"])?;
    let listed: Value = serde_json::from_str(&listed).map_err(|error| error.to_string())?;
    let jobs = listed.as_array().into_iter().flatten();
    Ok(jobs.filter_map(|process| process["job_id"].as_str().map(str::to_owned)).collect())
}
