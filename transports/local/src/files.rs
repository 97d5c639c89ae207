//! Single files and directories: metadata, listing, making, removing, opening.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use ferry_engine_core::transport::{Entry, FileKind, Metadata};
use rustix::fs::OFlags;

use crate::{errors::special, work::Line};

/// Bytes of a file that are copied between two progress reports.
const CHUNK: u64 = 8 << 20;

pub(crate) fn stat(path: &Path) -> io::Result<Metadata> {
    facts(&fs::metadata(path)?)
}

pub(crate) fn lstat(path: &Path) -> io::Result<Metadata> {
    facts(&fs::symlink_metadata(path)?)
}

pub(crate) fn list(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) => entries.push(Entry { name: entry.file_name(), metadata: facts(&metadata)? }),
            // Removed since its name was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

pub(crate) fn chmod(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode & 0o7777))
}

/// Removes a file, a link, or a directory with everything below it. A missing path is fine.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    if path.parent().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "refusing to remove the root directory"));
    }
    let removed = fs::symlink_metadata(path).and_then(|metadata| {
        if metadata.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    });
    match removed {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Ok(()),
        // Nothing exists below a file, but a directory that became a file still exists.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory && is_missing(path) => Ok(()),
        removed => removed,
    }
}

/// Returns whether a path names nothing at all, not even a link to nowhere.
pub(crate) fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err()
}

/// Opens a regular file at an offset, or at its end if that is nearer.
pub(crate) fn open_at(path: &Path, offset: u64) -> io::Result<File> {
    let mut file = open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(offset.min(end)))?;
    Ok(file)
}

/// Opens a regular file for reading.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Otherwise opening a pipe would wait for its writer for ever.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else if kind.is_file() {
        Ok(file)
    } else {
        Err(special())
    }
}

/// Copies all bytes, inside the kernel where possible.
pub(crate) fn copy_bytes(from: &File, mut to: &File, line: &Line) -> io::Result<()> {
    loop {
        let moved = io::copy(&mut io::Read::take(from, CHUNK), &mut to)?;
        line.moved(moved)?;
        if moved == 0 {
            return Ok(());
        }
    }
}

fn facts(metadata: &fs::Metadata) -> io::Result<Metadata> {
    let kind = match metadata.file_type() {
        kind if kind.is_file() => FileKind::File,
        kind if kind.is_dir() => FileKind::Dir,
        kind if kind.is_symlink() => FileKind::Symlink,
        _ => FileKind::Other,
    };
    Ok(Metadata {
        kind,
        size: metadata.len(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        modified: metadata.modified()?,
    })
}
