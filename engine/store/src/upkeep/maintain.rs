//! Maintenance of a store, in steps that are each bounded and may each be interrupted anywhere:
//!
//! | stage | what it does |
//! |---|---|
//! | [`Stage::Rows`] | deletes the rows of objects that no node names |
//! | [`Stage::Files`] | removes files that no row names, older than a day |
//! | [`Stage::Pack`] | puts many files into one pack |
//! | [`Stage::Repack`] | rewrites a pack that is mostly unused, and removes packs that no row names |
//! | [`Stage::Finish`] | empties SQLite's log and releases free pages |
//!
//! Bytes are on disk under their new name before a row says so, and the old name is removed last. A step that
//! could remove what a commit is about to name holds the writing connection meanwhile.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::{
    database::row::query_all,
    error::Result,
    objects::{
        pack::{NewPack, Pack},
        pin::Pin,
        repository::{Objects, PACKS},
    },
    sqlite::{group_commit::Committer, reader::SqliteReader},
};

/// Age below which objects are kept: a command line may be about to name them.
const YOUNG: Duration = Duration::from_secs(24 * 3600);
/// Largest object that is put into a pack.
const PACKED_MAX: u64 = 4 << 20;
/// Size beyond which a pack is closed.
const PACK_SIZE: u64 = 64 << 20;
/// Fewest files for which a pack is written.
const PACK_MIN: usize = 32;
/// Rows that are deleted in one transaction.
const ROWS: usize = 1000;
/// Directories of objects that are examined in one step; a divisor of 256.
const DIRECTORIES: u8 = 16;
/// Share of free pages above which the database is rewritten.
const FREE_MAX: f64 = 0.25;

/// The kinds of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Rows of objects that no node names.
    Rows,
    /// Files in a few directories of objects, from that of this first byte on.
    Files(u8),
    /// One pack.
    Pack,
    /// One pack that is mostly unused.
    Repack,
    /// The database itself.
    Finish,
}

impl Stage {
    /// The first step.
    pub const FIRST: Stage = Stage::Rows;
}

/// The results of maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tidied {
    /// Objects that no node named, removed.
    pub collected: u64,
    /// Files of objects that are also in a pack or a row, removed.
    pub doubles: u64,
    /// Objects put into packs.
    pub packed: u64,
    /// Packs written.
    pub packs: u64,
    /// Objects whose bytes do not match their digest: left where they are.
    pub damaged: u64,
    /// Bytes of files that were removed.
    pub freed: u64,
}

impl std::ops::AddAssign for Tidied {
    fn add_assign(&mut self, more: Tidied) {
        self.collected += more.collected;
        self.doubles += more.doubles;
        self.packed += more.packed;
        self.packs += more.packs;
        self.damaged += more.damaged;
        self.freed += more.freed;
    }
}

/// The parts that a step works with.
pub(crate) struct Tidying<'a> {
    pub(crate) committer: &'a Committer,
    pub(crate) reader: &'a SqliteReader,
}

impl Tidying<'_> {
    /// Performs one step. Returns its results and the next step, if there is one.
    ///
    /// # Errors
    /// Returns an I/O error, or fails while a backup is being made.
    pub(crate) fn step(&self, stage: Stage) -> Result<(Tidied, Option<Stage>)> {
        let _alone = Pin::alone(self.objects().dir())?;
        match stage {
            Stage::Rows => self.rows(),
            Stage::Files(first) => {
                let tidied = self.files(first)?;
                Ok((tidied, Some(first.checked_add(DIRECTORIES).map_or(Stage::Pack, Stage::Files))))
            }
            Stage::Pack => self.pack(),
            Stage::Repack => self.repack(),
            Stage::Finish => self.finish().map(|()| (Tidied::default(), None)),
        }
    }

    fn objects(&self) -> &Objects {
        &self.reader.objects
    }

    fn rows(&self) -> Result<(Tidied, Option<Stage>)> {
        let sql = "DELETE FROM object WHERE digest IN (
                       SELECT digest FROM object o
                       WHERE NOT EXISTS (SELECT 1 FROM node_file f WHERE f.digest = o.digest) LIMIT ?1)";
        let gone = self.committer.transact(|tx| Ok(tx.execute(sql, [ROWS as i64])?))?;
        let tidied = Tidied { collected: gone as u64, ..Tidied::default() };
        Ok((tidied, Some(if gone == ROWS { Stage::Rows } else { Stage::Files(0) })))
    }

    /// Removes old files that no row names. It holds the writing connection while it examines and removes, so that
    /// no commit names a file in between.
    fn files(&self, first: u8) -> Result<Tidied> {
        let directories = first..=first.saturating_add(DIRECTORIES - 1);
        let mut old: Vec<PathBuf> = directories
            .flat_map(|first| old_files(&self.objects().dir().join(format!("{first:02x}"))))
            .collect();
        if first == 0 {
            old.extend(old_files(self.objects().dir()));
        }
        let mut tidied = Tidied::default();
        for some in old.chunks(ROWS) {
            self.committer
                .transact(|tx| some.iter().try_for_each(|file| remove_unnamed(tx, file, &mut tidied)))?;
        }
        Ok(tidied)
    }

    fn pack(&self) -> Result<(Tidied, Option<Stage>)> {
        let mut chosen = Vec::new();
        let mut size = 0;
        for (digest, bytes) in self.loose()? {
            if size < PACK_SIZE && is_old(&self.objects().path(&digest)) {
                size += bytes;
                chosen.push((digest, bytes));
            }
        }
        if chosen.len() < PACK_MIN {
            return Ok((Tidied::default(), Some(Stage::Repack)));
        }
        let (pack, mut tidied) = self.write(&chosen)?;
        self.committer.transact(|tx| enter(tx, &pack, None))?;
        for (digest, _) in &pack.entries {
            remove(&self.objects().path(digest), &mut tidied);
        }
        // If only damaged objects are left, the next step would find the same.
        let next = if pack.entries.is_empty() || tidied.damaged > 0 { Stage::Repack } else { Stage::Pack };
        Ok((tidied, Some(next)))
    }

    fn loose(&self) -> Result<Vec<(String, u64)>> {
        let sql = "SELECT digest, size FROM object WHERE bytes IS NULL AND pack IS NULL AND size <= ?1";
        self.reader.with(|db| {
            query_all(db, sql, [PACKED_MAX as i64], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))
        })
    }

    /// Writes a pack of these objects, wherever they are; damaged ones are counted and left out.
    fn write(&self, objects: &[(String, u64)]) -> Result<(Pack, Tidied)> {
        let mut new = NewPack::begin(self.objects())?;
        let mut tidied = Tidied { packs: 1, ..Tidied::default() };
        for (digest, size) in objects {
            let whole = match self.reader.open_place(digest) {
                Ok(mut bytes) => new.add(digest, *size, &mut bytes)?,
                Err(_) => false,
            };
            if whole {
                tidied.packed += 1;
            } else {
                tidied.damaged += 1;
            }
        }
        Ok((new.finish()?, tidied))
    }

    fn repack(&self) -> Result<(Tidied, Option<Stage>)> {
        let mut tidied = self.remove_nameless_packs()?;
        let sql =
            "SELECT p.id, p.name, (SELECT coalesce(sum(o.size), 0) FROM object o WHERE o.pack = p.id) AS live
                   FROM pack p WHERE live * 2 < p.size ORDER BY p.id LIMIT 1";
        let found: Option<(i64, String)> =
            self.reader.with(|db| db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional())?;
        let Some((id, name)) = found else { return Ok((tidied, Some(Stage::Finish))) };
        let sql = "SELECT digest, size FROM object WHERE pack = ?1 ORDER BY offset";
        let live: Vec<(String, u64)> = self
            .reader
            .with(|db| query_all(db, sql, [id], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))))?;
        if !live.is_empty() {
            let (pack, written) = self.write(&live)?;
            tidied += written;
            if written.damaged > 0 {
                remove(&self.objects().pack(&pack.name), &mut Tidied::default());
                return Ok((Tidied { packs: 0, packed: 0, ..tidied }, Some(Stage::Finish)));
            }
            self.committer.transact(|tx| enter(tx, &pack, Some(id)))?;
        }
        self.committer.transact(|tx| Ok(tx.execute("DELETE FROM pack WHERE id = ?1", [id])?))?;
        remove(&self.objects().pack(&name), &mut tidied);
        Ok((tidied, Some(Stage::Repack)))
    }

    /// Removes packs whose writing was interrupted before a row named them, and unfinished ones.
    fn remove_nameless_packs(&self) -> Result<Tidied> {
        let named: Vec<String> =
            self.reader.with(|db| query_all(db, "SELECT name FROM pack", [], |row| row.get(0)))?;
        let mut tidied = Tidied::default();
        for path in files_in(&self.objects().dir().join(PACKS)) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !named.iter().any(|known| known == name) {
                remove(&path, &mut tidied);
            }
        }
        Ok(tidied)
    }

    fn finish(&self) -> Result<()> {
        self.committer.outside(|db| {
            let pages = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            if pages("freelist_count")? as f64 > pages("page_count")? as f64 * FREE_MAX {
                db.execute_batch("VACUUM")?;
            }
            db.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)")?;
            Ok(())
        })
    }
}

/// Records the new place of the objects of a pack. They were files, or in the pack that it replaces.
fn enter(tx: &Transaction<'_>, pack: &Pack, replaces: Option<i64>) -> Result<()> {
    let now = ferry_engine_core::clock::now().as_microsecond();
    tx.execute(
        "INSERT INTO pack (name, size, made) VALUES (?1, ?2, ?3)",
        params![pack.name, pack.size as i64, now],
    )?;
    let id = tx.last_insert_rowid();
    let mut statement = tx.prepare_cached(
        "UPDATE object SET pack = ?2, offset = ?3 WHERE digest = ?1 AND bytes IS NULL AND pack IS ?4",
    )?;
    for (digest, offset) in &pack.entries {
        statement.execute(params![digest, id, *offset as i64, replaces])?;
    }
    Ok(())
}

/// Removes a file unless a row says that its object is there.
fn remove_unnamed(tx: &Transaction<'_>, path: &Path, tidied: &mut Tidied) -> Result<()> {
    // Its time may have been renewed since it was listed.
    if !is_old(path) {
        return Ok(());
    }
    let place: Option<bool> = tx
        .prepare_cached("SELECT bytes IS NULL AND pack IS NULL FROM object WHERE digest = ?1")?
        .query_row([digest_of(path)], |row| row.get(0))
        .optional()?;
    match place {
        Some(true) => return Ok(()),
        Some(false) => tidied.doubles += 1,
        None => tidied.collected += 1,
    }
    remove(path, tidied);
    Ok(())
}

fn digest_of(path: &Path) -> String {
    let part = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let head = part(path.parent().and_then(Path::file_name)).unwrap_or_default();
    head + &part(path.file_name()).unwrap_or_default()
}

fn old_files(dir: &Path) -> Vec<PathBuf> {
    files_in(dir).into_iter().filter(|path| is_old(path)).collect()
}

fn files_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    files.map(|entry| entry.path()).filter(|path| !path.ends_with(crate::objects::pin::NAME)).collect()
}

fn is_old(path: &Path) -> bool {
    let now = SystemTime::from(ferry_engine_core::clock::now());
    let modified = fs::metadata(path).and_then(|found| found.modified());
    modified.is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| age > YOUNG))
}

fn remove(path: &Path, tidied: &mut Tidied) {
    let size = fs::metadata(path).map_or(0, |found| found.len());
    match fs::remove_file(path) {
        Ok(()) => tidied.freed += size,
        // The next round finds it again.
        Err(error) => tracing::warn!(path = %path.display(), %error, "a file can't be removed"),
    }
}
