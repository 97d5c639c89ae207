//! Reading a file as a stream: no more of it is held than was asked for.

use std::{
    future::poll_fn,
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::mpsc,
};

use super::{
    framing::Ending,
    run::{Ended, Run},
    script::Job,
    sessions::{self, Sessions},
    text,
};
use crate::transport::{ByteStream, Result};

const READ: &str = "read";
/// A stream has no time-out of its own; its reader has.
const NEVER: Duration = Duration::MAX;

/// Opens a file for reading from `offset`.
pub(super) async fn open(sessions: &Sessions, path: &Path, offset: u64) -> Result<ByteStream> {
    // The first byte is number one. `tail` counts with signed numbers.
    let first = offset.min(i64::MAX as u64 - 1) + 1;
    let job = Job::text(text::READ, [path.as_os_str(), first.to_string().as_ref()], NEVER);
    let permit = sessions.permit(READ, true).await?;
    let (_, nothing) = mpsc::channel(1);
    let run = Run::start(&sessions.shell, &job, nothing, Some(permit)).await;
    let mut open = Open { run: Some(run.map_err(|error| error.during(READ))?), bytes: Vec::new(), at: 0 };
    let ended = poll_fn(|context| open.poll_more(context)).await;
    if open.bytes.first() == Some(&b'+') {
        open.at = 1;
        return Ok(Box::new(open));
    }
    let Some(run) = open.run.take() else { return Ok(Box::new(tokio::io::empty())) };
    let (stdout, stderr) = (run.stdout, run.stderr);
    let output = sessions::output(READ, &job, ended.unwrap_or(Ended::Lost), stdout, stderr)?;
    Err(text::fault(READ, path, &output))
}

/// An open file.
struct Open {
    /// The session; `None` once it has ended.
    run: Option<Run>,
    bytes: Vec<u8>,
    at: usize,
}

impl Open {
    /// Waits for more bytes, or for the end.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Option<Ended>> {
        let Some(run) = &mut self.run else { return Poll::Ready(None) };
        loop {
            self.bytes = run.stdout.take();
            self.at = 0;
            if !self.bytes.is_empty() {
                return Poll::Ready(None);
            }
            if run.poll_over(context).is_pending() && run.poll_io(context) {
                continue;
            }
            return run.poll_over(context).map(Some);
        }
    }
}

impl AsyncRead for Open {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at == self.bytes.len() {
            let ended = std::task::ready!(self.poll_more(context));
            if let Some(ended) = ended {
                self.run = None;
                return Poll::Ready(match ended {
                    Ended::Marked(Ending::Status(0)) => Ok(()),
                    _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was cut off on its way")),
                });
            }
        }
        let more = (self.bytes.len() - self.at).min(buffer.remaining());
        let at = self.at;
        buffer.put_slice(&self.bytes[at..at + more]);
        self.at += more;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(run) = self.run.take()
            && run.stdout.ending().is_none()
        {
            run.abandon();
        }
    }
}
