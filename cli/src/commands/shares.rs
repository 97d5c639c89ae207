//! Shows the use of a machine that jobs share, for `limit show` and `computer show`.

use ferry_engine::{scheduler::InUse, store::Reader};
use serde_json::{Value, json};

use crate::error::Result;

/// The use of cores, memory and GPUs, as far as jobs share them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shares {
    pub(super) cores: Option<Share>,
    pub(super) memory_kb: Option<Share>,
    pub(super) gpus: Option<Share>,
}

/// The amount of something that jobs have, and the most that they may have; `None`: as much as they want.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    used: u64,
    total: Option<u64>,
}

impl Shares {
    /// Reads the shares of a computer's machine. They are empty if its jobs share none, or if its resources
    /// are not known yet.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub(super) fn read(reader: &Reader, label: &str) -> Result<Shares> {
        let sharing = reader.sharing(label)?;
        let Some(capacity) = sharing.capacity(label) else { return Ok(Shares::default()) };
        let mut used = InUse::default();
        for label in sharing.labels() {
            reader.tickets(label)?.iter().for_each(|ticket| ticket.add_to(&mut used));
        }
        let used = used.total();
        let gpus = capacity.devices.map(|devices| devices.len() as u64);
        Ok(Shares {
            cores: Some(Share { used: used.cores.into(), total: capacity.cores.map(u64::from) }),
            memory_kb: Some(Share { used: used.memory_kb, total: capacity.memory_kb }),
            gpus: gpus.map(|gpus| Share { used: used.gpus.into(), total: Some(gpus) }),
        })
    }

    /// Describes all of it in one line; `None` if there is nothing to report.
    pub(super) fn words(self) -> Option<String> {
        let of = |share: Option<Share>, what: &str| Some(format!("{} {what}", share?.words()));
        let all = [of(self.cores, "cores"), of(self.memory_kb, "kB of memory"), of(self.gpus, "GPUs")];
        let all: Vec<String> = all.into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// Returns all of it for programs.
    pub(super) fn json(self) -> Value {
        json!({
            "cores": self.cores.map(Share::json),
            "memory_kb": self.memory_kb.map(Share::json),
            "gpus": self.gpus.map(Share::json),
        })
    }
}

impl Share {
    pub(super) fn words(self) -> String {
        match self.total {
            Some(total) => format!("{} of {total}", self.used),
            None => self.used.to_string(),
        }
    }

    pub(super) fn json(self) -> Value {
        json!({"in_use": self.used, "of": self.total})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_told_in_words() {
        let shares = Shares {
            cores: Some(Share { used: 6, total: Some(8) }),
            memory_kb: Some(Share { used: 5, total: None }),
            gpus: None,
        };
        assert_eq!(shares.words().unwrap(), "6 of 8 cores, 5 kB of memory");
        assert_eq!(Shares::default().words(), None);
        assert_eq!(shares.json()["cores"], json!({"in_use": 6, "of": 8}));
    }
}
