//! `cargo xtask bench engine`: the engine without jobs, alone and through plugin hosts, beside what SQLite itself does
//! on this disk.
//!
//! Processes of `tests/plugins/script` end at once, step, or wait; each has its input and its links, and every
//! commit is synced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::hosts;
use super::table::{Aim, Table, median};
use crate::ferry::{self, Ferry};
use crate::interrupt::Interrupt;
use crate::json;
use crate::proc;
use crate::shell;
use crate::test::plugins;
use crate::workspace::Workspace;

/// Processes that end at once.
const NOOPS: u32 = 5_000;
/// Steps of a chain.
const STEPS: u32 = 500;
/// Processes that wait.
const WAITING: u32 = 100_000;
/// Processes of the large store; with inputs and outputs more than three nodes for each.
const LARGE: u32 = 300_000;
/// Time for which an idle daemon is watched.
const WATCHED: Duration = Duration::from_secs(10);
/// Number of timings of a command on the large store.
const TIMES: usize = 40;
/// Maximum time from the kill of a daemon to its successor's first step.
const PATIENCE: Duration = Duration::from_secs(60);

/// The programs that the measurements use.
pub(super) struct Bench<'a> {
    workspace: &'a Workspace,
    binary: PathBuf,
    plugin: PathBuf,
    interrupt: Interrupt,
}

/// Runs all figures.
pub(super) fn run(workspace: &Workspace, interrupt: &Interrupt, table: &mut Table) -> Result<()> {
    let bench = Bench::build(workspace, interrupt)?;
    let noops = bench.throughput(table)?;
    hosts::report(&bench, noops, table)?;
    bench.chain(table)?;
    bench.waiting(table)?;
    bench.large(table)
}

impl<'a> Bench<'a> {
    /// Builds what is measured.
    pub(super) fn build(workspace: &'a Workspace, interrupt: &Interrupt) -> Result<Self> {
        let binary = ferry::build(workspace, "release")?;
        for example in ["engine_bench", "large_store"] {
            let mut build =
                workspace.cargo(&["build", "--release", "--package", "ferry-engine", "--example"]);
            shell::run(build.arg(example))?;
        }
        let plugin = plugins::build_optimized(workspace, "script")?.join("libscript_file.so");
        Ok(Bench { workspace, binary, plugin, interrupt: interrupt.clone() })
    }

    /// Ends the bench if the user wants it.
    pub(super) fn check(&self) -> Result<()> {
        self.interrupt.check()
    }

    /// Returns the path of the plugin file.
    pub(super) fn plugin(&self) -> Result<&str> {
        self.plugin.to_str().context("the path of the plugin file is not UTF-8")
    }

    /// Seconds that a figure took.
    pub(super) fn seconds(&self, ferry: &Ferry, words: &[&str]) -> Result<f64> {
        float(&self.figure(ferry, words)?, "seconds")
    }

    pub(super) fn profile(&self) -> Result<Ferry> {
        Ferry::scratch(self.binary.clone(), false, self.interrupt.clone())
    }

    /// Runs one figure of the example on a profile.
    fn figure(&self, ferry: &Ferry, words: &[&str]) -> Result<Value> {
        self.interrupt.check()?;
        println!("engine_bench {}", words.join(" "));
        let example = self.workspace.binary("release", "examples/engine_bench");
        let output = Command::new(example)
            .args(words)
            .env("FERRY_HOME", ferry.home())
            .env("FERRY_BIN", &self.binary)
            .env("FERRY_SCRIPT_PLUGIN", &self.plugin)
            .stderr(Stdio::inherit())
            .output()
            .context("could not start engine_bench")?;
        if !output.status.success() {
            bail!("engine_bench {} failed: {}", words.join(" "), output.status);
        }
        serde_json::from_slice(&output.stdout).context("engine_bench did not print JSON")
    }

    fn throughput(&self, table: &mut Table) -> Result<f64> {
        let ferry = self.profile()?;
        let noop = self.figure(&ferry, &["noop", &NOOPS.to_string()])?;
        let rate = f64::from(NOOPS) / float(&noop, "seconds")?;
        // Two batches a process: its launch, and its only step.
        let group = (2.0 * f64::from(NOOPS) / float(&noop, "commits")?).round().max(1.0);
        let raw = float(&self.figure(&ferry, &["baseline", &group.to_string()])?, "batches_per_second")?;
        let baseline = format!("SQLite, {group} batches a commit: {raw:.0}/s");
        table.judge("processes that end at once", rate, "/s", &baseline, Aim::AtLeast(3000.0));
        table.judge("their batches, of SQLite's", 2.0 * rate / raw, "", &baseline, Aim::AtLeast(0.25));
        table.note("the processes, of SQLite's batches", rate / raw, "", &baseline);
        Ok(rate)
    }

    fn chain(&self, table: &mut Table) -> Result<()> {
        let ferry = self.profile()?;
        let step = float(&self.figure(&ferry, &["chain", &STEPS.to_string()])?, "step")? * 1e3;
        let commit = float(&self.figure(&ferry, &["baseline", "1"])?, "commit")? * 1e3;
        let what = format!("a step of a chain of {STEPS}, median");
        let baseline = format!("one synced commit {commit:.2} ms");
        table.judge(&what, step, " ms", &baseline, Aim::Under(1.5 * commit + 0.3));
        Ok(())
    }

    /// Measures a daemon with very many waiting processes: its memory, its idle load, and its start after a
    /// `kill -9`.
    fn waiting(&self, table: &mut Table) -> Result<()> {
        let ferry = self.profile()?;
        self.figure(&ferry, &["wait", &WAITING.to_string()])?;
        ferry.show(&["daemon", "start"])?;
        std::thread::sleep(WATCHED);
        let daemon = ferry.daemon().context("no daemon runs")?;
        let before = cpu(daemon)?;
        std::thread::sleep(WATCHED);
        let share = (cpu(daemon)? - before) / WATCHED.as_secs_f64() * 100.0;
        let what = format!("daemon with {WAITING} waiting processes");
        let memory = super::memory::resident(daemon).context("the daemon's memory can't be read")?;
        table.judge(&what, memory, " MB", "", Aim::Under(150.0));
        table.judge(&format!("{what}, idle"), share, " % of a core", "", Aim::Under(1.0));
        let first = self.after_a_kill(&ferry)?;
        let what = format!("kill -9 with {WAITING} live processes: start to first step");
        table.judge(&what, first, " s", "", Aim::Under(2.0));
        Ok(())
    }

    /// Seconds from the start of a daemon to the first step of a process that the killed one was stepping.
    fn after_a_kill(&self, ferry: &Ferry) -> Result<f64> {
        let id = ferry.ask(&["submit", "script.run", r#"script=[{"steps": 1000000000}]"#])?;
        let id = id.trim().to_owned();
        let all: Vec<u32> =
            proc::all().into_iter().map(|child| child.pid).filter(|pid| ferry.is_ours(*pid)).collect();
        let killed = Command::new("kill").arg("-KILL").args(all.iter().map(u32::to_string)).status();
        killed.context("could not start kill")?;
        while all.iter().any(|pid| ferry.is_ours(*pid)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let stood = modified(ferry, &id)?;
        let (begun, clock) = (Instant::now(), seconds_since_1970()?);
        ferry.show(&["daemon", "start"])?;
        while begun.elapsed() < PATIENCE {
            let now = modified(ferry, &id)?;
            if now != stood {
                // Its first step may be a few old by now; the latest one seen is an upper bound.
                return Ok(now - clock);
            }
        }
        bail!("process {id} was not stepped within {} s", PATIENCE.as_secs())
    }

    fn large(&self, table: &mut Table) -> Result<()> {
        let ferry = self.profile()?;
        let root = ferry.home().join("profiles/default");
        println!("large_store {LARGE}");
        let example = self.workspace.binary("release", "examples/large_store");
        shell::run(Command::new(example).arg(&root).arg(LARGE.to_string()))?;
        let newest = LARGE.to_string();
        for words in [&["process", "list"][..], &["process", "show", &newest]] {
            let mut times: Vec<f64> = Vec::new();
            for _ in 0..TIMES {
                let begun = Instant::now();
                ferry.ask(words)?;
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            let what = format!("ferry {}, a million nodes, p95", words[..2].join(" "));
            let baseline = format!("median {:.1} ms", median(&times));
            table.judge(&what, times[TIMES * 95 / 100], " ms", &baseline, Aim::Under(50.0));
        }
        Ok(())
    }
}

fn float(value: &Value, key: &str) -> Result<f64> {
    value[key].as_f64().with_context(|| format!("`{key}` is missing in {value}"))
}

/// Returns the time of a process's last change, in seconds since 1970.
fn modified(ferry: &Ferry, id: &str) -> Result<f64> {
    let shown = ferry.json(&["process", "show", id])?;
    let text = json::text(&shown, "/modified")?;
    let output = Command::new("date").args(["+%s.%N", "--date", text]).output().context("date")?;
    String::from_utf8_lossy(&output.stdout).trim().parse().with_context(|| format!("`{text}` is no time"))
}

fn seconds_since_1970() -> Result<f64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64())
}

/// Seconds of processor time that a child has had.
fn cpu(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))?;
    let rest = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let ticks: f64 = rest.split(' ').skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
    // The kernel's unit is 1/100 s on every Linux that ferry runs on.
    Ok(ticks / 100.0)
}
