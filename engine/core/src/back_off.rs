//! Back-off: the wait before something that failed is tried again.

use std::time::Duration;

/// Waits that double with each failure in a row, or grow with the age of the trouble, up to the longest.
///
/// ```
/// use ferry_engine_core::back_off::BackOff;
/// use std::time::Duration;
///
/// let back_off = BackOff { first: Duration::from_secs(10), longest: Duration::from_secs(60) };
/// let waits: Vec<u64> = (1..=5).map(|failures| back_off.wait(failures).as_secs()).collect();
/// assert_eq!(waits, [10, 20, 40, 60, 60]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// Wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl BackOff {
    /// Returns the wait after a number of failures in a row; after none that of the first.
    pub fn wait(&self, failures: u32) -> Duration {
        self.first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(self.longest)
    }

    /// Returns that wait, up to a tenth more or less by `seed`, so that many do not come back at once.
    pub fn spread(&self, failures: u32, seed: u64) -> Duration {
        spread(self.wait(failures), seed)
    }

    /// Returns the wait in trouble of this age: one in `parts` of it. It needs no count of failures, so it goes on
    /// after a restart if only the beginning is stored. The waits of one process grow as fast as with a count, since
    /// each makes the trouble older.
    ///
    /// ```
    /// # use ferry_engine_core::back_off::BackOff;
    /// # use std::time::Duration;
    /// let back_off = BackOff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
    /// let waits = [0, 10, 100, 1000].map(|age| back_off.wait_by_age(Duration::from_secs(age), 2).as_secs());
    /// assert_eq!(waits, [1, 5, 50, 60]);
    /// ```
    pub fn wait_by_age(&self, age: Duration, parts: u32) -> Duration {
        (age / parts.max(1)).max(self.first).min(self.longest)
    }
}

/// Returns a wait, up to a tenth more or less by `seed`.
pub fn spread(wait: Duration, seed: u64) -> Duration {
    let part = 0.9 + (seed % 201) as f64 / 1000.0;
    Duration::try_from_secs_f64(wait.as_secs_f64() * part).unwrap_or(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_failures_is_too_large() {
        let endless = BackOff { first: Duration::MAX, longest: Duration::MAX };
        assert_eq!(endless.wait(u32::MAX), Duration::MAX);
        assert_eq!(endless.spread(u32::MAX, 200), Duration::MAX);
        let none = BackOff { first: Duration::ZERO, longest: Duration::from_secs(1) };
        assert_eq!(none.spread(9, 7), Duration::ZERO);
    }

    #[test]
    fn seeds_spread_by_a_tenth() {
        let back_off = BackOff { first: Duration::from_secs(100), longest: Duration::from_secs(100) };
        let waits = (0..=200).map(|seed| back_off.spread(1, seed).as_secs_f64());
        let (least, most) =
            waits.fold((f64::MAX, 0.0_f64), |(least, most), wait| (least.min(wait), most.max(wait)));
        assert!((least - 90.0).abs() < 1e-6 && (most - 110.0).abs() < 1e-6, "{least} {most}");
    }
}
