//! Access to a computer: the [`Transport`] trait, its commands and its errors.
//!
//! A transport has no working directory and no hidden state: paths are absolute, on the remote side, and every
//! method takes `&self`. It never retries by itself. Implementations live in crates of their own; the published
//! suite in `tests/conformance` checks what they must do.

mod breaker;
mod command;
mod error;
mod login;
mod metadata;
mod path;
mod pattern;
mod pool;
pub mod provided;
mod quote;
pub mod shell;
mod tree;

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use tokio::io::AsyncRead;

pub use breaker::{Breaker, Phase, Trouble};
pub use command::{Command, Output};
pub use error::{Error, ErrorKind, Result};
pub use login::{Asker, Prompt, Question, Secret};
pub use metadata::{Capabilities, Entry, FileKind, Metadata};
pub use path::{check_path, fresh_name};
pub use pattern::Pattern;
pub use pool::{Factory, Setting, Transports};
pub use quote::{quote, quote_os, quote_path};
pub use tree::{Tree, TreeEntry};

pub use crate::computer::{Pace, is_nameless};

/// A callback that gets the number of bytes moved since its last call. The numbers add up to the size of what was
/// moved. It is called from any task, and must be quick.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// A [`Progress`] that reports nothing.
pub const QUIET: Progress<'static> = &|_| {};

/// A stream of bytes from the remote side.
pub type ByteStream = Box<dyn AsyncRead + Send + Unpin>;

/// A connection that runs commands and moves files on one computer as one user.
///
/// Paths are absolute and on the remote side unless called local. All methods may be called at the same time from
/// many tasks; an implementation bounds the number of sessions that it opens.
///
/// # Errors
/// By [`ErrorKind`]. A path that is relative, empty or holds a NUL is `InvalidPath`, a lost connection
/// `Unreachable`. A method that may have acted before it failed says `effect: unknown`.
///
/// # Cancel safety
/// A dropped future leaves no channel, child or half-written target name behind. Its completed work on the remote
/// side stays.
///
/// # Required and provided methods
/// Files and commands are required. The others are [`provided`] over them; override one where you know a faster way.
/// What they promise stays the same.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Runs a command in a process group of its own, and waits for its end. Background children that still hold
    /// its output are not waited for: their output up to then is included, and they live on.
    ///
    /// A non-zero exit status is no error. A program that does not exist gives 127, one that can't be run 126, as
    /// with a shell. Output beyond a bound of at least 64 MiB a stream is dropped, and a last line on stderr says
    /// how much.
    ///
    /// # Errors
    /// `NotFound` or `NotADirectory`, effect none, for the working directory. `Unsupported`, effect none, for a
    /// [`spare`](Command::spare) one where no session is available. `TimedOut`, effect unknown: the command's
    /// whole group was sent TERM, then KILL.
    ///
    /// # Cancel safety
    /// Dropping the future ends the group in the same way, in the background.
    async fn exec(&self, command: &Command) -> Result<Output>;

    /// Returns the metadata of a path, following links.
    ///
    /// # Errors
    /// `NotFound`, also for a link to nowhere.
    async fn stat(&self, path: &Path) -> Result<Metadata>;

    /// Returns the metadata of a path, not following a link in its last name.
    ///
    /// # Errors
    /// `NotFound`.
    async fn lstat(&self, path: &Path) -> Result<Metadata>;

    /// Lists the names in a directory, in no order, without `.` and `..`, dotfiles included.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    async fn list(&self, dir: &Path) -> Result<Vec<Entry>>;

    /// Makes one directory. Its parent must exist; the directory itself must not.
    ///
    /// # Errors
    /// `AlreadyExists` if the path names anything; `NotFound` without a parent.
    async fn mkdir(&self, dir: &Path) -> Result<()>;

    /// Removes a file or a link; the link's target stays.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`.
    async fn remove_file(&self, path: &Path) -> Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotFound`, `NotEmpty`; `NotADirectory`, also for a link to one.
    async fn remove_dir(&self, dir: &Path) -> Result<()>;

    /// Renames within one file system.
    ///
    /// # Errors
    /// `NotFound`. `AlreadyExists` if the target names anything, a link to nowhere and an empty directory
    /// included: nothing is replaced, and a directory is never moved *into* another. `Unsupported` if the target
    /// is on another file system and the remote side says so.
    async fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Makes `link` point to `target`, which is absolute and need not exist.
    ///
    /// # Errors
    /// `AlreadyExists` if `link` names anything.
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
    async fn read(&self, path: &Path, offset: u64) -> Result<ByteStream>;

    /// Writes a whole file under a temporary name, then renames it over the file that was there, if any. A reader
    /// sees the old file or the new one. A link there is itself replaced. Returns the number of bytes written. The
    /// parent must exist.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, and `Other` when `from` fails. After an error the old file is still there, and
    /// no temporary name.
    async fn write(
        &self,
        path: &Path,
        from: &mut (dyn AsyncRead + Send + Unpin),
        executable: bool,
    ) -> Result<u64>;

    /// Returns its optional features; none by default.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Makes a directory and its parents; existing ones, and links to them, are fine. Idempotent.
    ///
    /// # Errors
    /// `AlreadyExists` or `NotADirectory` if a file is in the way.
    async fn mkdirs(&self, dir: &Path) -> Result<()> {
        provided::mkdirs(self, dir).await
    }

    /// Removes a file, a link, or a directory with everything below it, following no link. A missing path is fine,
    /// so it is idempotent.
    async fn remove_tree(&self, path: &Path) -> Result<()> {
        provided::remove_tree(self, path).await
    }

    /// Copies a file or a tree on the remote side: links as links, permission bits kept. The target appears whole
    /// or not at all where the remote side allows.
    ///
    /// # Errors
    /// `AlreadyExists` if the target names anything; `NotFound`, also if the target's parent is missing.
    /// A tree with pipes, sockets or devices in it may be `Unsupported`. Copying a directory into itself fails.
    async fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        provided::copy(self, from, to).await
    }

    /// Writes a tree into the directory `to`, which is made with its parents if needed, and may be reached through
    /// links. Below `to` no link is ever followed. Existing entries stay, except that a file or link is replaced
    /// where the tree names a file or link. Idempotent.
    ///
    /// # Errors
    /// Returns the errors of [`Tree::check`], before anything is written. `NotADirectory` for a file or link where the tree
    /// needs a directory, `IsADirectory` for the converse, `NotFound` for a local file that is missing.
    async fn put_tree(&self, tree: &Tree, to: &Path, progress: Progress<'_>) -> Result<()> {
        provided::put_tree(self, tree, to, progress).await
    }

    /// Fetches files, given as (remote, local) pairs. Local parents are made; each local file or link is replaced
    /// by one rename. Follows links on the remote side, writes plain files. Idempotent.
    ///
    /// # Errors
    /// `NotFound` for a remote file that is missing, `IsADirectory` for a directory on either side, `Unsupported`
    /// for a pipe, socket or device. Files before the failing one may have been fetched.
    async fn get_files(&self, pairs: &[(PathBuf, PathBuf)], progress: Progress<'_>) -> Result<()> {
        provided::get_files(self, pairs, progress).await
    }

    /// Returns the paths that match a pattern, sorted; an empty list if nothing matches or the directory is
    /// missing.
    ///
    /// `*`, `?` and `[..]` (`[!..]` for the others, `[*]` for a star) match within one name. A leading dot must be
    /// written. There is no escape character, and a `[` without its `]` stands for itself. Links are followed on
    /// the way, and match also if they lead nowhere.
    async fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>> {
        provided::glob(self, pattern).await
    }

    /// Returns the user's name on the remote side. It is the number where the user has no name ([`is_nameless`]),
    /// as in a container or while the user directory is down.
    async fn whoami(&self) -> Result<String> {
        provided::whoami(self).await
    }

    /// Returns a local command line that opens an interactive shell in a directory of the remote side; empty, as by
    /// default, if there is no such way.
    fn shell_command(&self, _dir: &Path) -> Vec<OsString> {
        Vec::new()
    }

    /// Ends the connection; later calls are `Unreachable`. Dropping does the same, without waiting.
    async fn close(&self) {}
}
