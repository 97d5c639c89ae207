//! Two clusters that no test may ever need: the first case that uses them starts them with the ordinary
//! command, and the runner of the tests stops them. They cost ten seconds, and no case shares them with the
//! single Slurm.

use std::path::PathBuf;

use anyhow::Result;

use super::{base, clear_leftovers, door, down};

/// The place of two clusters. Dropping it stops them, if anybody has brought them up.
#[derive(Debug)]
pub(crate) struct OnDemand {
    dir: PathBuf,
    program: PathBuf,
}

impl OnDemand {
    /// Names a place for tests that run one after the other; others, beside them, have another number.
    pub(crate) fn numbered(number: usize) -> Result<OnDemand> {
        let base = base()?;
        clear_leftovers(&base)?;
        let dir = base.join(format!("test-{}-clusters-{number}", std::process::id()));
        Ok(OnDemand { dir, program: door::own_path()? })
    }

    /// Returns the environment for a test: the program that starts the clusters (`services up --clusters
    /// --dir` are its arguments), and their directory.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("FERRY_CLUSTERS", self.dir.clone()), ("FERRY_XTASK", self.program.clone())]
    }
}

impl Drop for OnDemand {
    fn drop(&mut self) {
        if let Err(error) = down(&self.dir) {
            eprintln!("warning: {error:#}");
        }
    }
}
