//! `cargo xtask bench`: throughput, memory and start-up of a release build, each beside a baseline of the same
//! run, since an absolute figure says more about the machine than about ferry. `--cluster` adds jobs on a
//! private Slurm beside a bare `sbatch` loop, and SSH beside OpenSSH. `engine` measures the engine without
//! jobs, by itself and through plugin hosts, `direct` jobs on the machine itself, `workflows` workchains with jobs
//! and without, `slurm` the jobs on Slurm alone, `transport` jobs over SSH, near and far, beside OpenSSH's tools.
//!
//! It prints figures and whether each aim is met; a missed aim is no failure.

mod bare;
mod direct;
mod engine;
mod hosts;
mod memory;
mod slurm;
mod ssh;
mod startup;
mod table;
mod throughput;
mod transport;
mod workflows;

use std::process::ExitCode;

use anyhow::Result;

use crate::ferry::{self, Ferry};
use crate::flags::{BenchFlags, BenchWhat};
use crate::interrupt::Interrupt;
use crate::workspace::Workspace;
use table::Table;

/// Runs the chore.
pub(crate) fn run(workspace: &Workspace, flags: &BenchFlags) -> Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    if let Some(what) = flags.what {
        let mut table = Table::default();
        match what {
            BenchWhat::Direct => {
                let binary = ferry::build(workspace, "release")?;
                direct::report(&binary, flags.cluster, &interrupt, &mut table)?;
                table.print();
            }
            BenchWhat::Engine => {
                engine::run(workspace, &interrupt, &mut table)?;
                table.print();
            }
            BenchWhat::Transport => {
                transport::run(workspace, &interrupt, &mut table)?;
                table.print();
            }
            BenchWhat::Workflows => workflows::run(workspace, &interrupt, &mut table)?,
            BenchWhat::Slurm => {
                let binary = ferry::build(workspace, "release")?;
                slurm::report(&binary, flags.rounds, &interrupt, &mut table)?;
                table.print();
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let binary = ferry::build(workspace, "release")?;
    let mut rounds = Vec::new();
    let mut table = Table::default();
    for round in 1..=flags.rounds {
        println!("\nround {round} of {}: {} jobs in a new profile", flags.rounds, flags.jobs);
        let ferry = Ferry::scratch(binary.clone(), false, interrupt.clone())?;
        ferry.lift_cores()?;
        ferry.show(&["daemon", "start"])?;
        let fresh = memory::idle(&ferry)?;
        rounds.push(throughput::round(&ferry, flags.jobs)?);
        if round == flags.rounds {
            // The last profile, full of processes, serves the other figures too.
            memory::report(&fresh, &memory::idle(&ferry)?, &mut table);
            startup::report(&ferry, flags.jobs, &mut table)?;
        }
        ferry.show(&["daemon", "stop"])?;
    }
    throughput::report(&rounds, flags.jobs, &mut table);
    direct::report(&binary, flags.cluster, &interrupt, &mut table)?;
    if flags.cluster {
        slurm::report(&binary, flags.rounds, &interrupt, &mut table)?;
        ssh::report(workspace, &interrupt, &mut table)?;
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}
