//! The plan of retries: how often a failed step is tried again, and after which delays.

use std::time::Duration;

use super::Settings;
use crate::{back_off::BackOff, computer::Computer};

/// The longest back-off.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);

/// The number and the delay of retries of a failed step on a computer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPlan {
    /// Wait after the first failure.
    pub initial: Duration,
    /// Failures of one step after which a process pauses.
    pub attempts: u32,
}

impl RetryPlan {
    /// Returns the computer's own plan, else the profile's.
    pub fn of(settings: &Settings, computer: Option<&Computer>) -> RetryPlan {
        let initial = computer.and_then(|computer| computer.retry_initial);
        let attempts = computer.and_then(|computer| computer.retry_attempts);
        RetryPlan {
            initial: initial
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .unwrap_or(settings.retry_initial),
            attempts: attempts.unwrap_or(settings.retry_attempts).max(1),
        }
    }

    /// Returns the delay after a failure. It doubles with each attempt, and varies by a tenth so that many
    /// processes do not return at once.
    pub(crate) fn delay(&self, attempt: u32, seed: u128) -> Duration {
        let seed = seed.wrapping_mul(u128::from(attempt)) as u64;
        BackOff { first: self.initial, longest: Duration::MAX }.spread(attempt, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: RetryPlan = RetryPlan { initial: Duration::from_secs(20), attempts: 5 };

    #[test]
    fn back_off_doubles_with_little_jitter() {
        for attempt in 1..5 {
            let plain = 20.0 * f64::from(1 << (attempt - 1));
            let delay = PLAN.delay(attempt, 12345).as_secs_f64();
            assert!((delay / plain - 1.0).abs() <= 0.101, "{delay} {plain}");
        }
    }

    #[test]
    fn a_computer_s_own_plan_comes_first() {
        let settings = Settings {
            plugin_timeout: Duration::ZERO,
            plugin_max_hosts: None,
            retry_initial: Duration::from_secs(20),
            retry_attempts: 5,
            runner_tasks: 1,
            workflow_max_depth: 1,
        };
        let own = Computer { retry_initial: Some(0.5), retry_attempts: Some(2), ..Computer::default() };
        assert_eq!(RetryPlan::of(&settings, None), PLAN);
        let plan = RetryPlan::of(&settings, Some(&own));
        assert_eq!(plan, RetryPlan { initial: Duration::from_millis(500), attempts: 2 });
    }
}
