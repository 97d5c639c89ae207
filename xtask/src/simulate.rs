//! `cargo xtask simulate`: the engine in virtual time, under faults that follow from seeds, on all cores.
//!
//! A failure prints its seed, the smallest plan that still fails so and what happened in it; `--seed` shows one run.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::flags::SimulateFlags;
use crate::shell;
use crate::workspace::Workspace;

/// Runs the chore.
pub(crate) fn run(workspace: &Workspace, flags: &SimulateFlags) -> Result<ExitCode> {
    let build = ["run", "--release", "--package", "ferry-engine", "--features", "testing"];
    let mut command = workspace.cargo(&build);
    command.args(["--example", "simulate", "--"]);
    let words = [
        ("--seconds", flags.seconds),
        ("--schedules", flags.schedules),
        ("--first", flags.first),
        ("--seed", flags.seed),
    ];
    for (word, number) in words {
        if let Some(number) = number {
            command.arg(word).arg(number.to_string());
        }
    }
    println!("$ {}", shell::words(&command));
    let status = command.status().context("could not start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
