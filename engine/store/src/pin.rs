//! Keeps objects where they are while a backup copies them: maintenance and backups exclude each other, by a lock
//! that the kernel releases however its holder ends.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::FlockOperation;

use super::{Error, ErrorKind, Result};

/// The lock's file, in the directory of objects.
pub(super) const NAME: &str = ".pin";

/// Held while objects must stay, or while they move.
#[derive(Debug)]
pub(super) struct Pin {
    _file: File,
}

impl Pin {
    /// Nothing moves while this is held; several may hold it.
    ///
    /// # Errors
    /// `Owned` while somebody tidies.
    pub(super) fn still(dir: &Path) -> Result<Pin> {
        take(
            dir,
            FlockOperation::NonBlockingLockShared,
            "the store is being tidied (`ferry storage maintain`)",
        )
    }

    /// Nobody copies while this is held.
    ///
    /// # Errors
    /// `Owned` while a backup is made.
    pub(super) fn alone(dir: &Path) -> Result<Pin> {
        take(
            dir,
            FlockOperation::NonBlockingLockExclusive,
            "a backup is being made, or the store is tidied already",
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
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::new(ErrorKind::Owned, "lock objects")
            .message(busy)
            .later()
            .help("repeat it in a while")),
        Err(error) => Err(failed(error.into())),
    }
}
