//! The size of a store, and its contents in figures.

use std::{fs, path::Path};

use serde::Serialize;

use crate::{error::Result, sqlite::reader::SqliteReader};

/// A store in figures; sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Info {
    /// Number of its format.
    pub format: i64,
    /// Number of owners that it has had.
    pub epoch: i64,
    /// Size of the database.
    pub database: u64,
    /// Part of it that is free.
    pub free: u64,
    /// Size of SQLite's log, not yet part of the database.
    pub log: u64,
    /// Nodes, including processes.
    pub nodes: u64,
    /// Processes.
    pub processes: u64,
    /// Links between nodes.
    pub links: u64,
    /// Lines of reports.
    pub log_lines: u64,
    /// Objects that are stored in rows.
    pub small_objects: Count,
    /// Objects that are files.
    pub files: Count,
    /// Objects that are stored in packs.
    pub packed: Count,
    /// Packs, including unused parts.
    pub packs: Count,
}

/// A number of items, and their total size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// The number.
    pub count: u64,
    /// Bytes.
    pub size: u64,
}

impl SqliteReader {
    /// Returns the figures of the store.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub fn info(&self) -> Result<Info> {
        let number =
            |sql: &'static str| -> Result<i64> { self.with(|db| db.query_row(sql, [], |row| row.get(0))) };
        let rows = |sql| number(sql).map(|count| count as u64);
        let count = |filter: &str| self.count(&format!("object WHERE {filter}"));
        let page = number("PRAGMA page_size")? as u64;
        let log = self.path().map(|path| length(&path.with_extension("db-wal")));
        Ok(Info {
            format: number("PRAGMA user_version")?,
            epoch: number("SELECT epoch FROM owner")?,
            database: number("PRAGMA page_count")? as u64 * page,
            free: number("PRAGMA freelist_count")? as u64 * page,
            log: log.unwrap_or(0),
            nodes: rows("SELECT count(*) FROM node")?,
            processes: rows("SELECT count(*) FROM process")?,
            links: rows("SELECT count(*) FROM link")?,
            log_lines: rows("SELECT count(*) FROM log")?,
            small_objects: count("bytes IS NOT NULL")?,
            files: count("bytes IS NULL AND pack IS NULL")?,
            packed: count("pack IS NOT NULL")?,
            packs: self.count("pack")?,
        })
    }

    fn count(&self, of: &str) -> Result<Count> {
        let sql = format!("SELECT count(*), coalesce(sum(size), 0) FROM {of}");
        self.with(|db| {
            db.query_row(&sql, [], |row| {
                Ok(Count { count: row.get::<_, i64>(0)? as u64, size: row.get::<_, i64>(1)? as u64 })
            })
        })
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}
