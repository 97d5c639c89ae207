//! Processes that call others: a state machine in the plugin, driven event by event.
//!
//! ```text
//! event --> plugin: step(state, event) --> state, commands, then --> one commit --+
//!   ^                                                                             |
//!   +--- a child ended, a time came <--- waiting: a row, nothing in memory <------+
//! ```
//!
//! A step's children, outputs and report lines are committed with its new state, or not at all; so it may be run
//! again after any crash. A child is identified by its caller and its call; the store refuses a second one under
//! the same call. The end of a child wakes its caller in the transaction of that end.

mod checkpoint;
mod commands;
mod step;

pub(crate) use step::{Advance, Workflow};

use crate::store::{Change, Process};

/// Returns the change that a killed workflow asked for at its end, if any.
pub(crate) fn last_wishes(process: &Process) -> Option<Change> {
    let saved = checkpoint::Checkpoint::read(process.checkpoint()).ok()?;
    saved.cleans.then_some(Change::Clean { process: process.id, below: true })
}
