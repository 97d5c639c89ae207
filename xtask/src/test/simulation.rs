//! The engine's simulation with fresh seeds, beside the cells of the matrix, which mostly wait.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use crate::workspace::Workspace;

/// A simulation under way. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Simulation {
    child: Child,
    said: NamedTempFile,
    begun: Instant,
}

/// The result of a simulation.
#[derive(Debug)]
pub(super) struct Outcome {
    /// True if it found nothing.
    pub(super) success: bool,
    /// Time that it took.
    pub(super) took: Duration,
    /// Its output: sums, or a seed and what went wrong.
    pub(super) said: String,
}

impl Simulation {
    /// Starts one that lasts so long, and until a schedule a second was tried. It takes only what others leave of the
    /// processors.
    pub(super) fn start(workspace: &Workspace, seconds: u64) -> Result<Simulation> {
        let said = NamedTempFile::new().context("could not make a temporary file")?;
        let to = |file: &Path| File::options().append(true).open(file).context("could not open it again");
        let child = Command::new("nice")
            .args(["-n", "19"])
            .arg(workspace.binary("debug", "examples/simulate"))
            .args(["--seconds", &seconds.to_string(), "--at-least", &seconds.to_string()])
            .stdin(Stdio::null())
            .stdout(to(said.path())?)
            .stderr(to(said.path())?)
            .spawn()
            .context("could not start the simulation")?;
        Ok(Simulation { child, said, begun: Instant::now() })
    }

    /// Waits for its end.
    pub(super) fn finish(mut self) -> Result<Outcome> {
        let status = self.child.wait().context("could not wait for the simulation")?;
        let said = std::fs::read_to_string(self.said.path()).unwrap_or_default();
        Ok(Outcome { success: status.success(), took: self.begun.elapsed(), said })
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // Most have ended by now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
