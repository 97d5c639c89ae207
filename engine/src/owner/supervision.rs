//! The supervisor's state, as it writes it for others: its worker, and the worker's last death.

use std::{fs, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Death;
use crate::{child::Child, profile::Paths, store::Lock};

/// The supervisor's state, in a file of the profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervision {
    /// The supervisor itself.
    pub supervisor: Child,
    /// The worker, while there is one.
    #[serde(default)]
    pub worker: Option<Child>,
    /// Workers started after the first.
    #[serde(default)]
    pub restarts: u32,
    /// Time at which the next one is started, while there is none.
    #[serde(default)]
    pub next_start: Option<Timestamp>,
    /// The last death of a worker; kept from one supervisor to the next.
    #[serde(default)]
    pub last_death: Option<Death>,
}

impl Supervision {
    /// Reads the state that the last supervisor of a profile has written; it may have ended.
    pub fn read(paths: &Paths) -> Option<Supervision> {
        serde_json::from_slice(&fs::read(paths.supervision()).ok()?).ok()
    }

    /// Returns the running supervisor, if there is one, and the state that it has written.
    pub fn living(paths: &Paths) -> Option<(Child, Option<Supervision>)> {
        let (child, _) = Lock::holding(&paths.supervisor_lock())?;
        Some((child, Supervision::read(paths).filter(|told| told.supervisor == child)))
    }

    pub(crate) fn write(&self, paths: &Paths) -> io::Result<()> {
        let new = paths.supervision().with_extension("new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, paths.supervision())
    }
}
