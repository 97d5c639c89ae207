//! Fetching files: many at once, each into a temporary name, then renamed over a file that is there.
//!
//! Names never come from the remote side, so a server can't redirect a file to another place.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    at_once::{Job, at_once},
    local::{LocalTempFile, blocking, replace_local},
};
use crate::transport::{Error, ErrorKind, Progress, Result, Transport, check_path};

const GET_FILES: &str = "get_files";
/// Files at a time: on a line of high latency, each takes a few round trips.
const AT_ONCE: usize = 64;
/// Files up to this size are written in one go.
const SMALL: u64 = 1 << 20;

/// Implements [`Transport::get_files`] over [`Transport::read`].
///
/// # Errors
/// Returns those of the method.
pub async fn get_files<T: Transport + ?Sized>(
    via: &T,
    pairs: &[(PathBuf, PathBuf)],
    progress: Progress<'_>,
) -> Result<()> {
    for (far, local) in pairs {
        check_path(GET_FILES, far)?;
        check_path(GET_FILES, local)?;
    }
    let jobs = pairs.iter().map(|(far, local)| Box::pin(get(via, far, local, progress)) as Job<'_, ()>);
    let fetched = at_once(AT_ONCE, jobs).await;
    fetched.map(drop).map_err(|error| error.during(GET_FILES).effect_unknown())
}

async fn get<T: Transport + ?Sized>(via: &T, far: &Path, local: &Path, progress: Progress<'_>) -> Result<()> {
    let mut file = via.read(far, 0).await?;
    let unread =
        |error| Error::new(ErrorKind::Other, GET_FILES).with("path", far.display()).source(error).later();
    let mut bytes = Vec::new();
    (&mut file).take(SMALL).read_to_end(&mut bytes).await.map_err(unread)?;
    progress(bytes.len() as u64);
    if (bytes.len() as u64) < SMALL {
        return blocking(GET_FILES, local, move |local| replace_local(local, &bytes)).await;
    }
    let (temp, target) = blocking(GET_FILES, local, LocalTempFile::create).await?;
    let mut target = tokio::fs::File::from_std(target);
    let unwritten = |error| Error::from_io(GET_FILES, local, error);
    while !bytes.is_empty() {
        target.write_all(&bytes).await.map_err(unwritten)?;
        bytes.clear();
        (&mut file).take(SMALL).read_to_end(&mut bytes).await.map_err(unread)?;
        progress(bytes.len() as u64);
    }
    target.flush().await.map_err(unwritten)?;
    blocking(GET_FILES, local, |local| temp.replace(local)).await
}
