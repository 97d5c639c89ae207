//! The sessions of one transport: how many may be open, and what came of each.

use std::{
    ffi::OsStr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    Shell,
    framing::{self, Ending, Stream},
    run::{Ended, Run},
    script::Job,
    text,
};
use crate::transport::{Error, ErrorKind, Output, Result};

/// Most sessions at a time by default; and most open readers, which are counted apart, so that none who holds one waits
/// for another's.
pub(super) const SESSIONS: usize = 16;

/// The state that the operations share.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) shell: Arc<dyn Shell>,
    working: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    /// Sessions that are kept free of commands that wait for long.
    spare: usize,
    is_closed: AtomicBool,
}

impl Sessions {
    pub(super) fn new(shell: Arc<dyn Shell>, working: usize, reading: usize) -> Self {
        Sessions {
            shell,
            working: Arc::new(Semaphore::new(working)),
            reading: Arc::new(Semaphore::new(reading)),
            spare: working / 2,
            is_closed: AtomicBool::new(false),
        }
    }

    /// Refuses everything from now on.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    pub(super) fn check(&self, operation: &'static str) -> Result<()> {
        if !self.is_closed.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unreachable, operation).message("the connection was closed").later())
    }

    /// Waits for a session.
    pub(super) async fn permit(&self, operation: &'static str, reads: bool) -> Result<OwnedSemaphorePermit> {
        self.check(operation)?;
        let of = if reads { &self.reading } else { &self.working };
        let lost = |_| Error::new(ErrorKind::Unreachable, operation).message("the connection was closed");
        of.clone().acquire_owned().await.map_err(lost)
    }

    /// Returns whether a command that waits for long would leave enough for all others.
    pub(super) fn has_spare(&self) -> bool {
        self.working.available_permits() > self.spare
    }

    /// Runs a job to its end.
    ///
    /// # Errors
    /// Returns those of [`Transport::exec`](super::super::Transport::exec).
    pub(super) async fn run(
        &self,
        operation: &'static str,
        job: &Job,
        input: mpsc::Receiver<Vec<u8>>,
    ) -> Result<Output> {
        let permit = self.permit(operation, false).await?;
        let run = Run::start(&self.shell, job, input, Some(permit)).await;
        let run = run.map_err(|error| error.during(operation))?;
        match run.finish(job.timeout).await {
            Ok((ended, stdout, stderr)) => output(operation, job, ended, stdout, stderr),
            Err(_) => {
                Err(Error::new(ErrorKind::Other, operation).message("its task was lost").effect_unknown())
            }
        }
    }

    /// Runs a text on paths and words, the first of them the path that errors name.
    ///
    /// # Errors
    /// By the text's exit code.
    pub(super) async fn act(
        &self,
        operation: &'static str,
        text: &'static str,
        words: &[&OsStr],
        timeout: Duration,
    ) -> Result<Output> {
        let job = Job::text(text, words, timeout);
        let (_, nothing) = mpsc::channel(1);
        let output = self.run(operation, &job, nothing).await?;
        let path = words.first().map_or(Path::new("/"), Path::new);
        if output.status == 0 { Ok(output) } else { Err(text::fault(operation, path, &output)) }
    }
}

/// Returns the result of a run.
pub(super) fn output(
    operation: &'static str,
    job: &Job,
    ended: Ended,
    stdout: Stream,
    stderr: Stream,
) -> Result<Output> {
    let failed = |kind, message: String| Error::new(kind, operation).message(message);
    let dir = |kind| {
        let dir = job.cwd.as_deref().unwrap_or(Path::new(""));
        Err(Error::new(kind, operation).with("path", dir.display()))
    };
    match ended {
        Ended::Marked(Ending::Status(status)) | Ended::Killed(status) => {
            Ok(framing::output(status, stdout, stderr))
        }
        Ended::Marked(Ending::MissingDir) => dir(ErrorKind::NotFound),
        Ended::Marked(Ending::FileForDir) => dir(ErrorKind::NotADirectory),
        Ended::Marked(Ending::DeniedDir) => dir(ErrorKind::PermissionDenied),
        Ended::TimedOut => {
            let message = format!("did not end within {:?} and was killed", job.timeout);
            let error = failed(ErrorKind::TimedOut, message).with("command", job.shown());
            let error = error.later().effect_unknown();
            let said = stderr.tail();
            Err(if said.is_empty() { error } else { error.with("stderr", said) })
        }
        Ended::NeverBegan(status) => Err(never_began(operation, status, &stdout, &stderr)),
        Ended::Lost => {
            let lost = failed(ErrorKind::Unreachable, "the session ended without an exit status".to_owned());
            Err(lost.with("command", job.shown()).later().effect_unknown())
        }
    }
}

/// Returns the error for a session that ran nothing: its program is not there, or was not let in.
pub(super) fn never_began(
    operation: &'static str,
    status: Option<i32>,
    stdout: &Stream,
    stderr: &Stream,
) -> Error {
    let how = status.map_or_else(|| "it was lost".to_owned(), |status| format!("it ended with {status}"));
    let error = Error::new(ErrorKind::Unreachable, operation)
        .message(format!("no shell started on the computer: {how}"))
        .later();
    let said = [stderr.tail(), stdout.tail()].join(" ");
    if said.trim().is_empty() { error } else { error.with("it said", said.trim()) }
}
