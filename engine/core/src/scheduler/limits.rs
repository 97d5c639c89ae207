//! Limits of a computer: how many jobs may be pending or active at once, and how fast they may be submitted. Pure
//! accounting, which the engine's admission uses, and the transaction that takes a ticket.

use std::time::Duration;

use tokio::time::Instant;

use serde::{Deserialize, Serialize};

use crate::computer::Computer;

/// The limits that a user sets on a computer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Most jobs pending, or submitted and not yet seen.
    pub max_queued: Option<u32>,
    /// Most jobs pending or running.
    pub max_active: Option<u32>,
    /// Highest rate of submissions.
    pub rate: Option<Rate>,
}

impl Limits {
    /// Returns the limits in a computer's settings.
    ///
    /// # Errors
    /// A rate that can't be read.
    pub fn of(computer: &Computer) -> Result<Limits, String> {
        let rate =
            computer.submit_rate.as_deref().filter(|text| !text.is_empty()).map(str::parse).transpose()?;
        Ok(Limits { max_queued: computer.max_queued_jobs, max_active: computer.max_active_jobs, rate })
    }

    /// Returns the limits on the jobs of several computers together: the smallest of several bounds, the slowest
    /// of several rates. A computer without a limit is ignored, and so is a rate that can't be read.
    pub fn of_all<'a>(computers: impl IntoIterator<Item = &'a Computer>) -> Limits {
        let least = |a: Option<u32>, b: Option<u32>| a.into_iter().chain(b).min();
        let slowest = |a: Option<Rate>, b: Option<Rate>| a.into_iter().chain(b).min_by(Rate::compare);
        computers.into_iter().fold(Limits::default(), |all, computer| Limits {
            max_queued: least(all.max_queued, computer.max_queued_jobs),
            max_active: least(all.max_active, computer.max_active_jobs),
            rate: slowest(all.rate, Limits::of(computer).ok().and_then(|limits| limits.rate)),
        })
    }

    /// Returns whether there are any.
    pub fn any(&self) -> bool {
        *self != Limits::default()
    }
}

/// A number of submissions in an amount of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// The number of submissions.
    pub permits: u32,
    /// The time in which they are allowed.
    pub per: Duration,
}

impl Rate {
    /// Orders slower rates first; of two that are as slow, the one of smaller bursts.
    fn compare(&self, other: &Rate) -> std::cmp::Ordering {
        let in_the_same_time = |rate: &Rate, time: Duration| u128::from(rate.permits) * time.as_millis();
        in_the_same_time(self, other.per)
            .cmp(&in_the_same_time(other, self.per))
            .then(self.permits.cmp(&other.permits))
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    /// Reads `50/2min`, `10/s`, `1/30s`, `100/h`.
    fn from_str(text: &str) -> Result<Rate, String> {
        let wrong = || format!("invalid rate `{text}`: write it as `50/2min`, `10/s` or `100/h`");
        let (permits, time) = text.split_once('/').ok_or_else(wrong)?;
        let permits: u32 = permits.trim().parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
        let time = time.trim();
        let digits = time.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: u64 = if digits == 0 { 1 } else { time[..digits].parse().map_err(|_| wrong())? };
        let unit = match time[digits..].trim() {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            _ => return Err(wrong()),
        };
        let seconds = count.checked_mul(unit).filter(|seconds| *seconds > 0).ok_or_else(wrong)?;
        Ok(Rate { permits, per: Duration::from_secs(seconds) })
    }
}

/// The unused permits of a rate. They grow evenly from one, so that restarts can't exceed the rate.
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: Rate,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// Returns a bucket with one permit.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Bucket { rate, level: 1.0, at: now }
    }

    /// Returns the rate at which it fills.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes as many permits as there are, at most `wanted`; returns their number.
    pub fn take(&mut self, wanted: u32, now: Instant) -> u32 {
        let grown = now.duration_since(self.at).as_secs_f64() / self.rate.per.as_secs_f64();
        self.level = (self.level + grown * f64::from(self.rate.permits)).min(f64::from(self.rate.permits));
        self.at = now;
        let taken = wanted.min(self.level as u32);
        self.level -= f64::from(taken);
        taken
    }
}

/// The use of a computer's limits, as `limit show` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Our jobs that are pending, or submitted and not yet seen.
    pub queued: u32,
    /// Our jobs that are pending or running.
    pub active: u32,
    /// Pending jobs of this user that are not ours.
    pub foreign_queued: u32,
    /// Pending or running jobs of this user that are not ours.
    pub foreign_active: u32,
}

/// Bounds on our own tickets, once other jobs of this user are subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Bound on those that count as queued.
    pub queued: Option<u32>,
    /// Bound on all.
    pub active: Option<u32>,
}

impl Limits {
    /// Returns the bounds on our own tickets. Where nothing can be pending, the queue's bound applies to active
    /// jobs. `learned`: a bound on active jobs that was learnt from the scheduler.
    pub fn bounds(&self, usage: &Usage, has_queue: bool, learned: Option<u32>) -> Bounds {
        let least = |a: Option<u32>, b: Option<u32>| a.into_iter().chain(b).min();
        let own = |bound: Option<u32>, foreign: u32| bound.map(|bound| bound.saturating_sub(foreign));
        let (queued, active) = if has_queue {
            (self.max_queued, self.max_active)
        } else {
            (None, least(self.max_queued, self.max_active))
        };
        Bounds {
            queued: own(queued, usage.foreign_queued),
            active: least(own(active, usage.foreign_active), learned),
        }
    }
}

impl Bounds {
    /// Returns these bounds, tightened by the limits. Where nothing can be pending, the queue's bound applied to
    /// active jobs. Bounds without one on pending jobs are treated the same way, since they may be older than that
    /// limit.
    pub fn within(self, limits: &Limits) -> Bounds {
        let least = |bounds: [Option<u32>; 3]| bounds.into_iter().flatten().min();
        let instead = limits.max_queued.filter(|_| self.queued.is_none());
        Bounds {
            queued: least([self.queued, limits.max_queued, None]),
            active: least([self.active, limits.max_active, instead]),
        }
    }

    /// Returns how many more tickets fit; `None`: any number.
    pub fn room(&self, usage: &Usage) -> Option<u32> {
        let left = |bound: Option<u32>, used: u32| bound.map(|bound| bound.saturating_sub(used));
        left(self.queued, usage.queued).into_iter().chain(left(self.active, usage.active)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_or_explained() {
        let rate = |text: &str| text.parse::<Rate>().map(|rate| (rate.permits, rate.per.as_secs()));
        assert_eq!(rate("50/2min"), Ok((50, 120)));
        assert_eq!(rate("10/s"), Ok((10, 1)));
        assert_eq!(rate("1 / 30s"), Ok((1, 30)));
        assert_eq!(rate("100/h"), Ok((100, 3600)));
        for bad in ["", "5", "0/s", "5/", "5/2", "5/0s", "x/s", "5/2weeks"] {
            assert!(rate(bad).unwrap_err().contains("50/2min"), "{bad}");
        }
    }

    #[test]
    fn of_several_limits_the_smaller_hold_and_of_rates_the_slower() {
        let computer = |queued, active, rate: Option<&str>| Computer {
            max_queued_jobs: queued,
            max_active_jobs: active,
            submit_rate: rate.map(str::to_owned),
            ..Computer::default()
        };
        let of = |computers: &[Computer]| Limits::of_all(computers);
        assert_eq!(of(&[computer(None, None, None)]), Limits::default());
        let both = [computer(Some(10), None, Some("30/min")), computer(Some(4), Some(7), Some("1/s"))];
        let expected = Limits { max_queued: Some(4), max_active: Some(7), rate: "30/min".parse().ok() };
        assert_eq!(of(&both), expected);
        let same_pace = [computer(None, None, Some("60/min")), computer(None, None, Some("1/s"))];
        assert_eq!(of(&same_pace).rate, "1/s".parse().ok());
        let unreadable = [computer(Some(3), None, Some("many")), computer(None, None, None)];
        assert_eq!(of(&unreadable), Limits { max_queued: Some(3), ..Limits::default() });
    }

    #[test]
    fn bounds_that_are_older_than_a_limit_are_kept_within_it() {
        let limits = Limits { max_queued: Some(4), max_active: Some(20), rate: None };
        let bounds = |queued, active| Bounds { queued, active };
        assert_eq!(bounds(Some(3), Some(25)).within(&limits), bounds(Some(3), Some(20)));
        assert_eq!(bounds(Some(9), None).within(&limits), bounds(Some(4), Some(20)));
        assert_eq!(Bounds::default().within(&limits), bounds(Some(4), Some(4)));
        assert_eq!(bounds(Some(3), None).within(&Limits::default()), bounds(Some(3), None));
    }

    #[test]
    fn a_bucket_never_gives_more_than_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Rate { permits: 10, per: Duration::from_secs(10) }, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(bucket.take(5, at(0)), 1);
        assert_eq!(bucket.take(5, at(0)), 0);
        assert_eq!(bucket.take(5, at(3)), 3);
        assert_eq!(bucket.take(50, at(1000)), 10);
    }

    #[test]
    fn what_is_not_ours_takes_room_and_nothing_goes_below_zero() {
        let limits = Limits { max_queued: Some(10), max_active: Some(20), rate: None };
        let usage = Usage { queued: 4, active: 12, foreign_queued: 3, foreign_active: 5 };
        assert_eq!(limits.bounds(&usage, true, None).room(&usage), Some(3));
        assert_eq!(
            limits.bounds(&usage, false, None).active,
            Some(5),
            "no queue: the smaller bound, on active jobs"
        );
        assert_eq!(limits.bounds(&usage, true, Some(13)).room(&usage), Some(1));
        let over = Usage { queued: 30, active: 30, ..usage };
        assert_eq!(limits.bounds(&over, true, None).room(&over), Some(0));
        assert_eq!(Limits::default().bounds(&usage, true, None).room(&usage), None);
        let closed = Limits { max_active: Some(0), ..Limits::default() };
        assert_eq!(closed.bounds(&Usage::default(), true, None).room(&Usage::default()), Some(0));
    }
}
