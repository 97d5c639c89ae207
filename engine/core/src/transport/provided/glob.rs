//! The paths that match a pattern, searched name by name from the root.

use std::path::{Path, PathBuf};

use super::at_once::{Job, at_once};
use crate::transport::{Entry, Error, ErrorKind, FileKind, Metadata, Pattern, Result, Transport, check_path};

const GLOB: &str = "glob";
/// Directories that are listed at a time, and paths that are looked at.
const AT_ONCE: usize = 16;

/// Implements [`Transport::glob`] over [`Transport::list`].
///
/// # Errors
/// Returns those of the method.
pub async fn glob<T: Transport + ?Sized>(via: &T, pattern: &Path) -> Result<Vec<PathBuf>> {
    Ok(find(via, pattern).await?.into_iter().map(|found| found.path).collect())
}

/// A path that matches a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The path.
    pub path: PathBuf,
    /// Its metadata, without following a link, as the search has just seen it.
    pub metadata: Metadata,
}

/// Returns the paths that [`Transport::glob`] returns, with what the search has seen of them, so that nobody has to
/// ask again.
///
/// # Errors
/// Returns those of the method.
pub async fn find<T: Transport + ?Sized>(via: &T, pattern: &Path) -> Result<Vec<Found>> {
    check_path(GLOB, pattern)?;
    let mut found = search(via, pattern).await.map_err(|error| error.during(GLOB))?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

async fn search<T: Transport + ?Sized>(via: &T, pattern: &Path) -> Result<Vec<Found>> {
    let mut dirs = vec![PathBuf::new()];
    let mut is_named = true;
    let mut names = pattern.iter().peekable();
    while let Some(name) = names.next() {
        let Some(pattern) = Pattern::read(name) else {
            dirs.iter_mut().for_each(|path| path.push(name));
            continue;
        };
        let on_the_way = names.peek().is_some();
        let jobs = dirs.into_iter().map(|dir| {
            let matches = matches(via, dir, &pattern, is_named, on_the_way);
            Box::pin(matches) as Job<'_, Vec<Found>>
        });
        let found = at_once(AT_ONCE, jobs).await?.concat();
        if !on_the_way {
            return Ok(found);
        }
        dirs = found.into_iter().map(|found| found.path).collect();
        is_named = false;
    }
    existing(via, dirs).await
}

/// Returns the matches in a directory. A path that is no directory has no matches. A directory that may not be read
/// is an error if the pattern named it, and skipped if a wildcard matched it, as in shells.
async fn matches<T: Transport + ?Sized>(
    via: &T,
    dir: PathBuf,
    pattern: &Pattern,
    is_named: bool,
    on_the_way: bool,
) -> Result<Vec<Found>> {
    let entries = match via.list(&dir).await {
        Ok(entries) => entries,
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => return Ok(Vec::new()),
            ErrorKind::PermissionDenied if !is_named => return Ok(Vec::new()),
            // Links in a circle lead nowhere.
            ErrorKind::Other if !is_named && looked(via.stat(&dir).await)?.is_none() => return Ok(Vec::new()),
            _ => return Err(error),
        },
    };
    let leads_on = |entry: &Entry| matches!(entry.metadata.kind, FileKind::Dir | FileKind::Symlink);
    let wanted = |entry: &Entry| pattern.matches(&entry.name) && (!on_the_way || leads_on(entry));
    let found = |entry: Entry| Found { path: dir.join(entry.name), metadata: entry.metadata };
    Ok(entries.into_iter().filter(wanted).map(found).collect())
}

/// Returns the paths that name something.
async fn existing<T: Transport + ?Sized>(via: &T, paths: Vec<PathBuf>) -> Result<Vec<Found>> {
    let look = |path: PathBuf| {
        Box::pin(async move {
            let metadata = looked(via.lstat(&path).await)?;
            Ok(metadata.map(|metadata| Found { path, metadata }))
        }) as Job<'_, Option<Found>>
    };
    Ok(at_once(AT_ONCE, paths.into_iter().map(look)).await?.into_iter().flatten().collect())
}

/// Returns `None` for an error of the path, and passes on those of the host.
fn looked<V>(looked: Result<V>) -> Result<Option<V>> {
    let of_host = |error: &Error| {
        use ErrorKind::{Authentication, CircuitOpen, TimedOut, Unreachable};
        matches!(error.kind(), Unreachable | TimedOut | Authentication | CircuitOpen)
    };
    match looked {
        Ok(value) => Ok(Some(value)),
        Err(error) if of_host(&error) => Err(error),
        Err(_) => Ok(None),
    }
}
