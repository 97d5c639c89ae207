//! A copy of a store, made while its owner continues.
//!
//! The database comes first, by `VACUUM INTO` from one snapshot; then the objects, which never change. All objects
//! that the copy names were on disk before the snapshot, and a [`Pin`] prevents maintenance from moving them until
//! they are copied. In the other order, the database could name objects that were stored after the objects were
//! copied.
//!
//! The live processes of the copy are paused. So a copy that is put to use does not act beside the original.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use crate::profile::Paths;
use crate::{
    database::{connections::for_reading, row::query_all},
    error::{Error, ErrorKind, Result},
    objects::{
        pin::Pin,
        repository::{Objects, sync_dir},
    },
    sqlite::reader::SqliteReader,
};

/// The contents of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backup {
    /// Files of objects, packs included.
    pub files: u64,
    /// Bytes of all files, database included.
    pub size: u64,
    /// Files that share their bytes with the original's as hard links.
    pub linked: u64,
}

impl SqliteReader {
    /// Copies the store of `from` into the directory `dest`, which becomes a home of its own that holds this
    /// profile. The copy has the database, the objects and the plugin files that its processes run on. Files that
    /// never change are hard links if `dest` is on the same file system.
    ///
    /// # Errors
    /// Fails with `Exists` if `dest` is not empty, with `Owned` while maintenance runs, or with an I/O error. On
    /// error `dest` holds an unfinished copy.
    pub fn backup(&self, from: &Paths, dest: &Path) -> Result<Backup> {
        refuse_occupied(dest)?;
        let to = Paths::new(dest, &from.profile);
        make_dir(to.root())?;
        let _pin = Pin::still(self.objects.dir())?;
        copy_database(&from.store(), &to.store())?;
        let mut backup = Backup::default();
        for path in named_files(&to.store())? {
            let target = to.objects().join(&path);
            copy_file(&from.objects().join(&path), &target, &mut backup)?;
        }
        copy_dir(&from.plugins(), &to.plugins(), &mut backup)?;
        pause(&to.store())?;
        backup.size += fs::metadata(to.store()).map_or(0, |found| found.len());
        sync_tree(to.root()).map_err(|source| Error::from_io("backup", dest, source))?;
        Ok(backup)
    }
}

fn refuse_occupied(dest: &Path) -> Result<()> {
    let occupied = match fs::read_dir(dest) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::from_io("backup", dest, error)),
    };
    if !occupied {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Exists, "backup")
        .message(format!("{} is not empty", dest.display()))
        .help("name a directory that does not exist yet: a backup never replaces another"))
}

fn make_dir(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| Error::from_io("backup", dir, source))
}

fn copy_database(from: &Path, to: &Path) -> Result<()> {
    let db = for_reading(from)?;
    db.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
}

/// Returns the paths, within the directory of objects, of all files that a database names there.
fn named_files(store: &Path) -> Result<Vec<PathBuf>> {
    let db = for_reading(store)?;
    let inside = Objects::new("");
    let loose = "SELECT digest FROM object WHERE bytes IS NULL AND pack IS NULL";
    let mut files: Vec<PathBuf> =
        query_all(&db, loose, [], |row| Ok(inside.path(&row.get::<_, String>(0)?)))?;
    files.extend(query_all(&db, "SELECT name FROM pack", [], |row| {
        Ok(inside.pack(&row.get::<_, String>(0)?))
    })?);
    Ok(files)
}

fn copy_file(from: &Path, to: &Path, backup: &mut Backup) -> Result<()> {
    make_dir(to.parent().unwrap_or(to))?;
    if fs::hard_link(from, to).is_ok() {
        backup.linked += 1;
    } else {
        fs::copy(from, to)
            .and_then(|_| File::open(to)?.sync_all())
            .map_err(|source| Error::from_io("backup", from, source))?;
    }
    backup.files += 1;
    backup.size += fs::metadata(to).map_or(0, |found| found.len());
    Ok(())
}

fn copy_dir(from: &Path, to: &Path, backup: &mut Backup) -> Result<()> {
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => copy_dir(&entry.path(), &target, backup)?,
            Ok(kind) if kind.is_file() => copy_file(&entry.path(), &target, backup)?,
            _ => {}
        }
    }
    Ok(())
}

fn pause(store: &Path) -> Result<()> {
    let db = Connection::open(store)?;
    db.execute(
        "UPDATE process SET paused = 1, version = version + 1,
             status = 'paused: this store is a backup, and the original may still advance this process'
         WHERE state IN ('created', 'running', 'waiting')",
        [],
    )?;
    Ok(())
}

fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_dir(dir)
}
