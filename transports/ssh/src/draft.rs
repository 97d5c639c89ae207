//! A file or link under a temporary name beside its target, remote or local, which is put in place whole or
//! removed.

use std::{
    fs, io,
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

/// A remote file or link. If it is dropped unpublished, it is removed, after all earlier requests about it.
#[derive(Debug)]
pub(crate) struct FarDraft {
    sftp: Arc<Sftp>,
    path: PathBuf,
    is_published: bool,
}

impl FarDraft {
    /// Makes a draft for `target`; no file is made yet.
    pub(crate) fn of(sftp: &Arc<Sftp>, target: &Path) -> Self {
        FarDraft { sftp: sftp.clone(), path: target.with_file_name(fresh_name()), is_published: false }
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

impl Drop for FarDraft {
    fn drop(&mut self) {
        if !self.is_published {
            self.sftp.tell(Request::new(REMOVE).path(&self.path));
        }
    }
}

/// A local file. If it is dropped unpublished, it is removed.
#[derive(Debug)]
pub(crate) struct LocalDraft {
    path: PathBuf,
    is_published: bool,
}

impl LocalDraft {
    /// Makes an empty file for `target`, with the target's parents.
    pub(crate) fn create(target: &Path) -> io::Result<(Self, fs::File)> {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let path = target.with_file_name(fresh_name());
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok((LocalDraft { path, is_published: false }, file))
    }

    /// Renames it to `target`, replacing a file that is there.
    pub(crate) fn replace(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for LocalDraft {
    fn drop(&mut self) {
        if !self.is_published {
            // An error can't be reported here; a leftover is hidden and harmless.
            let _ = fs::remove_file(&self.path);
        }
    }
}
