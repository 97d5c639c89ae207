//! `cargo xtask`: ferry's own chores, one file a subcommand. It drives everything by command, as a user
//! would, and links none of ferry's crates; so it builds in seconds and can't be broken by the engine.
//!
//! ```text
//! cargo xtask demo     a newcomer's first five minutes, run for real
//! cargo xtask quick    unit tests alone, between two edits
//! cargo xtask test     unit tests, conformance suites, the matrix of transports and schedulers
//! cargo xtask chaos    faults on real cells, as many trials as you like
//! cargo xtask services a private sshd and a private Slurm for those tests: up, down, status
//! cargo xtask bench    figures, each beside a baseline of the same run
//! cargo xtask simulate the engine in virtual time, under seeded faults
//! cargo xtask tidy     arrows between crates, docs, lints, licences
//! ```
//!
//! Exit status: 0 fine, 1 something failed, 2 the words were wrong.
#![allow(clippy::print_stdout, reason = "a command-line tool speaks on stdout")]

mod bench;
mod chaos;
mod demo;
mod ferry;
mod flags;
mod home;
mod interrupt;
mod json;
mod proc;
mod quick;
mod services;
mod shell;
mod simulate;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::flags::{Flags, Subcommand};
use crate::workspace::Workspace;

fn main() -> ExitCode {
    match dispatch(Flags::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(flags: Flags) -> Result<ExitCode> {
    let workspace = Workspace::load;
    match flags.subcommand {
        Subcommand::Quick(flags) => quick::run(&workspace()?, &flags),
        Subcommand::Test(flags) => test::run(&workspace()?, &flags),
        Subcommand::Chaos(flags) => chaos::run(&workspace()?, &flags),
        Subcommand::Services(flags) => services::run(&flags),
        // Outlives the chore that started it, perhaps the workspace too.
        Subcommand::Door(flags) => services::keep_door(&flags),
        Subcommand::Demo(flags) => demo::run(&workspace()?, &flags),
        Subcommand::Bench(flags) => bench::run(&workspace()?, &flags),
        Subcommand::Simulate(flags) => simulate::run(&workspace()?, &flags),
        Subcommand::Tidy(flags) => tidy::run(&workspace()?, &flags),
    }
}
