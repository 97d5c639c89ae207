//! A remote file as a stream: read ahead by a task, in order.

use std::{
    collections::VecDeque,
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use ferry_engine_core::transport::{Error, ErrorKind, FileKind, Metadata, Result};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::mpsc,
};

use super::{CHUNK, FLAG_READ, Handle, OPEN, Pending, Reply, Request, STAT, Sftp, Status, odd};
use crate::sftp::errors::fault;

/// Requests ahead. Times [`CHUNK`], this fills a fast line of high latency.
const AHEAD: usize = 64;
/// Answers that are buffered for the reader.
const WAITING: usize = 4;

/// An open remote file.
#[derive(Debug)]
pub(crate) struct FarFile {
    chunks: mpsc::Receiver<Result<Bytes>>,
    current: Bytes,
}

/// Opens a regular file at an offset.
///
/// # Errors
/// `NotFound`, `IsADirectory`; `Unsupported` for a pipe, socket or device.
pub(crate) async fn open(
    sftp: &Arc<Sftp>,
    operation: &'static str,
    path: &Path,
    offset: u64,
) -> Result<(FarFile, Metadata)> {
    // Checked before it is opened: opening a pipe would block the whole session until another process writes to
    // it.
    let facts = sftp.facts(operation, STAT, path).await?.map_err(|status| fault(operation, path, status))?;
    match facts.kind {
        FileKind::File => {}
        FileKind::Dir => {
            return Err(Error::new(ErrorKind::IsADirectory, operation).with("path", path.display()));
        }
        _ => {
            return Err(Error::new(ErrorKind::Unsupported, operation)
                .message("a pipe, socket or device, not a file")
                .with("path", path.display()));
        }
    }
    let request = Request::new(OPEN).path(path).number(FLAG_READ).mode(None);
    let handle = sftp.handle(operation, request).await?.map_err(|status| fault(operation, path, status))?;
    let (sender, chunks) = mpsc::channel(WAITING);
    let (next, end) = (offset.min(facts.size), facts.size);
    let ahead = ReadAhead { handle, operation, next, end, went_beyond: false, queue: VecDeque::new() };
    tokio::spawn(ahead.run(sender));
    Ok((FarFile { chunks, current: Bytes::new() }, facts))
}

/// A task that reads ahead of its reader.
struct ReadAhead {
    handle: Handle,
    operation: &'static str,
    /// Offset of the next request.
    next: u64,
    /// Length of the file when it was opened. It may have grown since, so one request goes beyond.
    end: u64,
    went_beyond: bool,
    queue: VecDeque<(u64, u32, Pending)>,
}

impl ReadAhead {
    /// Sends chunks until the end of the file, an error, or the end of the reader.
    async fn run(mut self, sender: mpsc::Sender<Result<Bytes>>) {
        loop {
            let chunk = tokio::select! {
                chunk = self.chunk() => chunk,
                () = sender.closed() => return,
            };
            let Some(chunk) = chunk.transpose() else { return };
            let is_last = chunk.is_err();
            if sender.send(chunk).await.is_err() || is_last {
                return;
            }
        }
    }

    /// Returns the next bytes; `None` at the end.
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.fill().await;
        let Some((offset, asked, pending)) = self.queue.pop_front() else { return Ok(None) };
        match pending.wait().await? {
            Reply::Data(data) if data.len() > asked as usize || data.is_empty() => Err(odd(self.operation)),
            Reply::Data(data) => {
                if data.len() < asked as usize {
                    self.ask_again(offset + data.len() as u64);
                }
                Ok(Some(data))
            }
            Reply::Status(status) if status.code == Status::EOF && offset < self.end => {
                let message =
                    format!("the file ends at byte {offset}, but has {} bytes by its metadata", self.end);
                Err(Error::new(ErrorKind::Other, self.operation).message(message).later())
            }
            Reply::Status(status) if status.code == Status::EOF => Ok(None),
            Reply::Status(status) => {
                Err(Error::new(ErrorKind::Other, self.operation).message(status.message).later())
            }
            _ => Err(odd(self.operation)),
        }
    }

    /// Keeps requests in flight: for all that the file is known to have, and one beyond.
    async fn fill(&mut self) {
        while self.queue.len() < AHEAD && (self.next < self.end || !self.went_beyond || self.queue.is_empty())
        {
            let known = self.end.saturating_sub(self.next).min(CHUNK as u64) as u32;
            let wanted = if known == 0 { CHUNK as u32 } else { known };
            self.went_beyond |= known == 0;
            let pending = self.handle.read(self.operation, self.next, wanted).await;
            self.queue.push_back((self.next, wanted, pending));
            self.next = self.next.saturating_add(wanted.into());
        }
    }

    /// Restarts after a short answer, which is no sign of the end. Answers to later requests are discarded.
    fn ask_again(&mut self, offset: u64) {
        self.queue.clear();
        self.next = offset;
    }
}

impl AsyncRead for FarFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.current.is_empty() {
            match ready!(self.chunks.poll_recv(context)) {
                Some(Ok(bytes)) => self.current = bytes,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.current.len().min(buffer.remaining());
        buffer.put_slice(&self.current[..length]);
        self.current.advance(length);
        Poll::Ready(Ok(()))
    }
}
