//! `process watch` and `process status`, live: for people at a terminal, for people without one, and for scripts.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Duration,
};

use ferry_matrix::{Profile, Result, binary, check, plugin, text};
use serde_json::Value;

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("several_processes_are_watched_to_their_end", several_processes_are_watched_to_their_end),
    ("trees_are_followed_as_lines_and_as_json", trees_are_followed_as_lines_and_as_json),
    ("trees_are_redrawn_on_a_narrow_terminal", trees_are_redrawn_on_a_narrow_terminal),
];

const LIMIT: Duration = Duration::from_secs(240);

fn with_daemon() -> Result<Profile> {
    let ferry = Profile::unbounded()?;
    ferry.ok(&["plugin", "install", text(&plugin("script_file")?)])?;
    ferry.ok(&["computer", "configure", "localhost", "-n", "--poll-interval", "0.3"])?;
    ferry.ok(&["daemon", "start"])?;
    Ok(ferry)
}

fn json_lines(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))).collect()
}

/// A line for each change of each; it ends when all have ended.
fn several_processes_are_watched_to_their_end() -> Result {
    let ferry = with_daemon()?;
    let (chain, job) = (
        ferry.submit(&["script.rounds", "rounds=1"])?,
        ferry.submit(&["arithmetic.add_job", "x=1", "y=1", "sleep=0.5"])?,
    );
    let told = json_lines(&ferry.ok(&["process", "watch", &chain, &job, "--format", "json"])?)?;
    for id in [&chain, &job] {
        let last =
            told.iter().rfind(|line| line["id"].as_i64() == id.parse().ok()).ok_or("it was not told of")?;
        check(last["state"] == "finished" && last["exit_code"] == 0, || format!("{told:#?}"))?;
    }
    let steps: Vec<&str> = told.iter().filter_map(|line| line["status"].as_str()).collect();
    check(steps.iter().any(|status| status.starts_with("launch (round 1)")), || format!("{steps:?}"))
}

/// Children are reported at their start, with their callers; each ends in a last line.
fn trees_are_followed_as_lines_and_as_json() -> Result {
    let ferry = with_daemon()?;
    let ids = [ferry.submit(&["script.rounds"])?, ferry.submit(&["script.rounds", "rounds=1"])?];
    let words = ["process", "status", "--live", &ids[0], &ids[1]];
    let told = json_lines(&ferry.ok(&[&words[..], &["--format", "json"]].concat())?)?;
    let mut last = BTreeMap::new();
    for line in &told {
        last.insert(line["id"].to_string(), line);
    }
    let callers: BTreeSet<String> = last.values().map(|line| line["caller"].to_string()).collect();
    check(ids.iter().all(|id| callers.contains(id)), || format!("{told:#?}"))?;
    // 2 + 2 jobs, 3 children after them, 2 in the workchain inside; and one round less.
    check(last.len() == 1 + 9 + 1 + 7, || format!("{} processes: {told:#?}", last.len()))?;
    check(last.values().all(|line| line["state"] == "finished"), || format!("{last:#?}"))?;
    // Of what has ended there is one picture, and nothing to follow.
    let lines = ferry.ok(&words)?;
    check(lines.lines().count() == last.len() && lines.contains("finished [0]"), || lines)?;
    let both = ferry.json(&["process", "status", &ids[0], &ids[1]])?;
    check(both[1]["called"].as_array().map(Vec::len) == Some(5), || format!("{both:#}"))?;
    let one = ferry.json(&["process", "status", &ids[0]])?;
    check(one["called"].as_array().map(Vec::len) == Some(7), || format!("{one:#}"))
}

/// On a terminal of 50 x 12 the picture of 30 children is drawn over, cut and folded; the last one is whole.
fn trees_are_redrawn_on_a_narrow_terminal() -> Result {
    let ferry = with_daemon()?;
    let id =
        ferry.submit(&["script.rounds", "rounds=1", "width=30", "job.sleep=1", "--label", "a wide one"])?;
    let line = format!("stty cols 50 rows 12; exec {} process status --live {id}", text(&binary()));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).env("FERRY_HOME", ferry.home()).env("TERM", "xterm");
    let output = command.output().map_err(|error| format!("script (Debian package bsdutils): {error}"))?;
    let drawn = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    check(output.status.success(), || drawn.clone())?;
    ferry.ended(&id, LIMIT)?;
    // The text before each move up is a picture.
    let pictures: Vec<&str> = drawn.split("\u{1b}[J").filter(|picture| !picture.trim().is_empty()).collect();
    let (whole, live) = pictures.split_last().ok_or_else(|| drawn.clone())?;
    let plain = |line: &str| {
        let mut kept = String::new();
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            if c == '\u{1b}' {
                chars.by_ref().find(char::is_ascii_alphabetic);
            } else {
                kept.push(c);
            }
        }
        kept
    };
    let live: Vec<Vec<String>> = live.iter().map(|picture| picture.lines().map(plain).collect()).collect();
    let fits =
        live.iter().all(|lines| lines.len() <= 11 && lines.iter().all(|line| line.chars().count() <= 50));
    check(fits && live.len() > 2, || format!("{live:#?}"))?;
    let is_cut = live.iter().flatten().any(|line| line.starts_with("… ") && line.contains("more lines: "));
    check(is_cut, || format!("{live:#?}"))?;
    let whole: Vec<String> = whole.lines().map(plain).collect();
    check(whole.len() == 1 + 33 + 2 && whole[1].contains("├── arithmetic.add_job"), || {
        format!("{whole:#?}")
    })
}
