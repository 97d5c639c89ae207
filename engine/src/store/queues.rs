//! Which computers share a queue. A host says once which queue it is and which user one is there; until it has said so,
//! its address stands for both.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{ComputerRow, Result};
use crate::{computer::Computer, scheduler::QueueKey};

/// What tells one queue from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueId {
    /// What its host says.
    Named(QueueKey),
    /// Where it is reached, as long as nobody has said more.
    At(String),
}

/// What is known of the queue of a computer.
pub fn queue_of(computer: &Computer, known: &BTreeMap<String, QueueKey>) -> QueueId {
    let address = computer.address();
    known.get(&address).cloned().map_or_else(|| QueueId::At(address), QueueId::Named)
}

/// Those computers that reach the same queue as the same user as the one with this label: itself first, the others by
/// label. Empty if there is none of this label.
pub(super) fn sharing(
    computers: Vec<ComputerRow>,
    known: &BTreeMap<String, QueueKey>,
    label: &str,
) -> Vec<Computer> {
    let (own, others): (Vec<_>, Vec<_>) =
        computers.into_iter().map(|row| row.config).partition(|computer| computer.label == label);
    let Some(queue) = own.first().map(|own| queue_of(own, known)) else { return Vec::new() };
    own.into_iter().chain(others.into_iter().filter(|other| queue_of(other, known) == queue)).collect()
}

/// What hosts have said, by the address that they were asked at.
pub(super) fn read(db: &Connection) -> rusqlite::Result<BTreeMap<String, QueueKey>> {
    db.prepare_cached("SELECT address, queue, uid FROM queue")?
        .query_map([], |row| Ok((row.get(0)?, QueueKey { queue: row.get(1)?, uid: row.get(2)? })))?
        .collect()
}

/// Writes what a host has said.
pub(super) fn write(db: &Connection, address: &str, key: &QueueKey) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO queue (address, queue, uid) VALUES (?1, ?2, ?3)
         ON CONFLICT (address) DO UPDATE SET queue = excluded.queue, uid = excluded.uid",
    )?
    .execute(params![address, key.queue, key.uid])?;
    Ok(())
}
