//! Work on computers, whichever process wants it: poll their jobs, admit submissions, submit in batches, probe hosts
//! in trouble, and clean up.

mod admit;
pub(crate) mod cancel_orphans;
pub(crate) mod pace;
pub(crate) mod poller;
pub(crate) mod prober;
pub(crate) mod remove_work_dirs;

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
