//! Writing a file from a stream, whole or not at all.
//!
//! The far side can't tell the end of a stream from its loss. So a file is put in place only when it has the size
//! that was sent: at once if the size is known beforehand, and by a second session otherwise.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
};

use super::{
    run::Run,
    script::Job,
    sessions::{self, Sessions},
    text,
};
use crate::transport::{Command, Error, ErrorKind, Output, Result, fresh_name};

const WRITE: &str = "write";
/// Bytes of a piece. A file below this size is sent at once.
const PIECE: usize = 256 << 10;
/// Pieces that wait to be sent.
const PIECES: usize = 4;
/// Most time that sending a file may take.
const PATIENCE: Duration = Duration::from_secs(6 * 60 * 60);

/// Writes all of `from` to `path`; returns the number of bytes.
pub(super) async fn write(
    sessions: &Arc<Sessions>,
    path: &Path,
    from: &mut (dyn AsyncRead + Send + Unpin),
    executable: bool,
) -> Result<u64> {
    let unread = |error| {
        let unread = Error::new(ErrorKind::Other, WRITE).message("the data to write could not be read");
        unread.with("path", path.display()).source(error)
    };
    let first = piece(from).await.map_err(unread)?;
    let temp = path.with_file_name(fresh_name());
    let program = if executable { "x" } else { "" };
    if first.len() < PIECE {
        let (sender, receiver) = mpsc::channel(1);
        let size = first.len();
        // The queue is empty and takes one.
        let _ = sender.try_send(first);
        drop(sender);
        let size_text = size.to_string();
        let words: [&OsStr; 4] = [path.as_ref(), temp.as_ref(), size_text.as_ref(), program.as_ref()];
        let output = sessions.run(WRITE, &Job::text(text::WRITE, words, PATIENCE), receiver).await?;
        return ended(path, &output).map(|()| size as u64);
    }
    let temp = TempFile { sessions: sessions.clone(), path: Some(temp) };
    let total = match stream(sessions, path, temp.path(), first, from, unread).await {
        Ok(total) => total,
        Err(error) => {
            temp.discard().await;
            return Err(error);
        }
    };
    let total_text = total.to_string();
    let words: [&OsStr; 4] = [path.as_ref(), temp.path().as_ref(), total_text.as_ref(), program.as_ref()];
    sessions.act(WRITE, text::COMMIT, &words, PATIENCE).await?;
    temp.keep();
    Ok(total)
}

/// Sends a first piece and the rest of a stream into the temporary file; returns the number of bytes.
async fn stream(
    sessions: &Sessions,
    path: &Path,
    temp: &Path,
    first: Vec<u8>,
    from: &mut (dyn AsyncRead + Send + Unpin),
    unread: impl Fn(io::Error) -> Error,
) -> Result<u64> {
    let (sender, receiver) = mpsc::channel(PIECES);
    let permit = sessions.permit(WRITE, false).await?;
    let job = Job::text(text::TEMP_FILE, [path, temp], PATIENCE);
    let run = Run::start(&sessions.shell, &job, receiver, Some(permit)).await;
    let done = run.map_err(|error| error.during(WRITE))?.finish(job.timeout);
    let sent = send(sender, first, from).await;
    let lost = |_| Error::new(ErrorKind::Other, WRITE).message("its task was lost");
    let (how, stdout, stderr) = done.await.map_err(lost)?;
    let total = sent.map_err(unread)?;
    ended(path, &sessions::output(WRITE, &job, how, stdout, stderr)?)?;
    Ok(total)
}

/// Sends until the end of the stream, or until the far side takes no more: its status says why.
async fn send(
    sender: mpsc::Sender<Vec<u8>>,
    mut next: Vec<u8>,
    from: &mut (dyn AsyncRead + Send + Unpin),
) -> io::Result<u64> {
    let mut total = 0;
    while !next.is_empty() {
        total += next.len() as u64;
        if sender.send(next).await.is_err() {
            break;
        }
        next = piece(from).await?;
    }
    Ok(total)
}

fn ended(path: &Path, output: &Output) -> Result<()> {
    if output.status == 0 { Ok(()) } else { Err(text::fault(WRITE, path, output)) }
}

/// Reads a whole piece; a shorter one is the last.
async fn piece(from: &mut (dyn AsyncRead + Send + Unpin)) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE);
    let mut rest = from.take(PIECE as u64);
    while rest.read_buf(&mut piece).await? > 0 {}
    Ok(piece)
}

/// A temporary file on the far side. If it is dropped unpublished, it is removed in the background.
struct TempFile {
    sessions: Arc<Sessions>,
    path: Option<PathBuf>,
}

impl TempFile {
    fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new("/"))
    }

    fn keep(mut self) {
        self.path = None;
    }

    /// Removes it at once. If that fails, it is tried again in the background.
    async fn discard(self) {
        let words = [self.path().as_os_str()];
        if self.sessions.act(WRITE, text::DISCARD, &words, Command::TIMEOUT).await.is_ok() {
            self.keep();
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let Some(path) = self.path.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let sessions = self.sessions.clone();
        runtime.spawn(async move {
            // A leftover is hidden and harmless.
            let _ = sessions.act(WRITE, text::DISCARD, &[path.as_os_str()], Command::TIMEOUT).await;
        });
    }
}
