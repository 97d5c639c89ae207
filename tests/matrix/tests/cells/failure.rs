//! Failures that ferry itself determines, restart workchains that deal with them, and work directories that
//! are cleaned.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::Value;

use crate::{
    Case,
    cell::{Cell, CellCase},
};

pub(crate) const CASES: &[Case] = &[
    ("a_job_that_exceeds_its_wall_time_is_120", a_job_that_exceeds_its_wall_time_is_120),
    ("a_restart_workchain_raises_the_wall_time_and_cleans_up", a_restart_workchain_raises_the_wall_time),
    ("a_killed_restart_workchain_cleans_up", a_killed_restart_workchain_cleans_up),
    ("cleanworkdir_removes_what_is_named_and_nothing_else", cleanworkdir_removes_what_is_named),
];

/// Slurm enforces limits once a minute, so this mostly waits.
pub(crate) const QUEUE_CASES: &[CellCase] = &[("slurm_s_time_limit_is_120", slurm_s_time_limit_is_120)];

const LIMIT: Duration = Duration::from_secs(240);

fn with_daemon() -> Result<Profile> {
    let ferry = Profile::new()?;
    ferry.ok(&["plugin", "install", text(&plugin("script_file")?)])?;
    ferry.ok(&["daemon", "start"])?;
    Ok(ferry)
}

/// Returns the processes that one has called, from `process show`.
fn called(ferry: &Profile, shown: &Value) -> Result<Vec<Value>> {
    let children = shown["called"].as_array().into_iter().flatten();
    children.map(|child| ferry.json(&["process", "show", &child["id"].to_string()])).collect()
}

fn work_dir(ferry: &Profile, job: &Value) -> Result<PathBuf> {
    let node = ferry.json(&["node", "show", &job["outputs"]["remote_folder"]["id"].to_string()])?;
    let path = node["value"]["path"].as_str().ok_or_else(|| format!("no path in {node:#}"))?;
    Ok(path.into())
}

/// Waits until the node of a work directory is marked as cleaned.
fn is_cleaned(ferry: &Profile, job: &Value) -> Result {
    let begun = Instant::now();
    let dir = work_dir(ferry, job)?;
    loop {
        let node = ferry.json(&["node", "show", &job["outputs"]["remote_folder"]["id"].to_string()])?;
        if node["cleaned"].is_string() {
            return check(!dir.exists(), || format!("{} is still there", dir.display()));
        }
        check(begun.elapsed() < LIMIT, || format!("{node:#}\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(100));
    }
}

fn a_job_that_exceeds_its_wall_time_is_120() -> Result {
    let ferry = with_daemon()?;
    let seconds = "max_wallclock_seconds=1";
    let late = ferry.submit(&["arithmetic.add_job", "x=1", "y=2", "sleep=60", "--option", seconds])?;
    let in_time =
        ferry.submit(&["arithmetic.add_job", "x=1", "y=2", "--option", "max_wallclock_seconds=60"])?;
    let shown = ferry.ended(&late, LIMIT)?;
    let told = shown["exit_message"].to_string().contains("ERROR_SCHEDULER_OUT_OF_WALLTIME");
    check(shown["exit_code"] == 120 && told, || format!("{shown:#}"))?;
    let shown = ferry.ended(&in_time, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    let stderr = ferry.ok(&["calcjob", "outputcat", &in_time, "_scheduler-stderr.txt"])?;
    check(stderr.is_empty(), || format!("the watchdog is heard of: {stderr}"))
}

fn slurm_s_time_limit_is_120(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let limit = "max_wallclock_seconds=1";
    let words = ["arithmetic.add_job", "x=1", "y=2", "sleep=600", "--option", limit];
    let shown = ferry.ended(&cell.submit(&ferry, &words)?, Duration::from_secs(240))?;
    let told = shown["exit_message"].to_string().contains("(the scheduler says TIMEOUT)");
    check(shown["exit_code"] == 120 && told, || format!("{shown:#}"))
}

fn a_restart_workchain_raises_the_wall_time() -> Result {
    let ferry = with_daemon()?;
    let words = [
        "script.base",
        "add_job.x=1",
        "add_job.y=2",
        "add_job.sleep=2.5",
        "add_job.metadata.options.max_wallclock_seconds=1",
        r#"escalation={"max_wallclock_seconds": {"limit": 60, "factor": 30}}"#,
    ];
    let kept = ferry.submit(&words)?;
    let cleaned = ferry.submit(&[&words[..], &["clean_workdir=true"]].concat())?;
    for id in [&kept, &cleaned] {
        let shown = ferry.ended(id, LIMIT)?;
        check(shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 3, || format!("{shown:#}"))?;
        let children = called(&ferry, &shown)?;
        let codes: Vec<&Value> = children.iter().map(|child| &child["exit_code"]).collect();
        check(codes == [120, 0], || format!("{codes:?}"))?;
        let report = ferry.ok(&["process", "report", id])?;
        check(report.contains("max_wallclock_seconds is 30 now"), || report.clone())?;
        for child in &children {
            if id == &cleaned {
                is_cleaned(&ferry, child)?;
            } else {
                check(work_dir(&ferry, child)?.join("_ferrysubmit.sh").exists(), || "it was cleaned".into())?;
            }
        }
    }
    ferry
        .ferry(&[
            "submit",
            "script.base",
            "add_job.x=1",
            "add_job.y=2",
            r#"escalation={"time": {"limit": 5}}"#,
        ])?
        .expect(2)?
        .says(&["escalation: `time` can't be raised: want max_memory_kb or max_wallclock_seconds"])
        .map(drop)
}

fn a_killed_restart_workchain_cleans_up() -> Result {
    let ferry = with_daemon()?;
    let words = ["script.base", "add_job.x=1", "add_job.y=2", "add_job.sleep=60", "clean_workdir=true"];
    let id = ferry.submit(&words)?;
    let begun = Instant::now();
    let child = loop {
        let shown = ferry.json(&["process", "show", &id])?;
        if let Some(child) = called(&ferry, &shown)?.first().filter(|child| child["job_id"].is_string()) {
            break child.clone();
        }
        check(begun.elapsed() < LIMIT, || format!("{shown:#}"))?;
        thread::sleep(Duration::from_millis(50));
    };
    ferry.ok(&["process", "kill", &id])?;
    check(ferry.ended(&id, LIMIT)?["state"] == "killed", || "not killed".into())?;
    is_cleaned(&ferry, &child)
}

fn cleanworkdir_removes_what_is_named() -> Result {
    let ferry = with_daemon()?;
    let job = || ferry.submit(&["arithmetic.add_job", "x=1", "y=2"]);
    let ids = [job()?, job()?, job()?];
    let live = ferry.submit(&["arithmetic.add_job", "x=1", "y=2", "sleep=60"])?;
    let jobs: Vec<Value> = ids.iter().map(|id| ferry.ended(id, LIMIT)).collect::<Result<_>>()?;
    ferry.ferry(&["calcjob", "cleanworkdir"])?.expect(2)?.says(&["nothing is named", "--past-days"])?;
    let alone = ferry.ferry(&["calcjob", "cleanworkdir", &ids[0]])?;
    alone.expect(2)?.says(&["would go for good", "nobody is here to agree", "--force"])?;
    ferry.ferry(&["calcjob", "cleanworkdir", &live, "-f"])?.expect(1)?.says(&["has not ended"])?;
    // A process that took over another's results has no directory to be cleaned.
    ferry.ok(&["config", "set", "caching.default_enabled", "true"])?;
    let cached = job()?;
    ferry.ended(&cached, LIMIT)?;
    let refused = ferry.ferry(&["calcjob", "cleanworkdir", &cached, "-f"])?.expect(1)?;
    refused.says(&["has no work directory of its own"])?;
    let told = ferry.ok(&["calcjob", "cleanworkdir", &ids[0], "-f"])?;
    check(told == text(&work_dir(&ferry, &jobs[0])?), || told.clone())?;
    is_cleaned(&ferry, &jobs[0])?;
    check(work_dir(&ferry, &jobs[1])?.exists(), || "another one is gone".into())?;
    // Without a daemon, this very command does it.
    ferry.ok(&["process", "kill", &live])?;
    ferry.ok(&["daemon", "stop"])?;
    ferry.ok(&["calcjob", "cleanworkdir", &ids[1], "-f"])?;
    is_cleaned(&ferry, &jobs[1])?;
    let dir = work_dir(&ferry, &jobs[2])?;
    check(fs::metadata(&dir).is_ok(), || "it is gone".into())?;
    ferry.ok(&["calcjob", "cleanworkdir", "--past-days", "1", "-C", "localhost", "-E", "0", "-f"])?;
    is_cleaned(&ferry, &jobs[2])?;
    let none = ferry.ferry(&["calcjob", "cleanworkdir", "--past-days", "1", "-E", "0", "-f"])?.expect(0)?;
    check(none.stderr.contains("no work directory"), || none.stderr.clone())
}
