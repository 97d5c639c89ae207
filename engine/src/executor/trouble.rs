//! The trouble of the store, as it is shown to users.

use serde::{Deserialize, Serialize};

/// Trouble with an owner's store: it can't be read or written in places, since it is damaged or its disk is full.
/// The owner tries again every few seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreTrouble {
    /// Number of processes that can't continue; 0 if not even the unfinished processes could be read.
    pub processes: usize,
    /// The last error of the store.
    pub message: String,
    /// The next step.
    pub help: Option<String>,
}
