//! One round of admissions: the processes that the limits, the rate and the machine leave room for.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Inner, Queue, Seen,
    machine::{Place, Waiting},
};
use crate::{
    scheduler::{Bounds, Bucket, InUse, Limits, Usage},
    store::{NodeId, QueueId, Sharing},
};

/// Most processes admitted after one listing; the next listing is fresher.
pub(super) const BATCH: usize = 64;
/// Time after which an unused grant is void, for example because its process was paused.
const LEAVE: Duration = Duration::from_secs(120);

/// The processes that were admitted, and the state that waiting processes are shown.
pub(super) struct Admitted {
    pub(super) passed: Vec<NodeId>,
    pub(super) bounds: Bounds,
    pub(super) limits: Limits,
    pub(super) usage: Usage,
    /// Share of the machine of the processes that hold tickets or were admitted.
    pub(super) in_use: InUse,
    pub(super) learned_limit: Option<u32>,
    pub(super) listed: jiff::Timestamp,
}

impl Inner {
    pub(super) fn admit(&mut self, queue: &Queue, seen: &Seen, is_open: impl Fn(&str) -> bool) -> Admitted {
        let limits = queue.sharing.limits();
        let under_way = self.under_way(&queue.sharing);
        self.each(&queue.sharing, |gate| gate.probe(queue.usage.active, under_way));
        let learned_limit = self.learned_limit(&queue.sharing);
        let bounds = limits.bounds(&queue.usage, seen.has_queue, learned_limit);
        let passed = self.pass(queue, &limits, bounds, is_open);
        // Processes admitted a moment ago take up room as well.
        let under_way = self.under_way(&queue.sharing);
        let Usage { queued, active, .. } = queue.usage;
        let usage = Usage { queued: queued + under_way, active: active + under_way, ..queue.usage };
        let in_use = self.in_use(queue);
        Admitted { passed, bounds, limits, usage, in_use, learned_limit, listed: seen.listed }
    }

    fn under_way(&self, sharing: &Sharing) -> u32 {
        self.of(sharing).map(|(_, gate)| gate.granted.len() as u32).sum()
    }

    fn pass(
        &mut self,
        queue: &Queue,
        limits: &Limits,
        bounds: Bounds,
        is_open: impl Fn(&str) -> bool,
    ) -> Vec<NodeId> {
        let now = Instant::now();
        let is_leave = |process: &NodeId, at: &mut Instant| {
            !queue.holders.contains(process) && now.duration_since(*at) < LEAVE
        };
        self.each(&queue.sharing, |gate| gate.granted.retain(is_leave));
        let under_way = self.under_way(&queue.sharing);
        let room = bounds.room(&queue.usage).map_or(u32::MAX, |room| room.saturating_sub(under_way));
        let open = self.of(&queue.sharing).filter(|(label, _)| is_open(label));
        let mut line: Vec<Waiting> = open
            .flat_map(|(label, gate)| {
                let (refused, fresh) =
                    gate.wanting.iter().partition::<Vec<_>, _>(|p| gate.refused.contains(p));
                let line: Vec<_> = fresh.into_iter().chain(refused).take(BATCH).copied().collect();
                line.into_iter().map(|process| (process, label.to_owned()))
            })
            .collect();
        // Older ones first, except those that the scheduler has just refused: others may ask for less.
        line.sort_by_cached_key(|(process, label)| {
            (self.gates.get(label).is_some_and(|gate| gate.refused.contains(process)), *process)
        });
        let mut line = self.fitting(queue, line);
        let wanted = room.min(line.len().min(BATCH) as u32);
        line.truncate(self.permits(&queue.sharing.queue, limits, wanted, now) as usize);
        for (process, label, place) in &line {
            let gate = self.gates.entry(label.clone()).or_default();
            gate.leave(*process);
            // A process whose demand can never be met takes no room: it is only admitted to fail.
            if *place != Place::Never {
                gate.granted.insert(*process, now);
            }
        }
        line.into_iter().map(|(process, ..)| process).collect()
    }

    /// Returns the number of processes that the rate admits, out of `wanted` that there is room for. A full
    /// queue uses up no permits.
    fn permits(&mut self, queue: &QueueId, limits: &Limits, wanted: u32, now: Instant) -> u32 {
        let Some(rate) = limits.rate else { return wanted };
        let bucket = self.buckets.entry(queue.clone()).or_insert_with(|| Bucket::new(rate, now));
        if bucket.rate() != rate {
            *bucket = Bucket::new(rate, now);
        }
        bucket.take(wanted, now)
    }
}
