//! `cargo xtask chaos`: trials on real cells while the daemon, plugin hosts, sshd, Slurm's controller and the
//! wire are killed, stopped and cut. The output of the jobs is compared with the store. The trials themselves
//! are a case of the matrix, which `cargo xtask test` runs too; this command runs any number of them.
//!
//! A seed gives the plan of a trial: what is submitted, and what breaks when. A trial that fails prints its
//! seed.

use std::process::ExitCode;

use anyhow::Result;

use crate::ferry;
use crate::flags::ChaosFlags;
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::services::Services;
use crate::shell;
use crate::test::cells::{CELLS, Cell, Choice};
use crate::test::plugins;
use crate::workspace::Workspace;

/// Runs the chore.
pub(crate) fn run(workspace: &Workspace, flags: &ChaosFlags) -> Result<ExitCode> {
    let choice = match Choice::new(&flags.transport, &flags.scheduler) {
        Ok(choice) => choice,
        Err(unknown) => {
            eprintln!("error: {unknown}");
            return Ok(ExitCode::from(2));
        }
    };
    let interrupt = Interrupt::listen()?;
    let binary = ferry::build_to_crash(workspace)?;
    let plugins = plugins::build(workspace)?;
    let kinds = choice.kinds(&[]);
    let services = Services::for_test(kinds, &interrupt)?;
    let home = Home::new()?;
    let mut failed = Vec::new();
    for cell in CELLS.iter().filter(|cell| choice.takes(cell)) {
        interrupt.check()?;
        println!("\n== chaos: {cell}");
        let mut command = trials(workspace, flags, cell);
        command.env("FERRY_BIN", &binary).env("FERRY_TEST_PLUGINS", &plugins).envs(services.environment());
        home.give(&mut command);
        if !shell::watch(&mut command)?.status.success() {
            failed.push(cell.to_string());
        }
    }
    drop(services);
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: trials failed on {}; each says above how to see it again", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn trials(workspace: &Workspace, flags: &ChaosFlags, cell: &Cell) -> std::process::Command {
    let case = format!("{cell}/chaos/trials");
    let mut command =
        workspace.cargo(&["test", "--package", "ferry-matrix", "--test", "cells", "--", "--exact"]);
    command
        .arg(case)
        .env("FERRY_CELLS", cell.to_string())
        .env("FERRY_CHAOS_TRIALS", flags.trials.to_string());
    if let Some(seed) = flags.seed {
        command.env("FERRY_CHAOS_SEED", seed.to_string());
    }
    if flags.same_seed {
        command.env("FERRY_CHAOS_SAME", "1");
    }
    command
}
