//! The paths that match a pattern, searched name by name from the root.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use ferry_engine_core::transport::Pattern;
use rustix::io::Errno;

use crate::files::is_missing;

/// Returns all paths that match, sorted.
pub(crate) fn glob(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let mut is_first = true;
    for name in pattern {
        match Pattern::read(name) {
            None => found.iter_mut().for_each(|path| path.push(name)),
            Some(pattern) => {
                found = matches_in(&found, &pattern, is_first)?;
                is_first = false;
            }
        }
    }
    found.retain(|path| !is_missing(path));
    found.sort();
    Ok(found)
}

/// Returns the matches in each of the directories. A path that is no directory has no matches. A directory that
/// may not be read is an error if the pattern named it, and skipped if a wildcard matched it, as in shells.
fn matches_in(dirs: &[PathBuf], pattern: &Pattern, is_named: bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in dirs {
        match names(dir, |name| pattern.matches(name)) {
            Ok(paths) => found.extend(paths),
            Err(error) if is_named && error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Err(error) if is_passable(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn names(dir: &Path, is_wanted: impl Fn(&OsStr) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if is_wanted(&entry.file_name()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn is_passable(error: &io::Error) -> bool {
    let passable = [Errno::NOENT, Errno::NOTDIR, Errno::ACCESS, Errno::LOOP];
    Errno::from_io_error(error).is_some_and(|errno| passable.contains(&errno))
}
