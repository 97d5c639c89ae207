//! Tiny jobs on a private Slurm through ferry, beside a loop of `sbatch` with the same scripts on the same
//! cluster: one `sbatch` at a time in both, and as many jobs at once as Slurm starts.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::bare::{Cluster, Recipe};
use super::table::Table;
use super::throughput;
use crate::ferry::Ferry;
use crate::interrupt::Interrupt;
use crate::services::{Kinds, Services};
use crate::shell;

/// How many jobs.
const JOBS: u32 = 200;
/// What the services call the computer.
const COMPUTER: &str = "bench-slurm";
/// Least time between two looks at the queue, s. The default, 5 s, is for clusters that others use too.
const POLL: &str = "1";

/// Runs both and adds their figures.
pub(super) fn report(binary: &Path, interrupt: &Interrupt, table: &mut Table) -> Result<()> {
    println!("\n{JOBS} jobs on a private Slurm, asked every {POLL} s");
    let services = Services::for_test(Kinds { slurm: true, ..Kinds::default() }, interrupt)?;
    let ferry = Ferry::scratch(binary.to_owned(), false, interrupt.clone())?;
    let environment = services.environment();
    set_up(&ferry, &environment)?;
    let begun = Instant::now();
    let ids = throughput::submit(&ferry, JOBS, &["--computer", COMPUTER])?;
    throughput::wait(&ferry)?;
    let finished = begun.elapsed().as_secs_f64();
    println!("finished after {finished:.2} s; checking the sums, then the same scripts by `sbatch`");
    throughput::check_all(&ferry, &ids)?;
    let (_, id) = ids.first().context("no job was submitted")?;
    let cluster = Cluster { environment, patience: throughput::PATIENCE, interrupt };
    let bare = Recipe::of(&ferry, id)?.submit(&ferry.desk().join("sbatch"), JOBS, &cluster)?.as_secs_f64();
    let rate = |seconds: f64| f64::from(JOBS) / seconds;
    let baseline = format!("bare sbatch loop {:.1} jobs/s", rate(bare));
    table.note(&format!("{JOBS} jobs on Slurm"), rate(finished), " jobs/s", &baseline);
    table.note("share of the sbatch loop", bare / finished, "", &baseline);
    Ok(())
}

/// Makes the computer known and starts the daemon where Slurm's clients find their cluster.
fn set_up(ferry: &Ferry, environment: &[(String, String)]) -> Result<()> {
    let work = ferry.desk().join("work");
    ferry.show(&[
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
