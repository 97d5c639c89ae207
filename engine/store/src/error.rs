//! The errors of a store.

use std::fmt;

use ferry_engine_core::error;

/// The kinds of store error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The requested item does not exist.
    NotFound,
    /// The name matches more than one item.
    Ambiguous,
    /// An item of that name exists already.
    Exists,
    /// The row changed since it was read.
    Conflict,
    /// A rule of the store forbids it, such as a link's degree or an unknown object.
    Rule,
    /// A computer's limit leaves no room for another job.
    Limit,
    /// The disk is full.
    Full,
    /// The store can't be written.
    ReadOnly,
    /// The file is damaged, or is not a ferry store.
    Corrupt,
    /// A newer ferry created it.
    Newer,
    /// An older ferry created it, and no owner has migrated it yet.
    Older,
    /// The store is on a file system where locks can't be trusted.
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
            ErrorKind::Limit => "a limit is reached",
            ErrorKind::Full => "no space left on the disk of the store",
            ErrorKind::ReadOnly => "the store can't be written to",
            ErrorKind::Corrupt => "the store is damaged",
            ErrorKind::Newer => "the store is newer than this ferry",
            ErrorKind::Older => "the store is older than this ferry",
            ErrorKind::NetworkFileSystem => "the store is on a network file system",
            ErrorKind::Owned => "the profile is in use",
            ErrorKind::Fenced => "another owner has taken over the store",
            ErrorKind::Other => "failed",
        })
    }
}

/// A store's error. A type of its own, and no alias, so that SQLite's errors can become one.
pub struct Error(error::Error<ErrorKind>);
/// A store's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Advice for a damaged store.
pub(super) const DAMAGED: &str = "`ferry storage check` shows what is damaged and what is intact; then restore a \
     backup (made by `ferry storage backup`), or move the profile away and start a new one";
/// Advice for a full disk.
const FULL: &str = "free some space, then try again; all stored data are intact";
/// Advice for a disk that can't be written.
const READ_ONLY: &str = "the file system or the permissions of the profile's directory forbid writing: make it writable for this user";

impl std::ops::Deref for Error {
    type Target = error::Error<ErrorKind>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Error::new(kind_of(&source), "store").source(source).advised()
    }
}

fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    use rusqlite::{Error as E, ErrorCode as Code};
    match error {
        E::QueryReturnedNoRows => ErrorKind::NotFound,
        // All values were written by ferry, so one that can't be read was damaged.
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::InvalidColumnType(..)
        | E::Utf8Error(..) => ErrorKind::Corrupt,
        E::SqliteFailure(failure, _) => match failure.code {
            Code::DiskFull => ErrorKind::Full,
            Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen => ErrorKind::ReadOnly,
            Code::DatabaseCorrupt | Code::NotADatabase => ErrorKind::Corrupt,
            Code::ConstraintViolation => ErrorKind::Rule,
            _ => ErrorKind::Other,
        },
        _ => ErrorKind::Other,
    }
}

/// As those of [`error::Error`].
impl Error {
    /// Returns an error of `kind` during `operation`: not worth retrying and without effect, unless said otherwise.
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Error(error::Error::new(kind, operation))
    }

    /// Says in words what happened.
    #[must_use]
    pub fn message(self, message: impl Into<String>) -> Self {
        Error(self.0.message(message))
    }

    /// Adds where or with what it happened.
    #[must_use]
    pub fn with(self, key: &'static str, value: impl fmt::Display) -> Self {
        Error(self.0.with(key, value))
    }

    /// Adds the next step for a person.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Error(self.0.help(help))
    }

    /// Says that trying again may help.
    #[must_use]
    pub fn later(self) -> Self {
        Error(self.0.later())
    }

    /// Says that it may have happened all the same.
    #[must_use]
    pub fn effect_unknown(self) -> Self {
        Error(self.0.effect_unknown())
    }

    /// Adds the cause.
    #[must_use]
    pub fn source(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error(self.0.source(source))
    }

    /// The store error for an I/O error on `path`.
    pub fn from_io(operation: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::Full,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            _ => ErrorKind::Other,
        };
        Error::new(kind, operation).with("path", path.display()).source(source).advised()
    }

    /// Adds the advice for its kind.
    fn advised(self) -> Self {
        match self.kind() {
            ErrorKind::Full => self.later().help(FULL),
            ErrorKind::ReadOnly => self.help(READ_ONLY),
            ErrorKind::Corrupt => self.help(DAMAGED),
            _ => self,
        }
    }
}
