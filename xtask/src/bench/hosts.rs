//! Processes through real plugin hosts: many functions, and many workflows with two functions each, submitted at once
//! by `--each` to a daemon, as users do.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::engine::Bench;
use super::table::{Aim, Table};
use crate::ferry::Ferry;

/// Functions that are submitted at once.
const FUNCTIONS: u32 = 10_000;
/// Workflows that are submitted at once; each calls two functions.
const WORKFLOWS: u32 = 2_000;
/// Interval between two counts.
const LOOK: Duration = Duration::from_millis(100);
/// Maximum time for all of them.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs both figures. `noops`: the rate of the engine's own processes in this run.
pub(super) fn report(bench: &Bench<'_>, noops: f64, table: &mut Table) -> Result<()> {
    let functions =
        rate(bench, "arithmetic.add", FUNCTIONS, |number| format!(r#"{{"x": {number}, "y": 1}}"#))?;
    let beside = |all: f64| format!("{noops:.0} no-ops/s, {:.2} of that", all / noops);
    let what = format!("{FUNCTIONS} arithmetic.add by --each");
    table.judge(&what, functions.all, "/s", &beside(functions.all), Aim::AtLeast(3000.0));
    table.note("their ids", functions.submitted, "/s", "");
    let line = |number| format!(r#"{{"x": {number}, "y": 1, "z": 2}}"#);
    let workflows = rate(bench, "arithmetic.add_mul", WORKFLOWS, line)?;
    let what = format!("{WORKFLOWS} arithmetic.add_mul by --each");
    table.judge(&what, workflows.all, "/s", &beside(workflows.all), Aim::AtLeast(600.0));
    Ok(())
}

/// Processes a second.
struct Rates {
    /// From the submission to its answer.
    submitted: f64,
    /// From the submission to the last end.
    all: f64,
}

fn rate(bench: &Bench<'_>, process_type: &str, count: u32, line: impl Fn(u32) -> String) -> Result<Rates> {
    let ferry = bench.profile()?;
    ferry.show(&["daemon", "start"])?;
    let file = ferry.desk().join("each.jsonl");
    let lines: Vec<String> = (0..count).map(line).collect();
    fs::write(&file, lines.join("\n")).context("could not write the launches")?;
    println!("submitting {count} {process_type}");
    let begun = Instant::now();
    ferry.ask(&["submit", process_type, "--each", file.to_str().unwrap_or_default()])?;
    let submitted = begun.elapsed().as_secs_f64();
    while active(&ferry)? > 0 {
        bench.check()?;
        if begun.elapsed() > PATIENCE {
            bail!("{process_type}: processes are still active after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(LOOK);
    }
    let all = begun.elapsed().as_secs_f64();
    let failed = ferry.ask(&["process", "list", "-a", "-X", "--project", "id", "--format", "csv"])?;
    if failed.lines().count() > 1 {
        bail!("some have failed: {failed}");
    }
    Ok(Rates { submitted: f64::from(count) / submitted, all: f64::from(count) / all })
}

/// Returns the number of processes that have not ended.
fn active(ferry: &Ferry) -> Result<u64> {
    let status = ferry.json(&["status"])?;
    ["created", "running", "waiting"].iter().try_fold(0, |sum, state| {
        let count = status["processes"][state].as_u64();
        Ok(sum + count.with_context(|| format!("`status` does not count {state} processes: {status}"))?)
    })
}
