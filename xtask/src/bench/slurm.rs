//! Tiny jobs on a private Slurm through ferry, beside a loop of `sbatch` by eight children with the same scripts on
//! the same cluster. ferry's jobs are submitted as users submit many: by `ferry submit --each`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::bare::{Cluster, Recipe};
use super::table::{Aim, Table, median};
use super::throughput;
use crate::ferry::Ferry;
use crate::interrupt::Interrupt;
use crate::services::{Kinds, Services};
use crate::shell;

/// Number of jobs.
const JOBS: u32 = 200;
/// Number of `sbatch` loops that run at once.
const LOOPS: u32 = 8;
/// Label of the computer that the services set up.
const COMPUTER: &str = "bench-slurm";
/// Least time between two looks at the queue, s. The default, 5 s, is for clusters that others use too.
const POLL: &str = "1";

/// Runs pairs of both, each with a new profile, and adds their figures.
pub(super) fn report(binary: &Path, pairs: u32, interrupt: &Interrupt, table: &mut Table) -> Result<()> {
    println!("\n{JOBS} jobs on a private Slurm, asked every {POLL} s, beside {LOOPS} loops of `sbatch`");
    let services = Services::for_test(Kinds { slurm: true, ..Kinds::default() }, interrupt)?;
    let environment = services.environment();
    let mut rates = Vec::new();
    for pair in 1..=pairs {
        let [ours, bare] = self::pair(binary, &environment, interrupt)?;
        let [ours, bare] = [ours, bare].map(|seconds| f64::from(JOBS) / seconds);
        println!(
            "pair {pair} of {pairs}: ferry {ours:.1} jobs/s, bare {bare:.1} jobs/s, share {:.2}",
            ours / bare
        );
        rates.push([ours, bare]);
    }
    let of = |rate: fn(&[f64; 2]) -> f64| rates.iter().map(rate).collect::<Vec<_>>();
    let shares = of(|[ours, bare]| ours / bare);
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    let baseline = format!("{LOOPS} sbatch loops {:.1} jobs/s", median(&of(|[_, bare]| *bare)));
    table.note(&format!("{JOBS} jobs on Slurm"), median(&of(|[ours, _]| *ours)), " jobs/s", &baseline);
    table.note("share of the sbatch loops, median", median(&shares), "", &baseline);
    table.judge("share of the sbatch loops, least", least, "", &baseline, Aim::AtLeast(0.9));
    Ok(())
}

/// Seconds that ferry needs, and the loops.
fn pair(binary: &Path, environment: &[(String, String)], interrupt: &Interrupt) -> Result<[f64; 2]> {
    let ferry = Ferry::scratch(binary.to_owned(), false, interrupt.clone())?;
    set_up(&ferry, environment)?;
    let lines = ferry.desk().join("jobs.jsonl");
    fs::write(&lines, inputs()?).context("could not write the inputs")?;
    let begun = Instant::now();
    let each = lines.to_string_lossy();
    let told = ferry.ask(&[
        "submit",
        "arithmetic.add_job",
        "y=1",
        "--computer",
        COMPUTER,
        "--each",
        each.as_ref(),
    ])?;
    let handed = begun.elapsed().as_secs_f64();
    throughput::wait(&ferry)?;
    let finished = begun.elapsed().as_secs_f64();
    println!("ids after {handed:.2} s, finished after {finished:.2} s; checking the sums, then by `sbatch`");
    let ids: Vec<(u32, String)> = (0..).zip(told.lines().map(str::to_owned)).collect();
    throughput::check_all(&ferry, &ids)?;
    let (_, id) =
        ids.first().filter(|_| ids.len() == JOBS as usize).context("not all jobs were submitted")?;
    let cluster = Cluster { environment: environment.to_vec(), patience: throughput::PATIENCE, interrupt };
    let bare = Recipe::of(&ferry, id)?.submit(&ferry.desk().join("sbatch"), [JOBS, LOOPS], &cluster)?;
    Ok([finished, bare.as_secs_f64()])
}

/// Returns a line of inputs for each job.
fn inputs() -> Result<String> {
    let mut lines = String::new();
    for number in 0..JOBS {
        writeln!(lines, r#"{{"x": {number}}}"#)?;
    }
    Ok(lines)
}

/// Makes the computer known and starts the daemon where Slurm's clients find their cluster.
fn set_up(ferry: &Ferry, environment: &[(String, String)]) -> Result<()> {
    let work = ferry.desk().join("work");
    ferry.ask(&[
        "computer",
        "setup",
        "-n",
        "--label",
        COMPUTER,
        "--hostname",
        "localhost",
        "--transport",
        "core.local",
        "--scheduler",
        "core.slurm",
        "--work-dir",
        &work.to_string_lossy(),
        "--poll-interval",
        POLL,
    ])?;
    shell::run(ferry.command(&["daemon", "start"]).envs(environment.iter().cloned()))
}
