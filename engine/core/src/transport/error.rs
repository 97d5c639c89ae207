//! A transport's errors: their kinds, and what the operating system's become.

use std::{fmt, path::Path};

use crate::error;

/// Kinds of transport error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such file or directory.
    NotFound,
    /// Something is there already.
    AlreadyExists,
    /// A directory that should be empty is not.
    NotEmpty,
    /// A file where a directory is needed.
    NotADirectory,
    /// A directory where a file is needed.
    IsADirectory,
    /// Permission denied.
    PermissionDenied,
    /// No space left, or a quota is used up.
    StorageFull,
    /// A relative or empty path, or a name that leaves its directory.
    InvalidPath,
    /// The operation took longer than it was given.
    TimedOut,
    /// A path does not answer, while the host answers otherwise: trouble of the process that works there.
    Stalled,
    /// The operation was given up because of another's trouble, and may be tried again at once.
    Interrupted,
    /// The host can't be reached, or the connection was lost: trouble of the host, not of the process.
    Unreachable,
    /// The credentials or the host key were refused. Never retried automatically.
    Authentication,
    /// The server asks a person, and there is none: the user logs in by hand. Never retried automatically.
    NeedsLogin,
    /// The host is known to be in trouble, or is disabled: nothing was tried.
    CircuitOpen,
    /// This transport can't do it.
    Unsupported,
    /// Wrong settings.
    Config,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Guesses the kind from what a program of the far side said in the locale C. It is the last resort, for what no
    /// look at the files can tell: a full disk, a forbidden change.
    pub fn of_text(text: &str) -> Option<ErrorKind> {
        let kinds = [
            ("Permission denied", ErrorKind::PermissionDenied),
            ("Operation not permitted", ErrorKind::PermissionDenied),
            ("Read-only file system", ErrorKind::PermissionDenied),
            ("No space left", ErrorKind::StorageFull),
            ("Disk quota", ErrorKind::StorageFull),
            ("No such file", ErrorKind::NotFound),
            ("into itself", ErrorKind::InvalidPath),
        ];
        kinds.iter().find(|(words, _)| text.contains(words)).map(|(_, kind)| *kind)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::NotFound => "not found",
            ErrorKind::AlreadyExists => "already exists",
            ErrorKind::NotEmpty => "directory not empty",
            ErrorKind::NotADirectory => "not a directory",
            ErrorKind::IsADirectory => "is a directory",
            ErrorKind::PermissionDenied => "permission denied",
            ErrorKind::StorageFull => "no space left",
            ErrorKind::InvalidPath => "invalid path",
            ErrorKind::TimedOut => "timed out",
            ErrorKind::Stalled => "no answer",
            ErrorKind::Interrupted => "interrupted",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Authentication => "authentication failed",
            ErrorKind::NeedsLogin => "needs login",
            ErrorKind::CircuitOpen => "not tried",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Config => "invalid settings",
            ErrorKind::Other => "failed",
        })
    }
}

/// A transport's error.
pub type Error = error::Error<ErrorKind>;
/// A transport's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes the transport error for an I/O error during `operation` on `path`.
    pub fn from_io(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::AlreadyExists => ErrorKind::AlreadyExists,
            Io::DirectoryNotEmpty => ErrorKind::NotEmpty,
            Io::NotADirectory => ErrorKind::NotADirectory,
            Io::IsADirectory => ErrorKind::IsADirectory,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::StorageFull,
            Io::InvalidInput | Io::InvalidFilename => ErrorKind::InvalidPath,
            Io::TimedOut => ErrorKind::TimedOut,
            _ => ErrorKind::Other,
        };
        let error = Error::new(kind, operation).with("path", path.display()).source(source);
        if matches!(kind, ErrorKind::StorageFull | ErrorKind::TimedOut | ErrorKind::Other) {
            error.later()
        } else {
            error
        }
    }
}
