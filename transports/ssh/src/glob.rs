//! The paths that match a pattern, searched name by name from the root.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ferry_engine_core::transport::{ErrorKind, Pattern, Result};

use crate::{
    files,
    sftp::{LSTAT, Reply, Request, Sftp},
};

const GLOB: &str = "glob";

/// Returns all paths that match, sorted.
pub(crate) async fn glob(sftp: &Arc<Sftp>, pattern: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let mut is_first = true;
    for name in pattern {
        match Pattern::read(name) {
            None => found.iter_mut().for_each(|path| path.push(name)),
            Some(pattern) => {
                found = matches_in(sftp, &found, &pattern, is_first).await?;
                is_first = false;
            }
        }
    }
    // All are sent at once: they share their round trips.
    let asked: Vec<_> = found.iter().map(|path| sftp.ask(GLOB, Request::new(LSTAT).path(path))).collect();
    let mut there = Vec::new();
    for (path, asked) in found.into_iter().zip(asked) {
        if let Reply::Attributes(_) = asked.wait().await? {
            there.push(path);
        }
    }
    there.sort();
    Ok(there)
}

/// Returns the matches in each of the directories. A path that is no directory has no matches. A directory that
/// may not be read is an error if the pattern named it, and skipped if a wildcard matched it, as in shells.
async fn matches_in(
    sftp: &Arc<Sftp>,
    dirs: &[PathBuf],
    pattern: &Pattern,
    is_named: bool,
) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in dirs {
        let entries = match files::list(sftp, GLOB, dir).await {
            Ok(entries) => entries,
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => continue,
                ErrorKind::PermissionDenied if !is_named => continue,
                _ => return Err(error),
            },
        };
        let names = entries.into_iter().map(|entry| entry.name).filter(|name| pattern.matches(name));
        found.extend(names.map(|name| dir.join(name)));
    }
    Ok(found)
}
