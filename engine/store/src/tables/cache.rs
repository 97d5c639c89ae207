//! Rows about calculations whose results may be taken over by others.

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::{error::Result, records::NodeId};

/// Most candidates that are returned.
const CANDIDATES: u32 = 20;

/// The properties of a calculation as a source of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// Digest of everything that its results depend on.
    pub hash: String,
    /// True if others may take over its results, as far as the user decides.
    pub reusable: bool,
    /// UUID of the process whose results it has taken over.
    pub taken_from: Option<Uuid>,
}

pub(crate) fn write_hash(db: &Connection, process: i64, hash: &str) -> Result<()> {
    db.prepare_cached("INSERT INTO cache (process, hash) VALUES (?1, ?2)")?
        .execute(params![process, hash])?;
    Ok(())
}

pub(crate) fn write_taken(db: &Connection, process: NodeId, source: &Uuid) -> Result<()> {
    db.prepare_cached("UPDATE cache SET taken_from = ?2 WHERE process = ?1")?
        .execute(params![process.0, source.to_string()])?;
    Ok(())
}

pub(crate) fn write_reusable(db: &Connection, process: NodeId, reusable: bool) -> Result<()> {
    db.prepare_cached("UPDATE cache SET reusable = ?2 WHERE process = ?1")?
        .execute(params![process.0, reusable])?;
    Ok(())
}

pub(crate) fn entry(db: &Connection, process: NodeId) -> rusqlite::Result<Option<CacheEntry>> {
    let read = |row: &Row<'_>| {
        let taken_from: Option<String> = row.get(2)?;
        Ok(CacheEntry {
            hash: row.get(0)?,
            reusable: row.get(1)?,
            taken_from: taken_from.and_then(|text| text.parse().ok()),
        })
    };
    db.prepare_cached("SELECT hash, reusable, taken_from FROM cache WHERE process = ?1")?
        .query_row([process.0], read)
        .optional()
}

/// Returns candidates with this digest: first those that ran themselves, and newer ones before older ones.
pub(crate) fn candidates(db: &Connection, hash: &str) -> rusqlite::Result<Vec<NodeId>> {
    let sql =
        "SELECT process FROM cache WHERE hash = ?1 ORDER BY taken_from IS NOT NULL, process DESC LIMIT ?2";
    db.prepare_cached(sql)?.query_map(params![hash, CANDIDATES], |row| row.get(0).map(NodeId))?.collect()
}
