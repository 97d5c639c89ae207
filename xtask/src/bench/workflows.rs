//! `cargo xtask bench workflows`: many workchains with jobs, and the daemon's memory meanwhile. Then steps and
//! nested calls of workchains without jobs, beside the engine's rate of processes that end at once, in the same
//! run.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::engine::Bench;
use super::memory::{self, Memory};
use super::table::{Aim, Table};
use crate::ferry::Ferry;
use crate::interrupt::Interrupt;
use crate::workspace::Workspace;

/// Workchains that are submitted at once.
const CHAINS: u32 = 1_000;
/// Calcjobs of each: nine in one round, and one in the workchain inside.
const JOBS: u32 = 10;
/// Numbers of ended workchains at which the memory is measured.
const LOOKS: [usize; 4] = [1, 100, 500, 1_000];
/// Interval between two counts.
const LOOK: Duration = Duration::from_secs(1);
/// Maximum time for all of them.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Processes that end at once.
const NOOPS: u32 = 5_000;
/// Workchains side by side, and steps or calls of each.
const SIDE_BY_SIDE: u32 = 50;
const EACH: u32 = 100;

/// Runs all figures, and prints them before the ten thousand work directories are removed, which takes minutes.
pub(super) fn run(workspace: &Workspace, interrupt: &Interrupt, table: &mut Table) -> Result<()> {
    let bench = Bench::build(workspace, interrupt)?;
    rates(&bench, table)?;
    let ferry = bench.profile()?;
    ferry.lift_cores()?;
    jobs(&bench, &ferry, table)?;
    table.print();
    println!("removing the work directories");
    Ok(())
}

/// Steps and calls a second.
fn rates(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let count = SIDE_BY_SIDE.to_string();
    let rate = |words: &[&str], of: u32| -> Result<f64> {
        let ferry = bench.profile()?;
        Ok(f64::from(of) / bench.seconds(&ferry, words)?)
    };
    let noop = rate(&["noop", &NOOPS.to_string()], NOOPS)?;
    let each = EACH.to_string();
    let steps = rate(&["steps", &count, &each], SIDE_BY_SIDE * EACH)?;
    let calls = rate(&["calls", &count, &each], SIDE_BY_SIDE * EACH)?;
    let beside = |rate: f64| format!("{noop:.0} no-ops/s, {:.2} of that", rate / noop);
    let of = format!("{SIDE_BY_SIDE} workchains side by side");
    table.note(&format!("workchain steps, {of}"), steps, "/s", &beside(steps));
    table.note(&format!("nested calls one after the other, {of}"), calls, "/s", &beside(calls));
    Ok(())
}

/// Runs very many workchains at once, each with jobs.
fn jobs(bench: &Bench<'_>, ferry: &Ferry, table: &mut Table) -> Result<()> {
    ferry.ask(&["plugin", "install", bench.plugin()?])?;
    ferry.show(&["daemon", "start"])?;
    let line = format!("{{\"rounds\": 1, \"width\": {}}}\n", JOBS - 1);
    let file = ferry.desk().join("chains.jsonl");
    std::fs::write(&file, line.repeat(CHAINS as usize)).context("could not write the launches")?;
    println!("submitting {CHAINS} workchains with {JOBS} calcjobs each");
    let begun = Instant::now();
    ferry.ask(&["submit", "script.rounds", "--each", file.to_str().unwrap_or_default()])?;
    println!("submitted after {:.1} s", begun.elapsed().as_secs_f64());
    let seen = watch(bench, ferry, begun)?;
    let seconds = begun.elapsed().as_secs_f64();
    let failed = ferry.ask(&["process", "list", "-a", "-X", "--project", "id", "--format", "csv"])?;
    if failed.lines().count() > 1 {
        bail!("some have failed: {failed}");
    }
    table.note(
        &format!("{CHAINS} workchains with {JOBS} jobs each, first submit to last end"),
        f64::from(CHAINS * JOBS) / seconds,
        " jobs/s",
        &format!("{seconds:.0} s"),
    );
    let after_hundred =
        seen.iter().find(|(ended, _)| *ended >= 100).map(|(_, memory)| memory.rss_megabytes());
    for (ended, memory) in &seen {
        let rss = memory.rss_megabytes();
        let hosts = format!("PSS with plugin hosts {:.1} MB", memory.pss_megabytes());
        let what = format!("daemon's memory, {ended} workchains ended");
        match after_hundred.filter(|_| *ended > 100) {
            Some(hundred) => table.judge(&what, rss, " MB", &hosts, Aim::Under(1.25 * hundred + 4.0)),
            None => table.note(&what, rss, " MB", &hosts),
        }
    }
    ferry.show(&["daemon", "stop"])?;
    Ok(())
}

/// Counts the ended processes, and measures the memory at certain numbers of them.
fn watch(bench: &Bench<'_>, ferry: &Ferry, begun: Instant) -> Result<Vec<(usize, Memory)>> {
    let words = [
        "process",
        "list",
        "-a",
        "-S",
        "finished",
        "-T",
        "script.rounds",
        "--project",
        "id",
        "--format",
        "csv",
    ];
    let mut seen = Vec::new();
    while seen.len() < LOOKS.len() {
        std::thread::sleep(LOOK);
        bench.check()?;
        if begun.elapsed() > PATIENCE {
            bail!("the workchains have not ended after {} s", PATIENCE.as_secs());
        }
        let ended = ferry.ask(&words)?.lines().count().saturating_sub(1);
        if ended >= LOOKS[seen.len()] {
            let memory = memory::of_all(ferry)?;
            println!(
                "{ended} ended after {:.0} s: the daemon has {:.1} MB",
                begun.elapsed().as_secs_f64(),
                memory.rss_megabytes()
            );
            seen.push((ended, memory));
        }
    }
    Ok(seen)
}
