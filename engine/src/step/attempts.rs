//! The failed attempts at a process's present step. All kinds of process have them in their saved state, under the
//! same names, so that they can be explained without knowing the kind.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock;

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

/// The fields that are left out of a saved state where they are empty.
const LEFT_OUT: [&str; 3] = ["planned", "last_error", "host_failures"];

impl Attempts {
    /// Reads the attempts from a saved state; returns none if the state is missing or unreadable.
    pub(crate) fn read(checkpoint: Option<&str>) -> Attempts {
        checkpoint.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Returns the saved state with these attempts in it, and all else unchanged.
    pub(crate) fn write(&self, checkpoint: Option<&str>) -> String {
        let saved = checkpoint.and_then(|text| serde_json::from_str(text).ok());
        let mut saved = saved.unwrap_or_else(|| serde_json::json!({ "version": 1 }));
        if let (Some(saved), Ok(serde_json::Value::Object(own))) =
            (saved.as_object_mut(), serde_json::to_value(self))
        {
            saved.retain(|key, _| !LEFT_OUT.contains(&key.as_str()));
            saved.extend(own);
        }
        saved.to_string()
    }

    /// Returns the time until the next try; `None` if it is due. The result is never longer than the planned
    /// delay, even if the clock was set back meanwhile.
    pub(crate) fn wait(&self) -> Option<Duration> {
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
    fn they_live_beside_what_else_is_saved() {
        let attempts = Attempts { attempt: 2, last_error: Some("why".into()), ..Attempts::default() };
        let saved = attempts.write(Some(r#"{"version": 1, "steps": 7}"#));
        assert_eq!(Attempts::read(Some(&saved)), attempts);
        let value: serde_json::Value = serde_json::from_str(&saved).unwrap();
        assert_eq!(value["steps"], 7);
        assert_eq!(Attempts::read(Some(&attempts.write(None))), attempts);
        assert_eq!(Attempts::read(None), Attempts::default());
        let cleared = Attempts::default().write(Some(&saved));
        assert_eq!(Attempts::read(Some(&cleared)), Attempts::default());
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
