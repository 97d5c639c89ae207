//! The paths that match a pattern, searched name by name from the root.

use std::path::{Path, PathBuf};

use super::at_once::{Job, at_once};
use crate::transport::{Entry, Error, ErrorKind, FileKind, Pattern, Result, Transport, check_path};

const GLOB: &str = "glob";
/// Directories that are listed at a time, and paths that are looked at.
const AT_ONCE: usize = 16;

/// Implements [`Transport::glob`] over [`Transport::list`].
///
/// # Errors
/// Returns those of the method.
pub async fn glob<T: Transport + ?Sized>(via: &T, pattern: &Path) -> Result<Vec<PathBuf>> {
    check_path(GLOB, pattern)?;
    let mut found = search(via, pattern).await.map_err(|error| error.during(GLOB))?;
    found.sort();
    Ok(found)
}

async fn search<T: Transport + ?Sized>(via: &T, pattern: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let (mut is_named, mut is_listed) = (true, false);
    let mut names = pattern.iter().peekable();
    while let Some(name) = names.next() {
        is_listed = false;
        let Some(pattern) = Pattern::read(name) else {
            found.iter_mut().for_each(|path| path.push(name));
            continue;
        };
        let on_the_way = names.peek().is_some();
        let jobs = found.into_iter().map(|dir| {
            let matches = matches(via, dir, &pattern, is_named, on_the_way);
            Box::pin(matches) as Job<'_, Vec<PathBuf>>
        });
        found = at_once(AT_ONCE, jobs).await?.concat();
        (is_named, is_listed) = (false, true);
    }
    // A listing has just shown them.
    if is_listed { Ok(found) } else { existing(via, found).await }
}

/// Returns the matches in a directory. A path that is no directory has no matches. A directory that may not be read
/// is an error if the pattern named it, and skipped if a wildcard matched it, as in shells.
async fn matches<T: Transport + ?Sized>(
    via: &T,
    dir: PathBuf,
    pattern: &Pattern,
    is_named: bool,
    on_the_way: bool,
) -> Result<Vec<PathBuf>> {
    let entries = match via.list(&dir).await {
        Ok(entries) => entries,
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => return Ok(Vec::new()),
            ErrorKind::PermissionDenied if !is_named => return Ok(Vec::new()),
            // Links in a circle lead nowhere.
            ErrorKind::Other if !is_named && !exists(via.stat(&dir).await)? => return Ok(Vec::new()),
            _ => return Err(error),
        },
    };
    let leads_on = |entry: &Entry| matches!(entry.metadata.kind, FileKind::Dir | FileKind::Symlink);
    let wanted = |entry: &Entry| pattern.matches(&entry.name) && (!on_the_way || leads_on(entry));
    Ok(entries.into_iter().filter(wanted).map(|entry| dir.join(entry.name)).collect())
}

/// Returns the paths that name something.
async fn existing<T: Transport + ?Sized>(via: &T, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let jobs =
        paths.iter().map(|path| Box::pin(async move { exists(via.lstat(path).await) }) as Job<'_, bool>);
    let exist = at_once(AT_ONCE, jobs).await?;
    Ok(paths.into_iter().zip(exist).filter_map(|(path, exists)| exists.then_some(path)).collect())
}

/// Returns false for an error of the path, and passes on those of the host.
fn exists<V>(looked: Result<V>) -> Result<bool> {
    let of_host = |error: &Error| {
        use ErrorKind::{Authentication, CircuitOpen, TimedOut, Unreachable};
        matches!(error.kind(), Unreachable | TimedOut | Authentication | CircuitOpen)
    };
    match looked {
        Ok(_) => Ok(true),
        Err(error) if of_host(&error) => Err(error),
        Err(_) => Ok(false),
    }
}
