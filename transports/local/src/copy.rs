//! Copying a file or a tree: made under a temporary name, then put in place.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
};

use ferry_engine_core::transport::Result;

use crate::{
    errors::{At, special},
    files,
    temp_file::TempFile,
    work::Line,
};

const COPY: &str = "copy";

/// Copies `from` to `to`, which must not exist.
pub(crate) fn copy(from: &Path, to: &Path, line: &Line) -> Result<()> {
    if !files::is_missing(to) {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists)).at(COPY, to);
    }
    let metadata = fs::symlink_metadata(from).at(COPY, from)?;
    let temp = TempFile::of(to);
    if metadata.is_dir() {
        fs::create_dir(temp.path()).at(COPY, to)?;
        let root = fs::symlink_metadata(temp.path()).at(COPY, to)?;
        directory(from, &metadata, temp.path(), &Copying { root: id(&root), line })?;
    } else {
        leaf(from, &metadata, temp.path(), line).at(COPY, from)?;
    }
    temp.publish(to).at(COPY, to)
}

/// The context of one copy.
struct Copying<'a> {
    /// The copy's own root. If it is met on the way, a directory is being copied into itself.
    root: (u64, u64),
    line: &'a Line,
}

/// Copies the contents of a directory, then its permission bits, which may forbid writing.
fn directory(from: &Path, metadata: &Metadata, to: &Path, copying: &Copying<'_>) -> Result<()> {
    for entry in fs::read_dir(from).at(COPY, from)? {
        let entry = entry.at(COPY, from)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata().at(COPY, &from)?;
        copying.line.check().at(COPY, &from)?;
        if !metadata.is_dir() {
            leaf(&from, &metadata, &to, copying.line).at(COPY, &from)?;
        } else if id(&metadata) == copying.root {
            let inside =
                io::Error::new(io::ErrorKind::InvalidInput, "a directory can't be copied into itself");
            return Err(inside).at(COPY, &from);
        } else {
            fs::create_dir(&to).at(COPY, &to)?;
            directory(&from, &metadata, &to, copying)?;
        }
    }
    fs::set_permissions(to, metadata.permissions()).at(COPY, to)
}

/// Copies a file or a link.
fn leaf(from: &Path, metadata: &Metadata, to: &Path, line: &Line) -> io::Result<()> {
    if metadata.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if !metadata.is_file() {
        return Err(special());
    }
    let source = files::open(from)?;
    let copy = fs::OpenOptions::new().write(true).create_new(true).open(to)?;
    files::copy_bytes(&source, &copy, line)?;
    copy.set_permissions(metadata.permissions())
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
