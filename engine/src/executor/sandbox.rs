//! The sandbox of one call: an empty directory where the plugin may write, and one beside it for lent inputs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{owner::Context, store::Result};

/// The directories of one call, removed when this is dropped.
#[derive(Debug)]
pub(super) struct Sandbox {
    /// Emptied by `drop`.
    dir: Option<TempDir>,
    path: PathBuf,
    inputs: PathBuf,
}

impl Sandbox {
    /// Makes a new sandbox. The directory for inputs is made by whoever writes the first one.
    ///
    /// # Errors
    /// Returns the errors of the disk, as errors of the store.
    pub(super) fn new(cx: &Context) -> Result<Sandbox> {
        let dir = cx.scratch("call")?;
        let path = dir.path().to_owned();
        let inputs = path.with_extension("inputs");
        Ok(Sandbox { dir: Some(dir), path, inputs })
    }

    /// Returns the directory where the plugin may write.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory for lent inputs. It may not exist.
    pub(super) fn inputs(&self) -> &Path {
        &self.inputs
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Most calls write nothing, and thousands come in a second: one system call then removes the directory.
        if fs::remove_dir(&self.path).is_ok() {
            self.dir.take().map(TempDir::keep);
        }
        if self.inputs.exists() {
            let _ = fs::remove_dir_all(&self.inputs);
        }
    }
}
