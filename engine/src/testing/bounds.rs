//! Checks from a host's side whether an owner kept the host's limits, given what the owner could know of them.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::scheduler::Limits;

/// Time for which an owner may act on outdated numbers, or on limits that were changed since.
const HINDSIGHT: Duration = Duration::from_secs(900);

/// The limits of a host's computers, and the numbers of other jobs reported to its owner, since the start.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    limits: BTreeMap<&'static str, Vec<(Instant, Limits)>>,
    /// Reports: time, pending jobs, and pending or running jobs.
    told: Vec<(Instant, u32, u32)>,
}

impl Bounds {
    /// Records that the user changed the limits of a computer.
    pub(super) fn limit(&mut self, computer: &'static str, limits: Limits) {
        self.limits.entry(computer).or_default().push((Instant::now(), limits));
    }

    /// Records the numbers of other jobs reported to the owner: pending, and pending or running.
    pub(super) fn told(&mut self, queued: u32, active: u32) {
        self.told.push((Instant::now(), queued, active));
    }

    /// Returns which bound is exceeded by these numbers of the owner's jobs, if any. Other users' jobs are not the
    /// owner's responsibility.
    pub(super) fn judge(&self, has_queue: bool, pending: usize, active: usize) -> Option<String> {
        let (max_queued, max_active) = match has_queue {
            true => (self.most(|limits| limits.max_queued), self.most(|limits| limits.max_active)),
            // Where nothing can be pending, both bound the active jobs.
            false => (None, self.most(|limits| limits.max_queued.into_iter().chain(limits.max_active).min())),
        };
        let told = self.told.iter().filter(|(at, ..)| is_recent(*at));
        let queued_by_others = told.clone().map(|told| told.1).min().unwrap_or(0);
        let active_of_others = told.map(|told| told.2).min().unwrap_or(0);
        let exceeds = |used: usize, bound: Option<u32>, others: u32| {
            bound.is_some_and(|bound| used > bound.saturating_sub(others) as usize)
        };
        let is_wrong =
            exceeds(pending, max_queued, queued_by_others) || exceeds(active, max_active, active_of_others);
        is_wrong.then(|| {
            format!(
                "{active} active of {max_active:?}, {pending} pending of {max_queued:?}, \
                 {active_of_others} and {queued_by_others} not ours"
            )
        })
    }

    /// Returns the highest recent value of a bound; `None`: there was none. Of several computers the smaller
    /// holds.
    fn most(&self, bound: impl Fn(&Limits) -> Option<u32>) -> Option<u32> {
        let most = |limits: &Vec<(Instant, Limits)>| {
            let first = limits.iter().rposition(|(at, _)| !is_recent(*at)).unwrap_or(0);
            let bounds = limits.iter().skip(first).map(|(_, limits)| bound(limits));
            bounds.reduce(|a, b| Some(a?.max(b?))).flatten()
        };
        self.limits.values().filter_map(most).min()
    }
}

fn is_recent(at: Instant) -> bool {
    at.elapsed() <= HINDSIGHT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bound_holds_with_hindsight_and_without_what_others_do() {
        let mut bounds = Bounds::default();
        bounds.limit("a", Limits { max_active: Some(3), ..Limits::default() });
        bounds.told(0, 1);
        assert_eq!(bounds.judge(true, 0, 2), None);
        assert!(bounds.judge(true, 0, 3).is_some());
        bounds.limit("a", Limits { max_active: Some(5), ..Limits::default() });
        assert_eq!(bounds.judge(true, 0, 4), None);
        bounds.limit("a", Limits { max_active: Some(1), ..Limits::default() });
        assert_eq!(bounds.judge(true, 0, 4), None, "it may act on what it was told");
        tokio::time::advance(2 * HINDSIGHT).await;
        assert!(bounds.judge(true, 0, 2).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_computers_the_smaller_bound_holds() {
        let mut bounds = Bounds::default();
        bounds.limit("a", Limits { max_active: Some(3), ..Limits::default() });
        bounds.limit("b", Limits::default());
        assert!(bounds.judge(true, 0, 4).is_some(), "one without a limit makes no statement");
        bounds.limit("b", Limits { max_active: Some(1), ..Limits::default() });
        assert_eq!(bounds.judge(true, 0, 3), None, "it may act on what it was told");
        tokio::time::advance(2 * HINDSIGHT).await;
        assert!(bounds.judge(true, 0, 2).is_some());
    }
}
