//! A remote file under a temporary name beside its target, which is put in place whole or removed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ferry_engine_core::transport::{Result, fresh_name};

use crate::{
    files,
    sftp::{REMOVE, Request, Sftp},
};

/// Returns the permission bits of a new file, before the umask.
pub(crate) fn mode(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

/// A remote file. If it is dropped unpublished, it is removed, after all earlier requests about it.
#[derive(Debug)]
pub(crate) struct TempFile {
    sftp: Arc<Sftp>,
    path: PathBuf,
    is_published: bool,
}

impl TempFile {
    /// Makes one for `target`; no file is made yet.
    pub(crate) fn of(sftp: &Arc<Sftp>, target: &Path) -> Self {
        TempFile { sftp: sftp.clone(), path: target.with_file_name(fresh_name()), is_published: false }
    }

    /// Returns the temporary path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames it to `target`, replacing a file that is there.
    pub(crate) async fn replace(mut self, operation: &'static str, target: &Path) -> Result<()> {
        files::replace(&self.sftp, operation, &self.path, target).await?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.is_published {
            self.sftp.tell(Request::new(REMOVE).path(&self.path));
        }
    }
}
