//! Work on computers, whichever process wants it: poll their jobs, admit submissions, submit in batches, probe hosts
//! in trouble, and clean up.

pub(crate) mod admission;
pub(crate) mod cancel_orphans;
pub(crate) mod clusters;
pub(crate) mod holds;
pub(crate) mod pace;
pub(crate) mod poller;
pub(crate) mod prober;
pub(crate) mod queues;
pub(crate) mod remove_work_dirs;
pub(crate) mod submit_batch;
mod trouble;

pub(crate) use holds::Lane;
pub use submit_batch::Submitters;
pub use trouble::SchedulerTrouble;

use crate::{calcjob::Observation, store::NodeId};

/// The events that the executor receives.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something about a process may have changed: check it.
    Wake(NodeId),
    /// A terminal follows the process: step it, even where only some processes are stepped.
    Attach(NodeId),
    /// The end of the process was requested: interrupt its step.
    Kill(NodeId),
    /// The job of the process was observed.
    Observed(NodeId, Observation),
    /// A request to stop gracefully.
    Stop,
}
