//! Files on this side: read for an upload, and written for a download.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

use crate::transport::{Error, ErrorKind, Result, fresh_name};

/// Opens a regular file of this machine, with its size.
///
/// # Errors
/// By the kind of the file; a pipe, socket or device is `Unsupported`.
pub async fn open_local(operation: &'static str, path: &Path) -> Result<(tokio::fs::File, u64)> {
    let opened = blocking(operation, path, |path| {
        // Checked before it is opened: opening a pipe would wait for its writer.
        let facts = fs::metadata(path)?;
        if facts.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let file = if facts.is_file() { Some(fs::File::open(path)?) } else { None };
        Ok((file, facts.len()))
    });
    match opened.await? {
        (Some(file), size) => Ok((tokio::fs::File::from_std(file), size)),
        (None, _) => {
            let special = Error::new(ErrorKind::Unsupported, operation);
            Err(special.message("a pipe, socket or device, not a file").with("path", path.display()))
        }
    }
}

/// A local file under a temporary name. If it is dropped unpublished, it is removed.
#[derive(Debug)]
pub(super) struct LocalTempFile {
    path: PathBuf,
    is_published: bool,
}

impl LocalTempFile {
    /// Makes an empty file for `target`, with the target's parents.
    pub(super) fn create(target: &Path) -> io::Result<(Self, fs::File)> {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let path = target.with_file_name(fresh_name());
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok((LocalTempFile { path, is_published: false }, file))
    }

    /// Renames it to `target`, replacing a file that is there.
    pub(super) fn replace(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for LocalTempFile {
    fn drop(&mut self) {
        if !self.is_published {
            // An error can't be reported here; a leftover is hidden and harmless.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a local file whole, under a temporary name first, and makes its parents. It blocks.
///
/// # Errors
/// Those of the file system; then the old file is still there.
pub fn replace_local(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (temp, mut file) = LocalTempFile::create(path)?;
    file.write_all(bytes)?;
    temp.replace(path)
}

/// Does local file work on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    path: &Path,
    job: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let own = path.to_owned();
    let lost =
        |error| Error::new(ErrorKind::Other, operation).message("the file operation was lost").source(error);
    let done = spawn_blocking(move || job(&own)).await.map_err(lost)?;
    done.map_err(|error| Error::from_io(operation, path, error))
}
