//! A transport over nothing but a shell on the far side, as `docker exec`, `kubectl exec`, `sudo` or `gsissh` give one.
//!
//! An author writes [`Shell::start`], which starts a program there and hands over its three streams.
//! [`ShellTransport`] makes a whole transport of it, by shell text and the programs of the far side.
//!
//! ```text
//! exec, read, write, stat, ..  -> script, the text to run     -> Shell::start -> docker exec -i NAME /bin/sh
//! Output, ByteStream, Metadata, .. <- framing, read off the streams <-
//! ```
//!
//! # What the far side needs
//! - `/bin/sh` and the utilities of POSIX: `cat`, `chmod`, `cp`, `find`, `id`, `kill`, `ln`, `ls`, `mkdir`, `mv`, `rm`,
//!   `rmdir`, `sleep`, `tail`, `wc`.
//! - A `stat` that knows `-c`, as those of GNU and busybox do. That of BSD and macOS does not, and is refused with
//!   `Unsupported`.
//! - A process group for each session, or a `/proc` to find it in. `docker exec` and a child with a group of its own
//!   have one.
//!
//! Each operation is one session, but for large files, which take two. Kinds of errors come from exit codes of the
//! text itself, which looks at the files; words of the far side decide only about a full disk and a forbidden change.
//!
//! # What is not atomic
//! [`Transport::rename`] refuses an existing target by `mv -n -T`. GNU's does so in one step, others look first.
//! So [`Capabilities`](super::Capabilities) promises nothing.

pub mod framing;
mod pieces;
mod read;
mod run;
pub mod script;
mod sessions;
mod text;
mod transport;
mod write;

use std::{ffi::OsString, fmt, path::Path, pin::Pin};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

pub use transport::ShellTransport;

use super::Result;
#[cfg(doc)]
use super::Transport;

/// A way to start a program on the far side.
#[async_trait]
pub trait Shell: fmt::Debug + Send + Sync + 'static {
    /// Starts a program there. Its words may be joined by blanks only after they were quoted, with
    /// [`quote`](super::quote).
    ///
    /// The program should lead a process group of its own. It may print anything before it begins.
    ///
    /// # Errors
    /// `Unreachable` if the far side can't be reached, `Authentication` if it refuses this user, `Config` for wrong
    /// settings.
    async fn start(&self, words: &[&str]) -> Result<Session>;

    /// Returns the local command line that runs a program there on this terminal, once the program's words are
    /// appended. It is empty, as by default, if there is no such way.
    fn interactive(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the local command line that opens an interactive shell in a directory there; by default made of
    /// [`Shell::interactive`].
    fn shell_in(&self, dir: &Path) -> Vec<OsString> {
        let mut words: Vec<OsString> = self.interactive().into_iter().map(Into::into).collect();
        if !words.is_empty() {
            let script = r#"cd -- "$1" && exec "${SHELL:-sh}" -l"#;
            words.extend(["/bin/sh", "-c", script, "sh"].map(OsString::from));
            words.push(dir.into());
        }
        words
    }

    /// Ends what is shared by the sessions, if anything.
    async fn close(&self) {}
}

/// A program that was started on the far side. It is dropped when nothing more is expected of it.
pub struct Session {
    /// Its standard input; it ends when this is dropped.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Its standard error, with the messages of what brings it here.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Ends with the session: the exit status, 128 + number for a signal, `None` where it is not known. Dropping it
    /// ends this side's program, if one is between.
    pub status: Pin<Box<dyn Future<Output = Option<i32>> + Send>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
