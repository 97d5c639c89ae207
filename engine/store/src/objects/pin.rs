//! A lock that keeps objects in place while a backup copies them. Maintenance and backups exclude each other; the
//! kernel releases the lock however its holder ends.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::FlockOperation;

use crate::error::{Error, ErrorKind, Result};

/// Name of the lock file, in the directory of objects.
pub(crate) const NAME: &str = ".pin";

/// The lock, held while objects must stay in place, or while they are moved.
#[derive(Debug)]
pub(crate) struct Pin {
    _file: File,
}

impl Pin {
    /// Takes the shared lock: no object moves while it is held.
    ///
    /// # Errors
    /// Fails with `Owned` while maintenance runs.
    pub(crate) fn still(dir: &Path) -> Result<Pin> {
        take(
            dir,
            FlockOperation::NonBlockingLockShared,
            "the store is being maintained (`ferry storage maintain`)",
        )
    }

    /// Takes the exclusive lock: no backup runs while it is held.
    ///
    /// # Errors
    /// Fails with `Owned` while a backup is being made.
    pub(crate) fn alone(dir: &Path) -> Result<Pin> {
        take(
            dir,
            FlockOperation::NonBlockingLockExclusive,
            "a backup is being made, or the store is already being maintained",
        )
    }
}

fn take(dir: &Path, how: FlockOperation, busy: &'static str) -> Result<Pin> {
    let path = dir.join(NAME);
    let failed = |source| Error::from_io("lock objects", &path, source);
    fs::create_dir_all(dir).map_err(failed)?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match rustix::fs::flock(&file, how) {
        Ok(()) => Ok(Pin { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(Error::new(ErrorKind::Owned, "lock objects").message(busy).later().help("try again later"))
        }
        Err(error) => Err(failed(error.into())),
    }
}
