//! Fetching files: many at once, each into a temporary name, then renamed over a file that is there.
//!
//! Names never come from the remote side, so a server can't redirect a file to another place.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ferry_engine_core::transport::{Error, ErrorKind, Progress, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
};

use crate::{
    draft::LocalDraft,
    sftp::{Sftp, open_reader},
};

const GET_FILES: &str = "get_files";
/// Files at a time: on a line of high latency, each takes a few round trips.
const AT_ONCE: usize = 64;
/// Files up to this size are written in one go.
const SMALL: u64 = 1 << 20;

/// Fetches (remote, local) pairs.
pub(crate) async fn get_files(
    sftp: &Arc<Sftp>,
    pairs: &[(PathBuf, PathBuf)],
    progress: Progress<'_>,
) -> Result<()> {
    let (sender, mut reports) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let mut rest = pairs.iter();
    loop {
        while tasks.len() < AT_ONCE
            && let Some((far, local)) = rest.next()
        {
            tasks.spawn(get(sftp.clone(), far.clone(), local.clone(), sender.clone()));
        }
        tokio::select! {
            Some(bytes) = reports.recv() => progress(bytes),
            done = tasks.join_next() => match done {
                Some(Ok(fetched)) => fetched?,
                Some(Err(error)) => return Err(lost(error)),
                None => break,
            },
        }
    }
    drop(sender);
    while let Some(bytes) = reports.recv().await {
        progress(bytes);
    }
    Ok(())
}

async fn get(
    sftp: Arc<Sftp>,
    far: PathBuf,
    local: PathBuf,
    report: mpsc::UnboundedSender<u64>,
) -> Result<()> {
    let (mut file, facts) = open_reader(&sftp, GET_FILES, &far, 0).await?;
    let unread =
        |error| Error::new(ErrorKind::Other, GET_FILES).with("path", far.display()).source(error).later();
    let mut bytes = Vec::new();
    (&mut file).take(SMALL).read_to_end(&mut bytes).await.map_err(unread)?;
    // If the receiver is closed, the caller has gone.
    let _ = report.send(bytes.len() as u64);
    if facts.size < SMALL && (bytes.len() as u64) < SMALL {
        return blocking(&local, move |local| {
            let (draft, mut file) = LocalDraft::create(local)?;
            io::Write::write_all(&mut file, &bytes)?;
            draft.replace(local)
        })
        .await;
    }
    let (draft, target) = blocking(&local, LocalDraft::create).await?;
    let mut target = tokio::fs::File::from_std(target);
    let unwritten = |error| Error::from_io(GET_FILES, &local, error);
    while !bytes.is_empty() {
        target.write_all(&bytes).await.map_err(unwritten)?;
        bytes.clear();
        (&mut file).take(SMALL).read_to_end(&mut bytes).await.map_err(unread)?;
        let _ = report.send(bytes.len() as u64);
    }
    target.flush().await.map_err(unwritten)?;
    blocking(&local, |local| draft.replace(local)).await
}

async fn blocking<T: Send + 'static>(
    local: &Path,
    job: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let path = local.to_owned();
    let done = spawn_blocking(move || job(&path)).await.map_err(lost)?;
    done.map_err(|error| Error::from_io(GET_FILES, local, error))
}

fn lost(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Other, GET_FILES).message("the file work was lost").source(error)
}
