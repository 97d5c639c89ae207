//! A file or tree under a temporary name beside its target, which is put in place whole or removed.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use ferry_engine_core::transport::fresh_name;

use crate::{files, rename};

/// Returns the permission bits of a new file, before the umask.
pub(crate) fn mode(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

/// A temporary path beside a target. If it is dropped unpublished, the file or tree at it is removed.
#[derive(Debug)]
pub(crate) struct TempFile {
    path: PathBuf,
    is_published: bool,
}

impl TempFile {
    /// Makes one for `target`; no file is made yet.
    pub(crate) fn of(target: &Path) -> Self {
        TempFile { path: target.with_file_name(fresh_name()), is_published: false }
    }

    /// Returns the temporary path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it a new file.
    pub(crate) fn create(&self, mode: u32) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&self.path)
    }

    /// Renames it to `target`, replacing a file that is there.
    pub(crate) fn replace(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.is_published = true;
        Ok(())
    }

    /// Renames it to `target`, which must not exist.
    pub(crate) fn publish(mut self, target: &Path) -> io::Result<()> {
        rename::no_replace(&self.path, target)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.is_published {
            // An error can't be reported here; a leftover is hidden and harmless.
            let _ = files::remove_tree(&self.path);
        }
    }
}
