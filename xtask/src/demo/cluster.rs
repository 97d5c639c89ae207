//! The demo on a cluster, which is a private sshd and a private Slurm. The main job goes over SSH to Slurm,
//! then a real calculation does.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{add, silicon, tell};
use crate::ferry::Ferry;
use crate::interrupt::Interrupt;
use crate::json;
use crate::services::{Kinds, Services, packages};
use crate::shell;

/// The cell of the matrix that is shown.
const CELL: &str = "ssh+slurm";
/// Label of the computer in its file.
const COMPUTER: &str = "ssh-slurm";

/// Installs or names what is missing, and starts the services.
pub(super) fn bring_up(interrupt: &Interrupt) -> Result<Services> {
    tell("Bring up a private sshd and a private Slurm. They stand for a cluster, and go when the demo ends.");
    packages::ensure_espresso()?;
    Services::for_test(Kinds { ssh: true, slurm: true, clusters: false }, interrupt)
}

/// Runs the steps. Pictures that outlive the demo go to `pictures`.
pub(super) fn show(ferry: &Ferry, services: &Services, interrupt: &Interrupt, pictures: &Path) -> Result<()> {
    set_up(ferry, services)?;
    tell("Submit the job of the plain demo, to the cluster this time. Nothing else is different.");
    add(ferry, &["--computer", COMPUTER])?;
    silicon::show(ferry, COMPUTER, interrupt, pictures)
}

fn set_up(ferry: &Ferry, services: &Services) -> Result<()> {
    tell("A computer is a file: where it is, how to get there, who runs the jobs. AiiDA's files will do.");
    let file = computer_file(services)?;
    println!("$ cat {}", shell::quote(&file.to_string_lossy()));
    print!("{}", fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?);
    ferry.show(&["computer", "setup", "-n", "--config", &file.to_string_lossy()])?;
    tell("Slurm is asked every 5 s or less often. This one is ours alone, so we may ask it every second.");
    ferry.show(&["computer", "configure", COMPUTER, "-n", "--poll-interval", "1"])?;
    tell("Test it step by step, up to a small job.");
    ferry.show(&["computer", "test", COMPUTER, "--job"])?;
    ferry.show(&["daemon", "start"])?;
    Ok(())
}

/// Returns the computer's file, as the report of the services names it.
fn computer_file(services: &Services) -> Result<PathBuf> {
    let environment = services.environment();
    let (_, report) = environment
        .iter()
        .find(|(name, _)| name == "FERRY_SERVICES")
        .context("the services do not tell where their report is")?;
    let text = fs::read_to_string(report).with_context(|| format!("could not read {report}"))?;
    let report: Value = serde_json::from_str(&text).context("the report of the services is not JSON")?;
    Ok(json::text(&report, &format!("/computers/{CELL}"))?.into())
}
