//! Writing one remote file from a stream, whole or not at all.

use std::{collections::VecDeque, path::Path, sync::Arc};

use ferry_engine_core::transport::{Error, ErrorKind, FileKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    files::temp_file::{TempFile, mode},
    sftp::{
        CHUNK, FLAG_NEW, Handle, LSTAT, OPEN, Pending, Reply, Request, Sftp,
        errors::{explain_parent, is},
    },
};

const WRITE: &str = "write";
/// Requests in flight: more than a server's window holds would only wait in our own memory.
const AHEAD: usize = 64;

/// Writes all of `from` to `path`. Returns the number of bytes.
///
/// # Errors
/// Returns the errors of [`Transport::write`](ferry_engine_core::transport::Transport::write).
pub(crate) async fn write(
    sftp: &Arc<Sftp>,
    path: &Path,
    from: &mut (dyn AsyncRead + Send + Unpin),
    executable: bool,
) -> Result<u64> {
    let temp = TempFile::of(sftp, path);
    let mut upload = Upload::begin(sftp, path, &temp, executable).await?;
    let mut chunk = Vec::with_capacity(CHUNK);
    while fill(from, &mut chunk).await.map_err(|error| unread(path, error))? {
        upload.send(&chunk).await?;
    }
    let total = upload.finish().await?;
    temp.replace(WRITE, path).await?;
    Ok(total)
}

/// A temporary file that is being written.
struct Upload<'a> {
    path: &'a Path,
    handle: Handle,
    offset: u64,
    queue: VecDeque<Pending>,
}

impl<'a> Upload<'a> {
    /// Looks at the target and opens the temporary file in one round trip.
    async fn begin(sftp: &Arc<Sftp>, path: &'a Path, temp: &TempFile, executable: bool) -> Result<Self> {
        let target = sftp.ask(WRITE, Request::new(LSTAT).path(path));
        let open = Request::new(OPEN).path(temp.path()).number(FLAG_NEW).mode(Some(mode(executable)));
        let handle = sftp.handle(WRITE, open).await?;
        // The rename at the end would refuse it too, but only after all the bytes.
        if let Reply::Attributes(facts) = target.wait().await?
            && facts.kind == FileKind::Dir
        {
            return Err(is(ErrorKind::IsADirectory, WRITE, path));
        }
        let handle = match handle {
            Ok(handle) => handle,
            Err(status) => return explain_parent(sftp, WRITE, path, status).await,
        };
        Ok(Upload { path, handle, offset: 0, queue: VecDeque::new() })
    }

    async fn send(&mut self, chunk: &[u8]) -> Result<()> {
        while self.queue.len() >= AHEAD {
            self.settle().await?;
        }
        let pending = self.handle.write(WRITE, self.offset, chunk).await;
        self.queue.push_back(pending);
        self.offset += chunk.len() as u64;
        Ok(())
    }

    /// Waits for the oldest answer.
    async fn settle(&mut self) -> Result<()> {
        let Some(pending) = self.queue.pop_front() else { return Ok(()) };
        match pending.done().await? {
            Ok(()) => Ok(()),
            Err(status) => explain_parent(&self.handle.sftp, WRITE, self.path, status).await,
        }
    }

    /// Waits for all answers, and closes the file in the same round trip.
    async fn finish(mut self) -> Result<u64> {
        let queue = std::mem::take(&mut self.queue);
        let Upload { path, handle, offset, .. } = self;
        let sftp = handle.sftp.clone();
        let closed = handle.close(WRITE);
        for pending in queue.into_iter().chain([closed]) {
            if let Err(status) = pending.done().await? {
                return explain_parent(&sftp, WRITE, path, status).await;
            }
        }
        Ok(offset)
    }
}

/// Fills an emptied chunk; returns false at the end of the stream.
pub(crate) async fn fill(
    from: &mut (dyn AsyncRead + Send + Unpin),
    chunk: &mut Vec<u8>,
) -> std::io::Result<bool> {
    chunk.clear();
    let mut rest = from.take(CHUNK as u64);
    while rest.read_buf(chunk).await? > 0 {}
    Ok(!chunk.is_empty())
}

fn unread(path: &Path, error: std::io::Error) -> Error {
    let unread = Error::new(ErrorKind::Other, WRITE).message("the data to write could not be read");
    unread.with("path", path.display()).source(error)
}
