//! What can go wrong with a store.

use std::fmt;

use crate::error;

/// Kinds of store error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked for is not there.
    NotFound,
    /// More than one thing answers to the name.
    Ambiguous,
    /// Something of that name is there already.
    Exists,
    /// The row changed since it was read.
    Conflict,
    /// A rule of the store forbids it: a link's degree, an unknown object.
    Rule,
    /// A computer's limit leaves no room for another job.
    Limit,
    /// The disk is full.
    Full,
    /// The store can't be written.
    ReadOnly,
    /// The file is damaged, or is no store of ferry.
    Corrupt,
    /// A newer ferry made it.
    Newer,
    /// The store lies on a file system that can't lock.
    NetworkFileSystem,
    /// Another process owns it.
    Owned,
    /// Another owner has opened it since.
    Fenced,
    /// Anything else.
    Other,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::NotFound => "not found",
            ErrorKind::Ambiguous => "ambiguous",
            ErrorKind::Exists => "already exists",
            ErrorKind::Conflict => "changed meanwhile",
            ErrorKind::Rule => "not allowed",
            ErrorKind::Limit => "no room under a limit",
            ErrorKind::Full => "no space left on the disk of the store",
            ErrorKind::ReadOnly => "the store can't be written",
            ErrorKind::Corrupt => "the store is damaged",
            ErrorKind::Newer => "the store is newer than this ferry",
            ErrorKind::NetworkFileSystem => "the store is on a network file system",
            ErrorKind::Owned => "the profile is in use",
            ErrorKind::Fenced => "another owner has taken the store over",
            ErrorKind::Other => "failed",
        })
    }
}

/// A store's error.
pub type Error = error::Error<ErrorKind>;
/// A store's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let kind = match &source {
            rusqlite::Error::QueryReturnedNoRows => ErrorKind::NotFound,
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                Code::DiskFull => ErrorKind::Full,
                Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen => ErrorKind::ReadOnly,
                Code::DatabaseCorrupt | Code::NotADatabase => ErrorKind::Corrupt,
                Code::ConstraintViolation => ErrorKind::Rule,
                _ => ErrorKind::Other,
            },
            _ => ErrorKind::Other,
        };
        let error = Error::new(kind, "store").source(source);
        match kind {
            ErrorKind::Full => error.later().help("free some space, then repeat; nothing stored was harmed"),
            ErrorKind::Corrupt => error.help("restore a copy of it, or move it away to begin a new one"),
            _ => error,
        }
    }
}

impl Error {
    /// The store error for an I/O error on `path`.
    pub fn from_io(operation: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::Full,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            _ => ErrorKind::Other,
        };
        let error = Error::new(kind, operation).with("path", path.display()).source(source);
        match kind {
            ErrorKind::Full => error.later().help("free some space, then repeat; nothing stored was harmed"),
            _ => error,
        }
    }
}
