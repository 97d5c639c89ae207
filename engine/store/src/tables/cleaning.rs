//! Rows about work directories that are to be removed from their computers. The request is stored before the
//! removal, and the result after it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{error::Result, records::NodeId};

/// The request to remove a calculation's work directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaning {
    /// Id of the calculation.
    pub process: NodeId,
    /// Time of the request.
    pub requested: Timestamp,
    /// Time of the removal.
    pub cleaned: Option<Timestamp>,
    /// Error of the last try.
    pub error: Option<String>,
}

/// Calculations that have ended and have a work directory of their own, not that of a calculation whose results
/// they took over.
const WANTS: &str = "INSERT INTO cleaning (process, requested)
     SELECT p.id, ?2 FROM process p LEFT JOIN cache c ON c.process = p.id
     WHERE p.kind = 'calcjob' AND p.work_dir IS NOT NULL AND p.state IN ('finished', 'excepted', 'killed')
         AND c.taken_from IS NULL AND ";
/// A directory that was removed already stays so.
const AGAIN: &str = " ON CONFLICT (process) DO UPDATE SET error = NULL WHERE cleaned IS NULL";

pub(crate) fn want(db: &Connection, process: NodeId, now: i64) -> Result<()> {
    db.prepare_cached(&format!("{WANTS} p.id = ?1 {AGAIN}"))?.execute(params![process.0, now])?;
    Ok(())
}

/// Requests the removal for all calculations below a process.
pub(crate) fn want_below(db: &Connection, top: NodeId, now: i64) -> Result<()> {
    db.prepare_cached(&format!(
        "WITH RECURSIVE tree (id) AS (
             SELECT id FROM process WHERE caller = ?1
             UNION
             SELECT child.id FROM process child JOIN tree ON child.caller = tree.id
         )
         {WANTS} p.id IN (SELECT id FROM tree) {AGAIN}"
    ))?
    .execute(params![top.0, now])?;
    Ok(())
}

pub(crate) fn tried(db: &Connection, process: NodeId, error: Option<&str>, now: i64) -> Result<()> {
    db.prepare_cached(
        "UPDATE cleaning SET error = ?2, cleaned = CASE WHEN ?2 IS NULL THEN ?3 END WHERE process = ?1",
    )?
    .execute(params![process.0, error, now])?;
    Ok(())
}

pub(crate) fn forget(db: &Connection, process: NodeId) -> Result<()> {
    db.prepare_cached("DELETE FROM cleaning WHERE process = ?1 AND cleaned IS NULL")?.execute([process.0])?;
    Ok(())
}

const COLUMNS: &str = "SELECT process, requested, cleaned, error FROM cleaning";

pub(crate) fn of(db: &Connection, process: NodeId) -> rusqlite::Result<Option<Cleaning>> {
    db.prepare_cached(&format!("{COLUMNS} WHERE process = ?1"))?.query_row([process.0], read).optional()
}

pub(crate) fn pending(db: &Connection) -> rusqlite::Result<Vec<Cleaning>> {
    let sql = format!("{COLUMNS} WHERE cleaned IS NULL ORDER BY requested, process");
    db.prepare_cached(&sql)?.query_map([], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Cleaning> {
    let time = |micros| Timestamp::from_microsecond(micros).unwrap_or_default();
    Ok(Cleaning {
        process: NodeId(row.get(0)?),
        requested: time(row.get(1)?),
        cleaned: row.get::<_, Option<i64>>(2)?.map(time),
        error: row.get(3)?,
    })
}
