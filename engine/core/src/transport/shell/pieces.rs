//! Reading a file piece by piece. The next piece is on its way while the last one is read.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    task::JoinHandle,
};

use super::{sessions::Sessions, text};
use crate::transport::{ByteStream, Error, Result};

const READ: &str = "read";
/// Bytes of a piece, of which two are kept at most.
const PIECE: u64 = 4 << 20;
/// Most time that a piece may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Opens a file for reading from `offset`.
pub(super) async fn open(sessions: &Arc<Sessions>, path: &Path, offset: u64) -> Result<ByteStream> {
    // The first byte is number one. `tail` counts with signed numbers.
    let next = offset.min(i64::MAX as u64 - PIECE) + 1;
    let mut pieces = Pieces {
        sessions: sessions.clone(),
        path: path.to_owned(),
        next,
        piece: Vec::new(),
        at: 0,
        coming: None,
    };
    pieces.take(fetch(sessions, path, next).await?);
    Ok(Box::new(pieces))
}

/// An open file.
struct Pieces {
    sessions: Arc<Sessions>,
    path: PathBuf,
    /// Number of the first byte after the piece.
    next: u64,
    piece: Vec<u8>,
    at: usize,
    /// The next piece; `None` after the last.
    coming: Option<JoinHandle<Result<Vec<u8>>>>,
}

async fn fetch(sessions: &Sessions, path: &Path, first: u64) -> Result<Vec<u8>> {
    let (first, most) = (first.to_string(), PIECE.to_string());
    let words = [path.as_os_str(), first.as_ref(), most.as_ref()];
    let output = sessions.act(READ, text::READ_PIECE, &words, PATIENCE).await?;
    let mut bytes = output.stdout;
    // The plus says that the file was opened.
    bytes.drain(..bytes.len().min(1));
    Ok(bytes)
}

impl Pieces {
    /// Takes a piece in, and asks for the next one. A short one is the last.
    fn take(&mut self, piece: Vec<u8>) {
        self.next += piece.len() as u64;
        if piece.len() as u64 == PIECE {
            let (sessions, path, next) = (self.sessions.clone(), self.path.clone(), self.next);
            self.coming = Some(tokio::spawn(async move { fetch(&sessions, &path, next).await }));
        }
        (self.piece, self.at) = (piece, 0);
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at == self.piece.len() {
            let Some(coming) = &mut self.coming else { return Poll::Ready(Ok(())) };
            let came = std::task::ready!(Pin::new(coming).poll(context));
            self.coming = None;
            let piece = came.map_err(io::Error::other)?.map_err(|error: Error| io::Error::other(error))?;
            self.take(piece);
        }
        let more = (self.piece.len() - self.at).min(buffer.remaining());
        buffer.put_slice(&self.piece[self.at..self.at + more]);
        self.at += more;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if let Some(coming) = &self.coming {
            coming.abort();
        }
    }
}
