//! Measurement of the time that a command takes from its start to its end, beside a command that does
//! nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::table::{Aim, Table, median};
use crate::ferry::Ferry;

/// Number of timings of each command.
const TIMES: usize = 20;

/// Times the commands in turn, so that a busy moment of the machine hits all of them.
pub(super) fn report(ferry: &Ferry, jobs: u32, table: &mut Table) -> Result<()> {
    println!("timing {TIMES} starts of each command");
    let (mut nothing, mut version, mut active, mut all) = (vec![], vec![], vec![], vec![]);
    for _ in 0..TIMES {
        nothing.push(milliseconds(&mut Command::new(Path::new("/bin/true")))?);
        version.push(milliseconds(&mut ferry.command(&["--version"]))?);
        active.push(milliseconds(&mut ferry.command(&["process", "list"]))?);
        all.push(milliseconds(&mut ferry.command(&["process", "list", "-a"]))?);
    }
    let baseline = format!("/bin/true {:.2} ms", median(&nothing));
    table.judge("ferry --version", median(&version), " ms", &baseline, Aim::Under(10.0));
    let what = format!("ferry process list, {jobs} processes ended");
    table.judge(&what, median(&active), " ms", &baseline, Aim::Under(30.0));
    table.judge("ferry process list -a, all of them shown", median(&all), " ms", &baseline, Aim::Under(30.0));
    Ok(())
}

fn milliseconds(command: &mut Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().context("could not start a command to time")?;
    let took = begun.elapsed();
    if !status.success() {
        bail!("`{}` failed: {status}", crate::shell::words(command));
    }
    Ok(took.as_secs_f64() * 1e3)
}
