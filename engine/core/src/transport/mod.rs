//! How ferry reaches a computer: the [`Transport`] trait, its commands and its errors.
//!
//! A transport has no working directory and no hidden state: paths are absolute, on the far side, and every
//! method takes `&self`. It never retries by itself. Implementations live in crates of their own; the
//! published suite in `tests/conformance` says what they must do.

mod breaker;
mod command;
mod path;
mod pattern;
mod pool;
mod quote;
mod tree;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use async_trait::async_trait;
use tokio::io::AsyncRead;

pub use breaker::{Breaker, Pace, Phase, Trouble};
pub use command::{Command, Output};
pub use path::{check_path, fresh_name};
pub use pattern::Pattern;
pub use pool::{Factory, Setting, Transports};
pub use quote::{quote, quote_path};
pub use tree::{Tree, TreeEntry};

use crate::error;

/// Whether what [`Transport::whoami`] gave is a number, since the user has no name there.
pub fn is_nameless(user: &str) -> bool {
    !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit())
}

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
    /// The host can't be reached, or the connection was lost: the host's trouble, not the process's.
    Unreachable,
    /// The credentials or the host key were refused; never retried by itself.
    Authentication,
    /// The host is known to be in trouble, or was disabled: nothing was tried.
    CircuitOpen,
    /// This transport can't do it.
    Unsupported,
    /// Wrong settings.
    Config,
    /// Anything else.
    Other,
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
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Authentication => "authentication failed",
            ErrorKind::CircuitOpen => "not tried",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Config => "wrong settings",
            ErrorKind::Other => "failed",
        })
    }
}

/// A transport's error.
pub type Error = error::Error<ErrorKind>;
/// A transport's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The transport error for an I/O error during `operation` on `path`.
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

/// What a transport can do beyond the required.
#[derive(Debug, Clone, Copy, Default)]
pub struct Capabilities {
    /// Commands run on this very machine, so local tools may look at its children and files.
    pub is_local: bool,
    /// [`Transport::rename`] refuses an existing target atomically.
    pub atomic_no_replace: bool,
    /// Names need not be UTF-8.
    pub any_bytes_in_names: bool,
}

/// What kind of thing a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A pipe, socket or device.
    Other,
}

/// Facts about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Permission bits, `0o7777` at the most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification, by the far side's clock.
    pub modified: SystemTime,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name alone.
    pub name: std::ffi::OsString,
    /// Facts, without following a link.
    pub metadata: Metadata,
}

/// Told how many bytes went over since it was last told; the calls add up to the size of what was moved.
/// Called from any task; must be quick.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// A [`Progress`] that tells nobody.
pub const QUIET: Progress<'static> = &|_| {};

/// What a stream from the far side is.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// A way to run commands and move files on one computer as one user.
///
/// Paths are absolute and on the far side unless called local. All methods may be called at the same time
/// from many tasks; an implementation bounds what it opens.
///
/// # Errors
/// By [`ErrorKind`]; a path that is relative, empty or holds a NUL is `InvalidPath`, a lost connection
/// `Unreachable`. A method that may have acted before it failed says `effect: unknown`.
///
/// # Cancel safety
/// A dropped future leaves no channel, child or half-written target name behind; what it had already done on
/// the far side stays done.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// What it can do beyond the required.
    fn capabilities(&self) -> Capabilities;

    /// Runs a command and waits for its end, in a process group of its own. The end is the command's, not
    /// that of background children which still hold its output: what they had written by then is included,
    /// and they live on.
    ///
    /// A non-zero exit status is no error. A program that is not there gives 127, one that can't be run 126,
    /// as with a shell. Output beyond a bound of at least 64 MiB a stream is dropped, and a last line on
    /// stderr says how much.
    ///
    /// # Errors
    /// `NotFound` or `NotADirectory`, effect none, for the working directory. `Unsupported`, effect none, for a
    /// [`spare`](Command::spare) one where there is no session to spare. `TimedOut`, effect unknown: the
    /// command's whole group was sent TERM, then KILL.
    ///
    /// # Cancel safety
    /// Dropping the future ends the group in the same way, in the background.
    async fn exec(&self, command: &Command) -> Result<Output>;

    /// Facts about a path, following links.
    ///
    /// # Errors
    /// `NotFound`, also for a link to nowhere.
    async fn stat(&self, path: &Path) -> Result<Metadata>;

    /// Facts about a path, not following a link in its last name.
    ///
    /// # Errors
    /// `NotFound`.
    async fn lstat(&self, path: &Path) -> Result<Metadata>;

    /// The names in a directory, in no order, without `.` and `..`, dotfiles included.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    async fn list(&self, dir: &Path) -> Result<Vec<Entry>>;

    /// Makes one directory; its parent must exist, itself must not.
    ///
    /// # Errors
    /// `AlreadyExists`, whatever is there; `NotFound` without a parent.
    async fn mkdir(&self, dir: &Path) -> Result<()>;

    /// Makes a directory and its parents; existing ones, and links to them, are fine. Idempotent.
    ///
    /// # Errors
    /// `AlreadyExists` or `NotADirectory` if a file is in the way.
    async fn mkdirs(&self, dir: &Path) -> Result<()>;

    /// Removes a file or a link; what the link points to stays.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`.
    async fn remove_file(&self, path: &Path) -> Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotFound`, `NotEmpty`; `NotADirectory`, also for a link to one.
    async fn remove_dir(&self, dir: &Path) -> Result<()>;

    /// Removes whatever is there, with everything below it, following no link. Nothing there is fine, so it
    /// is idempotent.
    async fn remove_tree(&self, path: &Path) -> Result<()>;

    /// Renames within one file system.
    ///
    /// # Errors
    /// `NotFound`. `AlreadyExists` if the target names anything, a link to nowhere and an empty directory
    /// included: nothing is replaced, and a directory is never moved *into* another. `Unsupported` if the
    /// target is on another file system and the far side says so.
    async fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Copies a file or a tree on the far side: links as links, permission bits kept. The target appears whole
    /// or not at all where the far side allows.
    ///
    /// # Errors
    /// `AlreadyExists` if the target names anything; `NotFound`, also if the target's parent is missing.
    /// A tree with pipes, sockets or devices in it may be `Unsupported`. Copying a directory into itself fails.
    async fn copy(&self, from: &Path, to: &Path) -> Result<()>;

    /// Makes `link` point to `target`, which is absolute and need not exist.
    ///
    /// # Errors
    /// `AlreadyExists`, whatever is at `link`.
    async fn symlink(&self, target: &Path, link: &Path) -> Result<()>;

    /// Sets the permission bits, following links. Idempotent.
    ///
    /// # Errors
    /// `NotFound`.
    async fn chmod(&self, path: &Path, mode: u32) -> Result<()>;

    /// Opens a file for reading from `offset`, following links. Beyond the end, the stream is empty.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`; a pipe, socket or device is `Unsupported`.
    async fn read(&self, path: &Path, offset: u64) -> Result<Reader>;

    /// Writes a file whole, under a temporary name, then renames it over whatever file was there: a reader
    /// sees the old file or the new one. A link there is itself replaced. Returns the bytes written. The
    /// parent must exist.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, and `Other` when `from` fails; after an error the old file is still there,
    /// and no temporary name.
    async fn write(
        &self,
        path: &Path,
        from: &mut (dyn AsyncRead + Send + Unpin),
        executable: bool,
    ) -> Result<u64>;

    /// Writes a tree into the directory `to`, which is made with its parents if needed, and may be reached
    /// through links. Below `to` no link is ever followed. What is there already stays; a file or link that
    /// the tree names as file or link is replaced. Idempotent.
    ///
    /// # Errors
    /// Those of [`Tree::check`], before anything is written. `NotADirectory` for a file or link where the tree
    /// needs a directory, `IsADirectory` for the converse, `NotFound` for a local file that is missing.
    async fn put_tree(&self, tree: &Tree, to: &Path, progress: Progress<'_>) -> Result<()>;

    /// Fetches files, given as (far, local) pairs. Local parents are made, a local file or link is replaced,
    /// each by one rename. Follows links on the far side, writes plain files. Idempotent.
    ///
    /// # Errors
    /// `NotFound` for a far file that is missing, `IsADirectory` for a directory on either side, `Unsupported`
    /// for a pipe, socket or device. Files before the failing one may have been fetched.
    async fn get_files(&self, pairs: &[(PathBuf, PathBuf)], progress: Progress<'_>) -> Result<()>;

    /// The paths that match a pattern, sorted. `*`, `?` and `[..]` (`[!..]` for the others, `[*]` for a star)
    /// match within one name; a leading dot must be written; there is no escape character, and a `[` that
    /// nothing closes is itself. Links are followed on the way, and match also if they lead nowhere.
    /// Nothing matches, or the directory is missing: an empty list.
    async fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>>;

    /// The user's name on the far side; the number where it has none ([`is_nameless`]), as in a container or while
    /// the users' directory is down.
    async fn whoami(&self) -> Result<String>;

    /// A local command line that opens an interactive shell in a directory of the far side.
    fn shell_command(&self, dir: &Path) -> Vec<String>;

    /// Ends the connection; later calls are `Unreachable`. Dropping does the same, without waiting.
    async fn close(&self) {}
}
