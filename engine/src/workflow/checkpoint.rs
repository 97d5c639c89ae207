//! The saved state of a workflow between its steps. Stored as JSON in the process's row, with a version.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::step::{StepError, StepResult};

/// The version this program writes.
pub(super) const VERSION: u32 = 2;

/// A workflow's saved state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// Steps taken so far.
    #[serde(default)]
    pub steps: u64,
    /// The state that the plugin's machine saved, opaque.
    #[serde(default, with = "bytes")]
    pub state: Vec<u8>,
    /// The event that it waits for.
    #[serde(default)]
    pub waiting: Option<Waiting>,
    /// True if the work directories of the calculations below it are removed when it has finished or was killed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cleans: bool,
}

/// The event that a workflow waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// Calls that must end.
    pub calls: Vec<String>,
    /// True if the end of the first of them is enough.
    pub any: bool,
    /// The latest time to wake.
    pub until: Option<Timestamp>,
}

impl Waiting {
    /// Begins to wait for these calls, or for a time in microseconds.
    ///
    /// # Errors
    /// `Except` for a wait that nothing would end.
    pub(super) fn new(calls: Vec<String>, any: bool, until: Option<i64>) -> StepResult<Waiting> {
        let until = until.map(Timestamp::from_microsecond).transpose();
        let until =
            until.map_err(|error| StepError::Except(format!("it waits until an invalid time: {error}")))?;
        if calls.is_empty() && until.is_none() {
            return Err(StepError::Except("it waits for nothing: neither for a call nor for a time".into()));
        }
        Ok(Waiting { calls, any, until })
    }

    /// Returns the reason for the wait, in words.
    pub(super) fn in_words(&self) -> String {
        match (self.calls.len(), self.until) {
            (0, Some(until)) => format!("waits until {until}"),
            (1, _) => "waits for a process that it called".to_owned(),
            (count, _) if self.any => format!("waits for the first of {count} processes that it called"),
            (count, _) => format!("waits for {count} processes that it called"),
        }
    }
}

impl Default for Checkpoint {
    fn default() -> Self {
        Checkpoint { version: VERSION, steps: 0, state: Vec::new(), waiting: None, cleans: false }
    }
}

impl Checkpoint {
    /// Reads a saved state; without one, returns the initial state.
    ///
    /// # Errors
    /// A text for the process's report: a newer version, or a damaged state.
    pub(super) fn read(text: Option<&str>) -> Result<Checkpoint, String> {
        let Some(text) = text else { return Ok(Checkpoint::default()) };
        let saved: Checkpoint =
            serde_json::from_str(text).map_err(|error| format!("the checkpoint can't be read: {error}"))?;
        match saved.version {
            ..=VERSION => Ok(Checkpoint { version: VERSION, ..saved }),
            newer => Err(format!("the checkpoint was written by a newer ferry (version {newer})")),
        }
    }
}

/// Serialization of bytes as base64 text.
mod bytes {
    use data_encoding::BASE64;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_version_1_wrote_is_read() {
        // Its attempts are a column since version 2.
        let read = Checkpoint::read(Some(include_str!("checkpoint_v1.json"))).unwrap();
        assert_eq!(read, Checkpoint::read(Some(include_str!("checkpoint_v2.json"))).unwrap());
    }

    #[test]
    fn what_version_2_wrote_is_read() {
        let text = include_str!("checkpoint_v2.json");
        let read = Checkpoint::read(Some(text)).unwrap();
        assert_eq!((read.steps, read.state.as_slice()), (3, b"state".as_slice()));
        assert_eq!(read.waiting.as_ref().unwrap().calls, ["2.0", "2.1"]);
        assert_eq!(serde_json::to_value(&read).unwrap(), golden(text), "the stored format changed");
    }

    #[test]
    fn a_newer_one_is_refused() {
        let newer = Checkpoint::read(Some(r#"{"version": 3, "steps": 1}"#));
        assert!(newer.unwrap_err().contains("newer ferry"));
    }
}
