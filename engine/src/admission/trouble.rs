//! The trouble of a scheduler, as it is shown to users.

use serde::{Deserialize, Serialize};

/// The trouble of a scheduler whose computer is well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerTrouble {
    /// Label of the computer.
    pub computer: String,
    /// The cluster, unless it is the computer's home cluster.
    pub cluster: Option<String>,
    /// Start of the trouble, RFC 3339.
    pub since: String,
    /// The scheduler's message.
    pub message: String,
    /// The number of processes that wait since it refused them; 0: its queue can't be listed.
    pub held: usize,
}
