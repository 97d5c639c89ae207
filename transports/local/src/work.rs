//! File work on threads that may block: one job for each request, for any number of files.

use std::io;

use ferry_engine_core::transport::{Error, ErrorKind, Progress, Result};
use tokio::{
    sync::mpsc::{self, UnboundedSender},
    task,
};

/// A job's channel to the future that waits for it. Progress goes out; a closed channel ends the job.
#[derive(Debug)]
pub(crate) struct Line(UnboundedSender<u64>);

impl Line {
    /// Reports bytes that were moved.
    ///
    /// # Errors
    /// `Interrupted` when the future was dropped, so that the job can clean up and end.
    pub(crate) fn moved(&self, bytes: u64) -> io::Result<()> {
        let told = if bytes == 0 { !self.0.is_closed() } else { self.0.send(bytes).is_ok() };
        if told {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::Interrupted, "the operation was cancelled"))
        }
    }

    /// Checks whether the future still waits.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.moved(0)
    }
}

/// Runs a short job. It does not notice when its future is dropped.
pub(crate) async fn quick<T: Send + 'static>(
    operation: &'static str,
    job: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    task::spawn_blocking(job).await.unwrap_or_else(|error| Err(lost(operation, error)))
}

/// Runs a job of any length, and passes its progress on.
pub(crate) async fn long<T: Send + 'static>(
    operation: &'static str,
    progress: Progress<'_>,
    job: impl FnOnce(&Line) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, mut reports) = mpsc::unbounded_channel();
    let job = task::spawn_blocking(move || job(&Line(sender)));
    while let Some(mut bytes) = reports.recv().await {
        while let Ok(more) = reports.try_recv() {
            bytes += more;
        }
        progress(bytes);
    }
    job.await.unwrap_or_else(|error| Err(lost(operation, error)))
}

/// Returns the error for a job that panicked, or that the runtime's end interrupted.
fn lost(operation: &'static str, error: task::JoinError) -> Error {
    Error::new(ErrorKind::Other, operation)
        .message("the file operation was lost")
        .source(error)
        .effect_unknown()
}
