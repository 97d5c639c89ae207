//! Renaming that never replaces anything.

use std::{fs, io, path::Path};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use crate::files::is_missing;

/// Renames atomically where the file system can. Where it can't, files still can't be replaced.
pub(crate) fn no_replace(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Moving a directory into itself gives this error too; the plain rename below gives it again.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => by_hand(from, to),
        renamed => renamed.map_err(io::Error::from),
    }
}

/// Renames on file systems without `RENAME_NOREPLACE`. A link refuses an existing name atomically. Where links
/// can't be made either, as for directories, the target is checked first. A rename of a directory replaces an
/// empty one at most.
fn by_hand(from: &Path, to: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(from)?.is_dir() {
        match fs::hard_link(from, to) {
            Ok(()) => return fs::remove_file(from),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
        }
    }
    if is_missing(to) { fs::rename(from, to) } else { Err(Errno::EXIST.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rename: fn(&Path, &Path) -> io::Result<()>) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "file").unwrap();
        fs::create_dir_all(path("dir/sub")).unwrap();
        fs::create_dir(path("empty")).unwrap();
        for (from, to) in [("file", "dir"), ("dir", "file"), ("dir", "empty"), ("file", "file")] {
            let refused = rename(&path(from), &path(to)).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists, "{from} to {to}");
        }
        rename(&path("file"), &path("file2")).unwrap();
        rename(&path("dir"), &path("dir2")).unwrap();
        assert!(path("file2").is_file() && path("dir2/sub").is_dir() && is_missing(&path("file")));
        let inside = rename(&path("dir2"), &path("dir2/sub/x")).unwrap_err();
        assert_eq!(inside.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn neither_way_replaces_anything() {
        check(no_replace);
        check(by_hand);
    }
}
