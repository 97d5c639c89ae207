//! The failed attempts at a process's present step. They are a column of its row, as JSON, whatever its kind: so they
//! are read, and forgotten when a user lets it continue, without a look into its checkpoint.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use ferry_engine_core::clock;

use crate::error::{Error, ErrorKind, Result};

/// Failed attempts at the present step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempts {
    /// Number of failures that use up an attempt.
    pub attempt: u32,
    /// Time of the next try.
    pub next_try: Option<Timestamp>,
    /// Delay that was planned before the next try. It never waits longer than that, even if the clock is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<Duration>,
    /// The last error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Number of plugin hosts that died during the step.
    pub deaths: u32,
    /// Number of failures that were due to the computer, as far as the process could tell.
    #[serde(skip_serializing_if = "is_zero")]
    pub host_failures: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Attempts {
    /// Returns the text of the column; `None`: nothing has failed.
    pub(super) fn column(&self) -> Result<Option<String>> {
        if *self == Attempts::default() {
            return Ok(None);
        }
        serde_json::to_string(self)
            .map(Some)
            .map_err(|source| Error::new(ErrorKind::Rule, "store attempts").source(source))
    }

    /// Returns the time until the next try; `None` if it is due. The result is never longer than the planned
    /// delay, even if the clock was set back meanwhile.
    pub fn wait(&self) -> Option<Duration> {
        let next_try = self.next_try?;
        if let Some(failed) = self.planned.and_then(|planned| next_try.checked_sub(planned).ok()) {
            clock::advance_to(failed);
        }
        let wait = Duration::try_from(next_try.duration_since(clock::steady())).ok();
        let wait = wait.filter(|wait| !wait.is_zero())?;
        Some(self.planned.map_or(wait, |planned| wait.min(planned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_format_7_wrote_is_read() {
        let golden = r#"{"attempt":2,"next_try":"2026-01-02T03:04:05Z","planned":{"secs":20,"nanos":0},"last_error":"why","deaths":1,"host_failures":4}"#;
        let read: Attempts = serde_json::from_str(golden).unwrap();
        assert_eq!((read.attempt, read.deaths, read.host_failures), (2, 1, 4));
        assert_eq!(read.column().unwrap().as_deref(), Some(golden), "the stored format changed");
        assert_eq!(Attempts::default().column().unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_back_makes_nobody_wait_longer_than_planned() {
        clock::simulated::set("2026-01-01T00:00:00Z".parse().unwrap());
        let planned = Duration::from_secs(20);
        let next_try = clock::now().checked_add(Duration::from_secs(3620)).ok();
        let attempts = Attempts { next_try, planned: Some(planned), ..Attempts::default() };
        assert_eq!(attempts.wait(), Some(planned));
        tokio::time::advance(Duration::from_secs(15)).await;
        assert_eq!(attempts.wait(), Some(Duration::from_secs(5)), "it is not put off again at each look");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(attempts.wait(), None);
        clock::simulated::clear();
    }
}
