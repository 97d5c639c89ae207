//! Writing one file from a stream, whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use ferry_engine_core::transport::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    errors::At,
    temp_file::{TempFile, mode},
    work,
};

const WRITE: &str = "write";
/// Bytes that are written at once: each write is a job for another thread.
const CHUNK: usize = 256 << 10;

/// Writes all of `from` to `path`; returns the number of bytes.
pub(crate) async fn write(
    path: &Path,
    from: &mut (dyn AsyncRead + Send + Unpin),
    executable: bool,
) -> Result<u64> {
    let target: Arc<Path> = path.into();
    let (temp, file) = job(&target, move |target| begin(target, executable)).await?;
    let (mut total, mut chunk) = (0, Vec::with_capacity(CHUNK));
    while fill(from, &mut chunk).await.map_err(|error| unread(path, error))? {
        total += chunk.len() as u64;
        let file = file.clone();
        chunk = job(&target, move |_| (&*file).write_all(&chunk).map(|()| chunk)).await?;
    }
    job(&target, |target| temp.replace(target)).await?;
    Ok(total)
}

async fn job<T: Send + 'static>(
    target: &Arc<Path>,
    job: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let target = target.clone();
    work::quick(WRITE, move || job(&target).at(WRITE, &target)).await
}

fn begin(target: &Path, executable: bool) -> io::Result<(TempFile, Arc<File>)> {
    // The rename at the end would refuse it too, but only after all the bytes.
    if fs::symlink_metadata(target).is_ok_and(|metadata| metadata.is_dir()) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let temp = TempFile::of(target);
    let file = temp.create(mode(executable))?;
    Ok((temp, Arc::new(file)))
}

/// Fills an emptied chunk; returns false at the end of the stream.
async fn fill(from: &mut (dyn AsyncRead + Send + Unpin), chunk: &mut Vec<u8>) -> io::Result<bool> {
    chunk.clear();
    let mut rest = from.take(CHUNK as u64);
    while rest.read_buf(chunk).await? > 0 {}
    Ok(!chunk.is_empty())
}

fn unread(path: &Path, error: io::Error) -> Error {
    let unread = Error::new(ErrorKind::Other, WRITE).message("the data to write could not be read");
    unread.with("path", path.display()).source(error)
}
