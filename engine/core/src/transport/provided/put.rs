//! Writing a tree entry by entry, following no link below its directory.
//!
//! Directories are checked by their paths, not held open. So a link is noticed if it was there before, but not if it
//! is made between the check of a directory and the writing into it.

use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};

use super::{
    at_once::{Job, at_once},
    is, open_local,
};
use crate::transport::{ErrorKind, FileKind, Progress, Result, Transport, Tree, TreeEntry, check_path};

const PUT_TREE: &str = "put_tree";
/// Files that are written at a time.
const AT_ONCE: usize = 16;

/// Implements [`Transport::put_tree`]: makes the directories, then writes files and links, some at once. A link
/// takes the place of a file or link in two steps.
///
/// # Errors
/// Returns those of the method.
pub async fn put_tree<T: Transport + ?Sized>(
    via: &T,
    tree: &Tree,
    to: &Path,
    progress: Progress<'_>,
) -> Result<()> {
    tree.check()?;
    check_path(PUT_TREE, to)?;
    put(via, tree, to, progress).await.map_err(|error| error.during(PUT_TREE).effect_unknown())
}

async fn put<T: Transport + ?Sized>(via: &T, tree: &Tree, to: &Path, progress: Progress<'_>) -> Result<()> {
    via.mkdirs(to).await?;
    for dir in tree.directories() {
        make_dir(via, &to.join(dir)).await?;
    }
    let jobs =
        tree.entries.iter().filter(|(_, entry)| !matches!(entry, TreeEntry::Dir)).map(|(name, entry)| {
            let to = to.join(name);
            Box::pin(async move { put_entry(via, entry, &to, progress).await }) as Job<'_, ()>
        });
    at_once(AT_ONCE, jobs).await.map(drop)
}

async fn make_dir<T: Transport + ?Sized>(via: &T, dir: &Path) -> Result<()> {
    match via.mkdir(dir).await {
        Err(error) if *error.kind() == ErrorKind::AlreadyExists => match via.lstat(dir).await?.kind {
            FileKind::Dir => Ok(()),
            _ => Err(is(ErrorKind::NotADirectory, PUT_TREE, dir)),
        },
        made => made,
    }
}

async fn put_entry<T: Transport + ?Sized>(
    via: &T,
    entry: &TreeEntry,
    to: &Path,
    progress: Progress<'_>,
) -> Result<()> {
    match entry {
        TreeEntry::Dir => Ok(()),
        TreeEntry::Symlink(target) => put_link(via, target, to).await,
        TreeEntry::Bytes { bytes, executable } => {
            via.write(to, &mut Counted { from: &bytes[..], progress }, *executable).await.map(drop)
        }
        TreeEntry::File { from, executable } => {
            let (from, _) = open_local(PUT_TREE, from).await?;
            via.write(to, &mut Counted { from, progress }, *executable).await.map(drop)
        }
    }
}

async fn put_link<T: Transport + ?Sized>(via: &T, target: &Path, link: &Path) -> Result<()> {
    match via.symlink(target, link).await {
        Err(error) if *error.kind() == ErrorKind::AlreadyExists => {}
        made => return made,
    }
    via.remove_file(link).await?;
    via.symlink(target, link).await
}

/// A stream that reports what is read from it.
struct Counted<'a, R> {
    from: R,
    progress: Progress<'a>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<'_, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.from).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        if read > 0 {
            (self.progress)(read as u64);
        }
        polled
    }
}
