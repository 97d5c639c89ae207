//! Conversion of SFTP's few status codes to the transport's errors.
//!
//! Version 3 returns "failure" for most errors, and "no such file" for some others. So the path is looked at again
//! to find out the cause.

use std::{io, path::Path};

use ferry_engine_core::transport::{Error, ErrorKind, FileKind, Metadata, Result};

use crate::sftp::{LSTAT, STAT, Sftp, Status};

/// Returns the transport's error for a status during `operation` on `path`.
pub(crate) fn fault(operation: &'static str, path: &Path, status: Status) -> Error {
    let kind = match status.code {
        Status::NO_SUCH_FILE => ErrorKind::NotFound,
        Status::PERMISSION_DENIED => ErrorKind::PermissionDenied,
        Status::BAD_MESSAGE => ErrorKind::InvalidPath,
        Status::UNSUPPORTED => ErrorKind::Unsupported,
        _ => ErrorKind::Other,
    };
    let error = Error::new(kind, operation).with("path", path.display());
    match kind {
        ErrorKind::Other => error.source(io::Error::other(status.message)).later(),
        _ => error,
    }
}

/// Names the path in the error of a request that was not answered.
pub(crate) fn named(error: Error, path: &Path) -> Error {
    match error.kind() {
        ErrorKind::Stalled | ErrorKind::Interrupted => error.with("path", path.display()),
        _ => error,
    }
}

/// Returns an error that a look at the path has explained.
pub(crate) fn is(kind: ErrorKind, operation: &'static str, path: &Path) -> Error {
    Error::new(kind, operation).with("path", path.display())
}

/// Explains a status by the file at the path, not following a link. If `explain` returns `None`, the status
/// stands.
///
/// # Errors
/// The explained error, always; those of the look.
pub(crate) async fn explain<T>(
    sftp: &Sftp,
    operation: &'static str,
    path: &Path,
    status: Status,
    explain: impl FnOnce(&Metadata) -> Option<ErrorKind>,
) -> Result<T> {
    if matches!(status.code, Status::FAILURE | Status::NO_SUCH_FILE | Status::PERMISSION_DENIED)
        && let Ok(facts) = sftp.facts(operation, LSTAT, path).await?
        && let Some(kind) = explain(&facts)
    {
        return Err(is(kind, operation, path));
    }
    Err(fault(operation, path, status))
}

/// Explains why a file can't be written into a directory.
///
/// # Errors
/// The explained error, always.
pub(crate) async fn explain_parent<T>(
    sftp: &Sftp,
    operation: &'static str,
    path: &Path,
    status: Status,
) -> Result<T> {
    if let Some(parent) = path.parent()
        && status.code == Status::NO_SUCH_FILE
        && let Ok(facts) = sftp.facts(operation, STAT, parent).await?
        && facts.kind != FileKind::Dir
    {
        return Err(is(ErrorKind::NotADirectory, operation, parent));
    }
    if status.code == Status::FAILURE && is_full(sftp, operation, path).await {
        return Err(is(ErrorKind::StorageFull, operation, path).later());
    }
    Err(fault(operation, path, status))
}

/// Returns whether the file system of a path has no room left.
async fn is_full(sftp: &Sftp, operation: &'static str, path: &Path) -> bool {
    use crate::sftp::{Reply, Request};
    const STATVFS: &str = "statvfs@openssh.com";
    let (Some(parent), true) = (path.parent(), sftp.has(STATVFS)) else { return false };
    let answer = sftp.ask(operation, Request::extended(STATVFS).path(parent)).wait().await;
    // Block size, fragment size, blocks, free, free for us, inodes, free inodes, free inodes for us.
    let number = |bytes: &[u8], index: usize| {
        bytes.get(index * 8..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
    };
    match answer {
        Ok(Reply::Extended(bytes)) => number(&bytes, 4) == Some(0) || number(&bytes, 7) == Some(0),
        _ => false,
    }
}
