//! The usage of a queue that computers share.

use std::collections::HashSet;

use crate::{
    scheduler::{InUse, Usage},
    store::{NodeId, Reader, Result, Sharing},
};

/// The usage of a queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) sharing: Sharing,
    pub(super) usage: Usage,
    /// Processes with a ticket.
    pub(super) holders: HashSet<NodeId>,
    /// Their share of the machine.
    pub(super) in_use: InUse,
}

impl Queue {
    pub(super) fn read(store: &Reader, computer: &str, foreign: (u32, u32)) -> Result<Queue> {
        let sharing = store.sharing(computer)?;
        let (foreign_queued, foreign_active) = foreign;
        let mut usage = Usage { foreign_queued, foreign_active, ..Usage::default() };
        let (mut holders, mut in_use) = (HashSet::new(), InUse::default());
        for label in sharing.labels() {
            for ticket in store.tickets(label)? {
                usage.queued += u32::from(ticket.queued);
                usage.active += 1;
                holders.insert(ticket.process);
                ticket.add_to(&mut in_use);
            }
        }
        Ok(Queue { sharing, usage, holders, in_use })
    }
}
