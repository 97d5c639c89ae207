//! Writing a tree below a directory without ever leaving it.
//!
//! Every directory below the target is opened by its own name, relative to the one above and never through a link.
//! It stays open while its entries are written. So a link that another process makes meanwhile is refused, not
//! followed.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use ferry_engine_core::transport::{Result, Tree, TreeEntry, fresh_name};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, renameat, symlinkat, unlinkat},
    io::Errno,
};

use crate::{errors::At, files, temp_file::mode, work::Line};

const PUT_TREE: &str = "put_tree";

/// Writes a tree whose names were checked.
pub(crate) fn put(tree: &Tree, to: &Path, line: &Line) -> Result<()> {
    fs::create_dir_all(to).at(PUT_TREE, to)?;
    let mut cursor = Cursor::new(to).at(PUT_TREE, to)?;
    for (name, entry) in &tree.entries {
        line.check().at(PUT_TREE, to)?;
        let (dir, path) = match entry {
            TreeEntry::Dir => (name.as_path(), None),
            _ => (name.parent().unwrap_or(Path::new("")), name.file_name()),
        };
        let dir = cursor.enter(dir).at(PUT_TREE, &to.join(dir))?;
        if let Some(path) = path {
            put_entry(dir, path, entry, &to.join(name), line)?;
        }
    }
    Ok(())
}

/// The directory that is open at the moment. Entries come sorted, so it rarely starts again from the root, and two
/// descriptors are enough for any depth.
struct Cursor {
    root: OwnedFd,
    path: PathBuf,
    dir: OwnedFd,
}

impl Cursor {
    /// Starts at the target, which may be reached through links.
    fn new(to: &Path) -> io::Result<Self> {
        let root = openat(CWD, to, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Cursor { dir: root.try_clone()?, root, path: PathBuf::new() })
    }

    /// Goes to a directory below the target, and makes missing ones.
    fn enter(&mut self, path: &Path) -> io::Result<&OwnedFd> {
        if !path.starts_with(&self.path) {
            self.dir = self.root.try_clone()?;
            self.path = PathBuf::new();
        }
        let ahead: PathBuf = path.strip_prefix(&self.path).unwrap_or(path).into();
        for name in &ahead {
            self.dir = open_or_make(&self.dir, name)?;
            self.path.push(name);
        }
        Ok(&self.dir)
    }
}

fn open_or_make(dir: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(dir, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            mkdirat(dir, name, Mode::from_raw_mode(0o777))?;
            openat(dir, name, flags, Mode::empty())
        }
        // Some kernels return this for a link.
        Err(Errno::LOOP) => Err(Errno::NOTDIR),
        opened => opened,
    }
}

/// Writes one file or link into an open directory. `path` is its whole path, for errors.
fn put_entry(dir: &OwnedFd, name: &OsStr, entry: &TreeEntry, path: &Path, line: &Line) -> Result<()> {
    match entry {
        TreeEntry::Dir => Ok(()),
        TreeEntry::Symlink(target) => {
            publish(dir, name, |temp| Ok(symlinkat(target, dir, temp)?)).at(PUT_TREE, path)
        }
        TreeEntry::Bytes { bytes, executable } => publish(dir, name, |temp| {
            create(dir, temp, *executable)?.write_all(bytes)?;
            line.moved(bytes.len() as u64)
        })
        .at(PUT_TREE, path),
        TreeEntry::File { from, executable } => {
            let source = files::open(from).at(PUT_TREE, from)?;
            publish(dir, name, |temp| files::copy_bytes(&source, &create(dir, temp, *executable)?, line))
                .at(PUT_TREE, path)
        }
    }
}

/// Makes a file or link under a temporary name, then puts it in place. If either fails, nothing is left.
fn publish(dir: &OwnedFd, name: &OsStr, make: impl FnOnce(&str) -> io::Result<()>) -> io::Result<()> {
    let temp = fresh_name();
    let published = make(&temp).and_then(|()| Ok(renameat(dir, &temp, dir, name)?));
    if published.is_err() {
        // It may not have been made at all.
        let _ = unlinkat(dir, &temp, AtFlags::empty());
    }
    published
}

fn create(dir: impl AsFd, name: &str, executable: bool) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(dir, name, flags, Mode::from_raw_mode(mode(executable)))?.into())
}
