//! Monitors: what looks at running jobs, and may stop them. `script.moody` of `tests/plugins/script` has any verdict and
//! any trouble.

use std::{
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
    ("verdicts_say_what_is_retrieved_and_parsed", verdicts_say_what_is_retrieved_and_parsed),
    ("the_first_verdict_by_priority_counts", the_first_verdict_by_priority_counts),
    ("intervals_and_what_is_disabled_hold_over_restarts", intervals_and_what_is_disabled_hold),
    ("a_bad_monitor_harms_no_job", a_bad_monitor_harms_no_job),
    ("wrong_monitors_are_refused_at_submission", wrong_monitors_are_refused_at_submission),
];

pub(crate) const CELL_CASES: &[CellCase] = &[("a_monitor_stops_a_job", a_monitor_stops_a_job)];

const LIMIT: Duration = Duration::from_secs(240);

fn profile() -> Result<Profile> {
    let ferry = Profile::new()?;
    ferry.ok(&["plugin", "install", text(&plugin("script_file")?)])?;
    Ok(ferry)
}

fn moody(mood: &str, more: &str) -> String {
    format!(
        r#"{{"entry_point": "script.moody", "kwargs": {{"mood": "{mood}", "message": "{mood} said so"}}{more}}}"#
    )
}

/// Submits a sum that takes this long, with these monitors.
fn sum(ferry: &Profile, seconds: &str, monitors: &[(&str, String)]) -> Result<String> {
    let monitors = monitors.iter().map(|(key, monitor)| format!("monitors.{key}={monitor}"));
    let monitors: Vec<String> = monitors.collect();
    let sleep = format!("sleep={seconds}");
    let mut words = vec!["arithmetic.add_job", "x=1", "y=2", &sleep];
    words.extend(monitors.iter().map(String::as_str));
    ferry.submit(&words)
}

fn lines(ferry: &Profile, id: &str, of: &str) -> Result<usize> {
    Ok(ferry.ok(&["process", "report", id])?.lines().filter(|line| line.contains(of)).count())
}

fn a_monitor_stops_a_job(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let job = |text: &str| -> Result<String> {
        let script = format!(r#"arguments=["-c", "echo step; echo {text}; exec sleep 300"]"#);
        let appears = r#"monitors.m={"entry_point": "shell.text_appears", "kwargs": {"text": "NaN"}}"#;
        let grows = r#"monitors.n={"entry_point": "shell.file_grows", "kwargs": {"max_bytes": 1000}}"#;
        cell.submit(&ferry, &["shell.run", "command=sh", &script, appears, grows])
    };
    let (appears, grows) = (job("energy NaN")?, job(&"x".repeat(2000))?);
    for (id, words) in [(&appears, "`NaN` appeared in `stdout`"), (&grows, "and 1000 are the most")] {
        let shown = ferry.ended(id, LIMIT)?;
        let message = shown["exit_message"].as_str().unwrap_or_default();
        let told = message.starts_with("STOPPED_BY_MONITOR: ") && message.contains(words);
        check(shown["exit_code"] == 150 && told, || format!("{shown:#}"))?;
        // Its output was retrieved and parsed.
        check(shown["outputs"]["stdout"].is_object(), || format!("{shown:#}"))?;
        check(ferry.ok(&["calcjob", "outputcat", id, "stdout"])?.starts_with("step"), || "no step".into())?;
    }
    let shown = ferry.json(&["limit", "show", &cell.computer()])?;
    check(shown[0]["active"] == 0, || format!("a ticket leaked: {shown:#}"))
}

fn verdicts_say_what_is_retrieved_and_parsed() -> Result {
    let ferry = profile()?;
    ferry.ok(&["daemon", "start"])?;
    let start = |mood: &str| sum(&ferry, "60", &[("m", moody(mood, ""))]);
    let moods = ["kill", "no_parse", "no_retrieve", "keep", "outputs"];
    let jobs: Vec<String> = moods.iter().map(|mood| start(mood)).collect::<Result<_>>()?;
    let mut shown = Vec::new();
    for id in &jobs {
        shown.push(ferry.ended(id, LIMIT)?);
    }
    let [kill, no_parse, no_retrieve, keep, outputs] = &shown[..] else { return Err("five".into()) };
    let stopped = |shown: &Value, mood: &str| {
        let message = format!("STOPPED_BY_MONITOR: {mood} said so");
        check(shown["exit_code"] == 150 && shown["exit_message"] == *message, || format!("{shown:#}"))
    };
    stopped(kill, "kill")?;
    check(kill["outputs"]["retrieved"].is_object(), || format!("{kill:#}"))?;
    stopped(no_parse, "no_parse")?;
    check(no_parse["outputs"]["retrieved"].is_object(), || format!("{no_parse:#}"))?;
    stopped(no_retrieve, "no_retrieve")?;
    check(no_retrieve["outputs"]["retrieved"].is_null(), || format!("{no_retrieve:#}"))?;
    // The parser decides the end: there is no sum.
    let code = keep["exit_code"].as_i64().unwrap_or_default();
    check((300..400).contains(&code) && keep["state"] == "finished", || format!("{keep:#}"))?;
    stopped(outputs, "outputs")?;
    check(outputs["outputs"]["sum"]["value"] == 42, || format!("{outputs:#}"))
}

fn the_first_verdict_by_priority_counts() -> Result {
    let ferry = profile()?;
    ferry.ok(&["daemon", "start"])?;
    // `a` comes first by name, `z` by priority; a monitor without a verdict does not stop the round.
    let all = [
        ("a", moody("keep", "")),
        ("y", moody("look", r#", "priority": 200"#)),
        ("z", moody("kill", r#", "priority": 100"#)),
    ];
    let priority = sum(&ferry, "60", &all)?;
    let by_key = sum(&ferry, "60", &[("b", moody("keep", "")), ("a", moody("kill", ""))])?;
    let disabled = [("a", moody("keep", r#", "disabled": true"#)), ("b", moody("kill", ""))];
    let disabled = sum(&ferry, "60", &disabled)?;
    for id in [&priority, &by_key, &disabled] {
        let shown = ferry.ended(id, LIMIT)?;
        let told = shown["exit_message"] == "STOPPED_BY_MONITOR: kill said so";
        check(shown["exit_code"] == 150 && told, || format!("{shown:#}"))?;
        check(lines(&ferry, id, "keep looked")? == 0, || "it was asked".into())?;
    }
    check(lines(&ferry, &priority, "look looked")? == 1, || "the first was not asked".into())?;
    // AiiDA's own name for the monitor that it ships.
    let killed = sum(&ferry, "60", &[("m", r#"{"entry_point": "core.always_kill"}"#.into())])?;
    check(ferry.ended(&killed, LIMIT)?["exit_code"] == 150, || "it went on".into())
}

fn intervals_and_what_is_disabled_hold() -> Result {
    let ferry = profile()?;
    ferry.ok(&["daemon", "start"])?;
    let rare = sum(&ferry, "7", &[("m", moody("look", r#", "minimum_poll_interval": 3600"#))])?;
    let often = sum(&ferry, "7", &[("m", moody("look", ""))])?;
    let alone = sum(&ferry, "7", &[("a", moody("disable_self", "")), ("b", moody("look", ""))])?;
    let all = sum(&ferry, "7", &[("a", moody("disable_all", "")), ("b", moody("look", ""))])?;
    let begun = Instant::now();
    for id in [&rare, &often, &alone, &all] {
        while lines(&ferry, id, "looked at")? == 0 {
            check(begun.elapsed() < LIMIT, || format!("nobody looks at {id}\n{}", ferry.log_tail()))?;
            thread::sleep(Duration::from_millis(50));
        }
    }
    ferry.ok(&["daemon", "restart"])?;
    for id in [&rare, &often, &alone, &all] {
        let shown = ferry.ended(id, LIMIT)?;
        check(shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 3, || format!("{shown:#}"))?;
    }
    check(lines(&ferry, &rare, "look looked")? == 1, || "the interval was not kept".into())?;
    check(lines(&ferry, &often, "look looked")? > 1, || "it looked once".into())?;
    check(lines(&ferry, &alone, "disable_self looked")? == 1, || "it was not left out".into())?;
    check(lines(&ferry, &alone, "look looked")? >= 1, || "the other one was left out too".into())?;
    let counts = (lines(&ferry, &all, "disable_all looked")?, lines(&ferry, &all, "look looked")?);
    check(counts == (1, 0), || format!("{counts:?}"))
}

fn a_bad_monitor_harms_no_job() -> Result {
    let ferry = profile()?;
    // As long as a monitor may hang.
    ferry.ok(&["config", "set", "plugin.timeout", "1"])?;
    ferry.ok(&["daemon", "start"])?;
    let moods = ["panic", "except", "hang", "escape"];
    let jobs: Vec<String> =
        moods.iter().map(|mood| sum(&ferry, "8", &[("m", moody(mood, ""))])).collect::<Result<_>>()?;
    let words = ["a monitor's panic", "a monitor's error", "", "`../../../etc/passwd` is not a path inside"];
    for ((mood, id), why) in moods.iter().zip(&jobs).zip(words) {
        let shown = ferry.ended(id, LIMIT)?;
        check(shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 3, || {
            format!("{mood}: {shown:#}")
        })?;
        let report = ferry.ok(&["process", "report", id])?;
        let failures = report.lines().filter(|line| line.contains("(script.moody) failed: ")).count();
        let good = failures == 3
            && report.contains("it is disabled after 3 consecutive failures")
            && report.contains(why);
        check(good, || format!("{mood}: {report}"))?;
    }
    Ok(())
}

fn wrong_monitors_are_refused_at_submission() -> Result {
    let ferry = profile()?;
    ferry.ok(&["daemon", "start"])?;
    let refused = |monitor: &str, words: &[&str]| -> Result {
        let monitor = format!("monitors.m={monitor}");
        ferry
            .ferry(&["submit", "arithmetic.add_job", "x=1", "y=2", &monitor])?
            .expect(2)?
            .says(words)
            .map(drop)
    };
    refused(
        r#"{"entry_point": "shell.text_appear"}"#,
        &[
            "monitors.m.entry_point: no monitor is called `shell.text_appear`; did you mean `shell.text_appears`?",
        ],
    )?;
    refused(
        r#"{"entry_point": "shell.text_appears", "kwargs": {"txt": "x"}, "priority": "high"}"#,
        &[
            "monitors.m.kwargs.txt: no such input; did you mean `text`?",
            "monitors.m.kwargs.text: required",
            "monitors.m.priority: expected an integer",
        ],
    )?;
    refused(
        r#"{"entry_point": "shell.file_grows", "kwargs": {"max_bytes": -1}}"#,
        &["must be at least 0, got -1"],
    )?;
    // The monitor itself.
    refused(
        r#"{"entry_point": "shell.file_grows", "kwargs": {"max_bytes": 1, "file": "/etc/passwd"}}"#,
        &["monitors.m.kwargs.file"],
    )?;
    refused("5", &["monitors.m: expected dict"])?;
    let told = ferry.ok(&["plugin", "show", "shell.text_appears"])?;
    check(told.contains("text") && told.contains("monitor"), || told.clone())?;
    let listed = ferry.ok(&["plugin", "list"])?;
    check(listed.contains("shell.file_grows"), || listed.clone())
}
