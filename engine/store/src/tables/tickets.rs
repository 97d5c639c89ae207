//! Tickets: a job's place under the limits of a queue, and its share of a machine. The bounds are checked here, in
//! the transaction, so that no two submissions can share the last place, core or GPU.
//!
//! Admission has counted before, from a listing. It is counted again here, over all computers that share the queue at
//! this moment and under their limits of this moment.

use rusqlite::{Connection, Row, params};

use crate::{
    error::{Error, ErrorKind, Result},
    records::{NodeId, Ticket},
    tables::{
        computers::all as computers,
        queues::{self, Sharing},
    },
};
use ferry_engine_core::scheduler::{Bounds, Demand, InUse, Usage};

/// A ticket that is requested.
pub(crate) struct Wish<'a> {
    pub(crate) process: NodeId,
    pub(crate) computer: &'a str,
    pub(crate) token: &'a str,
    /// The bounds; `None` if the job exists already, whatever the limits.
    pub(crate) bounds: Option<Bounds>,
    pub(crate) demand: &'a Demand,
}

/// Takes a ticket. A process that has one keeps it, with its share of the machine.
pub(crate) fn take(db: &Connection, wish: &Wish<'_>, now: i64) -> Result<()> {
    let Wish { process, computer, token, bounds, demand } = wish;
    let kept = db
        .prepare_cached("UPDATE ticket SET token = ?2, queued = 1 WHERE process = ?1")?
        .execute(params![process.0, token])?;
    if kept == 1 {
        return Ok(());
    }
    let full = || Error::new(ErrorKind::Limit, "take ticket").with("computer", computer).later();
    let sharing = queues::sharing(computers(db)?, &queues::read(db)?, &queues::machines(db)?, computer);
    if let Some(bounds) = bounds
        && is_full(db, computer, sharing.as_ref(), *bounds)?
    {
        return Err(full());
    }
    let mut devices = Vec::new();
    if let Some(sharing) = &sharing
        && let Some(capacity) = sharing.capacity(computer)
        && capacity.bounds(demand)
    {
        let used = in_use(db, sharing)?;
        if bounds.is_some() && capacity.lack(demand, &used).is_some() {
            return Err(full());
        }
        devices = capacity.pick(demand.gpus, &used);
    }
    db.prepare_cached(
        "INSERT INTO ticket (process, computer, token, queued, taken, cores, memory_kb, gpus, devices)
         VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        process.0,
        computer,
        token,
        now,
        demand.cores,
        demand.memory_kb as i64,
        demand.gpus,
        devices.join(",")
    ])?;
    Ok(())
}

/// Returns whether the tickets of all computers that share a queue leave no room. The bounds may be older than a
/// change of limits, or than news of which computers share it. So the present limits are checked as well.
fn is_full(db: &Connection, computer: &str, sharing: Option<&Sharing>, bounds: Bounds) -> Result<bool> {
    let limits = sharing.map(Sharing::limits).unwrap_or_default();
    let bounds = bounds.within(&limits);
    if bounds == Bounds::default() {
        return Ok(false);
    }
    let mut used = Usage::default();
    let alone = sharing.is_none().then_some(computer);
    for label in sharing.into_iter().flat_map(Sharing::labels).chain(alone) {
        let (active, queued): (u32, u32) = db
            .prepare_cached("SELECT count(*), coalesce(sum(queued), 0) FROM ticket WHERE computer = ?1")?
            .query_row([label], |row| Ok((row.get(0)?, row.get(1)?)))?;
        used.active += active;
        used.queued += queued;
    }
    Ok(bounds.room(&used) == Some(0))
}

fn in_use(db: &Connection, sharing: &Sharing) -> rusqlite::Result<InUse> {
    let mut used = InUse::default();
    for label in sharing.labels() {
        of_computer(db, label)?.iter().for_each(|ticket| ticket.add_to(&mut used));
    }
    Ok(used)
}

/// Returns the tickets of a computer, by process.
pub(crate) fn of_computer(db: &Connection, computer: &str) -> rusqlite::Result<Vec<Ticket>> {
    db.prepare_cached(
        "SELECT process, token, queued, cores, memory_kb, gpus, devices FROM ticket
         WHERE computer = ?1 ORDER BY process",
    )?
    .query_map([computer], ticket)?
    .collect()
}

fn ticket(row: &Row<'_>) -> rusqlite::Result<Ticket> {
    let devices: String = row.get(6)?;
    let memory_kb: i64 = row.get(4)?;
    Ok(Ticket {
        process: NodeId(row.get(0)?),
        token: row.get(1)?,
        queued: row.get(2)?,
        demand: Demand { cores: row.get(3)?, memory_kb: memory_kb.max(0) as u64, gpus: row.get(5)? },
        devices: devices.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
    })
}
