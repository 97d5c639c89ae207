//! The failures of a process's present step, as its saved state holds them. The names are the same for all kinds
//! of process, so that they can be explained without knowing the kind.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock;

/// Failures of the present step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Failures {
    /// Number of failures that use up an attempt.
    pub(crate) attempt: u32,
    /// Time of the next try.
    pub(crate) next_try: Option<Timestamp>,
    /// Delay that was planned before the next try.
    pub(crate) planned: Option<Duration>,
    /// The last error.
    pub(crate) last_error: Option<String>,
    /// Number of plugin hosts that died during the step.
    pub(crate) deaths: u32,
}

impl Failures {
    /// Reads the failures from a saved state; returns none if the state is missing or unreadable.
    pub(crate) fn read(checkpoint: Option<&str>) -> Failures {
        checkpoint.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Returns the saved state with these failures in it, and all else unchanged.
    pub(crate) fn write(&self, checkpoint: Option<&str>) -> String {
        let saved = checkpoint.and_then(|text| serde_json::from_str(text).ok());
        let mut saved = saved.unwrap_or_else(|| serde_json::json!({ "version": 1 }));
        if let (Some(saved), Ok(serde_json::Value::Object(own))) =
            (saved.as_object_mut(), serde_json::to_value(self))
        {
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
        let failures = Failures { attempt: 2, last_error: Some("why".into()), ..Failures::default() };
        let saved = failures.write(Some(r#"{"version": 1, "steps": 7}"#));
        assert_eq!(Failures::read(Some(&saved)), failures);
        let value: serde_json::Value = serde_json::from_str(&saved).unwrap();
        assert_eq!(value["steps"], 7);
        assert_eq!(Failures::read(Some(&failures.write(None))), failures);
        assert_eq!(Failures::read(None), Failures::default());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_back_makes_nobody_wait_longer_than_planned() {
        clock::simulated::set("2026-01-01T00:00:00Z".parse().unwrap());
        let planned = Duration::from_secs(20);
        let next_try = clock::now().checked_add(Duration::from_secs(3620)).ok();
        let failures = Failures { next_try, planned: Some(planned), ..Failures::default() };
        assert_eq!(failures.wait(), Some(planned));
        tokio::time::advance(Duration::from_secs(15)).await;
        assert_eq!(failures.wait(), Some(Duration::from_secs(5)), "it is not put off again at each look");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(failures.wait(), None);
        clock::simulated::clear();
    }
}
