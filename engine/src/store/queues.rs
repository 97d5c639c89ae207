//! Which computers share a queue. A host says once which queue it is and which user one is there; until it has said so,
//! its address stands for both.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{ComputerRow, Result};
use crate::{
    computer::Computer,
    scheduler::{Limits, QueueKey},
};

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

/// The computers of a profile that reach one queue as one user.
#[derive(Debug, Clone, PartialEq)]
pub struct Sharing {
    /// The queue.
    pub queue: QueueId,
    /// The one that was asked for, then the others by label.
    pub computers: Vec<Computer>,
}

impl Sharing {
    /// Their labels, in the same order.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.computers.iter().map(|computer| computer.label.as_str())
    }

    /// The limits that hold for their jobs together.
    pub fn limits(&self) -> Limits {
        Limits::of_all(&self.computers)
    }
}

/// Those of the computers that share the queue of the one with this label; `None`: there is no such computer.
pub(super) fn sharing(
    computers: Vec<ComputerRow>,
    known: &BTreeMap<String, QueueKey>,
    label: &str,
) -> Option<Sharing> {
    let (own, others): (Vec<_>, Vec<_>) =
        computers.into_iter().map(|row| row.config).partition(|computer| computer.label == label);
    let queue = queue_of(own.first()?, known);
    let others = others.into_iter().filter(|other| queue_of(other, known) == queue);
    Some(Sharing { computers: own.into_iter().chain(others).collect(), queue })
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
