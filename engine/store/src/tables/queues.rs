//! The computers that share a queue. A host reports once which queue it is and which user applies there. Until
//! then, its address stands for both.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::{
    database::row::json,
    error::{Error, ErrorKind, Result},
    records::ComputerRow,
};
use ferry_engine_core::{
    computer::Computer,
    scheduler::{Capacity, Limits, Machine, QueueKey},
};

/// The identity of a queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueId {
    /// The key that its host reports.
    Named(QueueKey),
    /// The address of its host, until the host has reported a key.
    At(String),
}

/// Returns the queue of a computer, as far as it is known.
pub fn queue_of(computer: &Computer, known: &BTreeMap<String, QueueKey>) -> QueueId {
    let address = computer.address();
    known.get(&address).cloned().map_or_else(|| QueueId::At(address), QueueId::Named)
}

/// The computers of a profile that reach one queue as one user.
#[derive(Debug, Clone, PartialEq)]
pub struct Sharing {
    /// The queue.
    pub queue: QueueId,
    /// The computer that was asked for, then the others by label.
    pub computers: Vec<Computer>,
    /// Resources of their machine, if their jobs share one and it has reported them.
    pub machine: Option<Machine>,
}

impl Sharing {
    /// Returns their labels, in the same order.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.computers.iter().map(|computer| computer.label.as_str())
    }

    /// Returns the limits that hold for their jobs together.
    pub fn limits(&self) -> Limits {
        Limits::of_all(&self.computers)
    }

    /// Returns the share of the machine that jobs of one computer may use; `None` if it is unbounded.
    pub fn capacity(&self, label: &str) -> Option<Capacity> {
        let own = self.computers.iter().find(|computer| computer.label == label)?;
        Some(Capacity::of(own, &self.computers, self.machine.as_ref()?))
    }
}

/// Returns the computers that share the queue of the computer with this label; `None` if there is no such
/// computer.
pub(crate) fn sharing(
    computers: Vec<ComputerRow>,
    known: &BTreeMap<String, QueueKey>,
    machines: &BTreeMap<String, Machine>,
    label: &str,
) -> Option<Sharing> {
    let (own, others): (Vec<_>, Vec<_>) =
        computers.into_iter().map(|row| row.config).partition(|computer| computer.label == label);
    let queue = queue_of(own.first()?, known);
    let others = others.into_iter().filter(|other| queue_of(other, known) == queue);
    let computers: Vec<Computer> = own.into_iter().chain(others).collect();
    // Each is asked separately, and may not have been asked yet.
    let machine = computers.iter().find_map(|computer| machines.get(&computer.address()).cloned());
    Some(Sharing { queue, computers, machine })
}

/// Returns the hosts' reports of their machines, by the address at which they were asked.
pub(crate) fn machines(db: &Connection) -> rusqlite::Result<BTreeMap<String, Machine>> {
    db.prepare_cached("SELECT address, machine FROM machine")?
        .query_map([], |row| Ok((row.get(0)?, json(row, 1)?)))?
        .collect()
}

/// Writes a host's report of its machine.
pub(crate) fn write_machine(db: &Connection, address: &str, machine: &Machine) -> Result<()> {
    let json = serde_json::to_string(machine)
        .map_err(|source| Error::new(ErrorKind::Rule, "store machine").source(source))?;
    db.prepare_cached(
        "INSERT INTO machine (address, machine) VALUES (?1, ?2)
         ON CONFLICT (address) DO UPDATE SET machine = excluded.machine",
    )?
    .execute(params![address, json])?;
    Ok(())
}

/// Returns the hosts' queues, by the address at which they were asked.
pub(crate) fn read(db: &Connection) -> rusqlite::Result<BTreeMap<String, QueueKey>> {
    db.prepare_cached("SELECT address, queue, uid FROM queue")?
        .query_map([], |row| Ok((row.get(0)?, QueueKey { queue: row.get(1)?, uid: row.get(2)? })))?
        .collect()
}

/// Writes the queue that a host has reported.
pub(crate) fn write(db: &Connection, address: &str, key: &QueueKey) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO queue (address, queue, uid) VALUES (?1, ?2, ?3)
         ON CONFLICT (address) DO UPDATE SET queue = excluded.queue, uid = excluded.uid",
    )?
    .execute(params![address, key.queue, key.uid])?;
    Ok(())
}
