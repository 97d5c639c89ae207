//! Removing a tree name by name, following no link.

use std::path::{Path, PathBuf};

use super::at_once::{Job, at_once};
use crate::transport::{Error, ErrorKind, FileKind, Result, Transport, check_path};

const REMOVE_TREE: &str = "remove_tree";
/// Files that are removed at a time.
const AT_ONCE: usize = 16;

/// Implements [`Transport::remove_tree`]: lists each directory, removes its files, then the directories.
///
/// A directory is listed by its path. So a link that takes the place of a directory in the moment between the
/// listing above it and its own is followed.
///
/// # Errors
/// Returns those of the method; `InvalidPath` for the root.
pub async fn remove_tree<T: Transport + ?Sized>(via: &T, path: &Path) -> Result<()> {
    check_path(REMOVE_TREE, path)?;
    if path.parent().is_none() {
        let all = Error::new(ErrorKind::InvalidPath, REMOVE_TREE);
        return Err(all.message("refusing to remove the root directory"));
    }
    let Some(found) = there(via.lstat(path).await).map_err(|error| error.during(REMOVE_TREE))? else {
        return Ok(());
    };
    let removed = match found.kind {
        FileKind::Dir => directory(via, path).await,
        _ => there(via.remove_file(path).await).map(drop),
    };
    removed.map_err(|error| error.during(REMOVE_TREE).effect_unknown())
}

async fn directory<T: Transport + ?Sized>(via: &T, path: &Path) -> Result<()> {
    let mut dirs: Vec<PathBuf> = vec![path.to_owned()];
    let mut next = 0;
    while let Some(dir) = dirs.get(next).cloned() {
        next += 1;
        let entries = there(via.list(&dir).await)?.unwrap_or_default();
        let (below, files): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.metadata.kind == FileKind::Dir);
        dirs.extend(below.into_iter().map(|entry| dir.join(entry.name)));
        let remove = |path: PathBuf| {
            Box::pin(async move { there(via.remove_file(&path).await).map(drop) }) as Job<'_, ()>
        };
        at_once(AT_ONCE, files.into_iter().map(|entry| remove(dir.join(entry.name)))).await?;
    }
    // The deepest come last.
    for dir in dirs.iter().rev() {
        there(via.remove_dir(dir).await)?;
    }
    Ok(())
}

/// Returns `None` for what has gone: somebody else removed it, and that is as good.
fn there<V>(result: Result<V>) -> Result<Option<V>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
