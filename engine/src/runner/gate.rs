//! The gate of a computer: who waits for leave to submit, and who gets it after each fresh listing.
//!
//! Nothing passes before the queue was listed, and a listing that failed lets nobody through. What the gate
//! gives is leave under bounds; the ticket itself is taken with the intent to submit, in one transaction that
//! judges the bounds again. So no crash and no number of tasks exceeds a limit by ferry's own doing.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::PoisonError,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{Context, Event, poller::Observation};
use crate::{
    scheduler::{self, Bounds, Bucket, Limits, Usage},
    store::{Change, GateState, NodeId},
};

/// Most leaves for one listing: the next one is fresher.
const BATCH: usize = 64;
/// A leave that was not used in this time is void (its process was paused, say).
const LEAVE: Duration = Duration::from_secs(120);
/// How often the places in the line are written for those who wait.
const TELL: Duration = Duration::from_secs(3);
/// How soon a bound that the scheduler taught is raised by one.
const PROBE: Duration = Duration::from_secs(30);
/// After so long without anybody waiting behind it, such a bound is forgotten.
const FORGET: Duration = Duration::from_secs(600);

/// What a listing says that the gate needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Jobs of this user that are not ours: pending, and pending or running.
    pub(super) foreign: (u32, u32),
    /// Whether jobs can be pending there at all.
    pub(super) has_queue: bool,
    /// When.
    pub(super) listed: jiff::Timestamp,
}

/// A bound that the scheduler has taught by refusing.
#[derive(Debug)]
struct Clamp {
    bound: u32,
    raised: Instant,
}

/// The gate of one computer.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Older processes first.
    wanting: BTreeSet<NodeId>,
    granted: BTreeMap<NodeId, Instant>,
    bucket: Option<Bucket>,
    clamp: Option<Clamp>,
    told: Option<Instant>,
    shown: Option<GateState>,
}

impl Gate {
    /// Whether anybody waits.
    pub(super) fn is_wanted(&self) -> bool {
        !self.wanting.is_empty()
    }

    /// Somebody waits. `refused`: the scheduler has just refused its job, so what is active now is the bound.
    pub(super) fn want(&mut self, process: NodeId, refused: bool, cx: &Context, computer: &str) {
        self.granted.remove(&process);
        self.wanting.insert(process);
        self.told = None;
        if refused {
            let active = cx.store.tickets(computer).map_or(1, |tickets| tickets.len() as u32);
            self.clamp = Some(Clamp { bound: active.max(1), raised: Instant::now() });
            cx.clamped.lock().unwrap_or_else(PoisonError::into_inner).insert(computer.to_owned());
        }
    }

    /// Its job is submitted: the ticket stands for it.
    pub(super) fn arrived(&mut self, process: NodeId) {
        self.granted.remove(&process);
    }

    /// It waits no more.
    pub(super) fn forget(&mut self, process: NodeId) {
        self.wanting.remove(&process);
        self.granted.remove(&process);
    }

    /// Lets through whom the limits leave room for. Whether anybody was.
    pub(super) async fn admit(
        &mut self,
        cx: &Context,
        computer: &str,
        seen: Seen,
        events: &mpsc::UnboundedSender<Event>,
    ) -> bool {
        if self.wanting.is_empty() {
            return false;
        }
        let (Ok(row), Ok(tickets)) = (cx.store.computer(computer), cx.store.tickets(computer)) else {
            return false;
        };
        // A rate that can't be read pauses its processes when they submit.
        let limits = Limits::of(&row.config).unwrap_or_default();
        let holders: HashSet<NodeId> = tickets.iter().map(|ticket| ticket.process).collect();
        let usage = Usage {
            queued: tickets.iter().filter(|ticket| ticket.queued).count() as u32,
            active: tickets.len() as u32,
            foreign_queued: seen.foreign.0,
            foreign_active: seen.foreign.1,
        };
        self.probe(cx, computer);
        let clamp = self.clamp.as_ref().map(|clamp| clamp.bound);
        let bounds = limits.bounds(&usage, seen.has_queue, clamp);
        let passed = self.pass(&limits, bounds, &usage, &holders);
        for process in &passed {
            let _ = events.send(Event::Observed(*process, Observation::Granted(bounds)));
        }
        // Those let through a moment ago take up room as well.
        let under_way = self.granted.len() as u32;
        let usage = Usage { queued: usage.queued + under_way, active: usage.active + under_way, ..usage };
        self.tell(cx, computer, &limits, (usage, seen.listed), clamp).await;
        !passed.is_empty()
    }

    fn pass(
        &mut self,
        limits: &Limits,
        bounds: Bounds,
        usage: &Usage,
        holders: &HashSet<NodeId>,
    ) -> Vec<NodeId> {
        let now = Instant::now();
        self.granted.retain(|process, at| !holders.contains(process) && now.duration_since(*at) < LEAVE);
        let under_way = self.granted.len() as u32;
        let room = bounds.room(usage).map_or(u32::MAX, |room| room.saturating_sub(under_way));
        let wanted = room.min(self.wanting.len().min(BATCH) as u32);
        let count = match limits.rate {
            None => wanted,
            Some(rate) => {
                let fits = self.bucket.as_ref().is_some_and(|bucket| bucket.rate() == rate);
                if !fits {
                    self.bucket = Some(Bucket::new(rate, now));
                }
                // The permit is taken after the room: a full queue uses none up.
                self.bucket.as_mut().map_or(0, |bucket| bucket.take(wanted, now))
            }
        };
        let passed: Vec<NodeId> = self.wanting.iter().copied().take(count as usize).collect();
        for process in &passed {
            self.wanting.remove(process);
            self.granted.insert(*process, now);
        }
        passed
    }

    /// Raises a bound that the scheduler taught, one by one, and forgets it when it was not confirmed for long.
    fn probe(&mut self, cx: &Context, computer: &str) {
        let Some(clamp) = &mut self.clamp else { return };
        let age = clamp.raised.elapsed();
        if age > FORGET {
            self.clamp = None;
            cx.clamped.lock().unwrap_or_else(PoisonError::into_inner).remove(computer);
        } else if age >= PROBE {
            clamp.bound += 1;
            clamp.raised = Instant::now();
        }
    }

    /// Writes for those who still wait what they wait for, and for `limit show` what is in use.
    async fn tell(
        &mut self,
        cx: &Context,
        computer: &str,
        limits: &Limits,
        (usage, listed): (Usage, jiff::Timestamp),
        clamp: Option<u32>,
    ) {
        let waiting = self.wanting.len() as u32;
        let state = GateState { usage, clamp, waiting, listed: listed.to_string() };
        let same = self.shown.as_ref().is_some_and(|shown| {
            (shown.usage, shown.clamp, shown.waiting) == (state.usage, state.clamp, state.waiting)
        });
        if same || self.told.is_some_and(|told| told.elapsed() < TELL) {
            return;
        }
        let why = explain(limits, &usage, clamp);
        let status = |(place, process): (usize, &NodeId)| Change::Observed {
            process: *process,
            status: Some(format!(
                "waiting for a queue slot on {computer}: {} of {waiting}, {why}",
                ordinal(place + 1)
            )),
            scheduler_state: None,
        };
        let mut changes: Vec<Change> = self.wanting.iter().enumerate().map(status).collect();
        changes.push(Change::Gate { computer: computer.to_owned(), state: state.clone() });
        match cx.store.commit(changes).await {
            Ok(_) => {
                self.shown = Some(state);
                self.told = Some(Instant::now());
            }
            Err(error) => tracing::warn!(%error, "the line at the gate could not be stored"),
        }
    }

    /// What those who wait are told while the queue can't be listed.
    pub(super) fn unreachable(&mut self, computer: &str, error: &scheduler::Error) -> Vec<Change> {
        self.shown = None;
        let status = format!(
            "waiting for a queue slot on {computer}, whose queue can't be listed: {error}; trying again"
        );
        let change = |process: &NodeId| Change::Observed {
            process: *process,
            status: Some(status.clone()),
            scheduler_state: None,
        };
        self.wanting.iter().map(change).collect()
    }
}

fn explain(limits: &Limits, usage: &Usage, clamp: Option<u32>) -> String {
    let mut parts = Vec::new();
    if let Some(bound) = limits.max_queued {
        parts.push(format!("{} of {bound} queued", usage.queued + usage.foreign_queued));
    }
    if let Some(bound) = limits.max_active {
        parts.push(format!("{} of {bound} active", usage.active + usage.foreign_active));
    }
    if let Some(bound) = clamp {
        parts.push(format!("the scheduler takes about {bound}"));
    }
    if let Some(rate) = limits.rate {
        parts.push(format!("at most {} in {} s", rate.permits, rate.per.as_secs()));
    }
    if usage.foreign_active > 0 {
        parts.push(format!("{} not ours", usage.foreign_active));
    }
    parts.join(", ")
}

fn ordinal(number: usize) -> String {
    let end = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_in_words() {
        let words: Vec<_> = [1, 2, 3, 4, 11, 12, 21, 112].into_iter().map(ordinal).collect();
        assert_eq!(words, ["1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "112th"]);
        let limits = Limits { max_active: Some(100), ..Limits::default() };
        let usage = Usage { active: 88, foreign_active: 12, ..Usage::default() };
        assert_eq!(explain(&limits, &usage, None), "100 of 100 active, 12 not ours");
    }

    #[test]
    fn older_ones_pass_first_and_leaves_under_way_count() {
        let mut gate = Gate { wanting: (1..=5).map(NodeId).collect(), ..Gate::default() };
        let limits = Limits { max_active: Some(3), ..Limits::default() };
        let bounds = |usage: &Usage| limits.bounds(usage, true, None);
        let usage = Usage { active: 1, ..Usage::default() };
        let passed = gate.pass(&limits, bounds(&usage), &usage, &HashSet::new());
        assert_eq!(passed, [NodeId(1), NodeId(2)]);
        assert_eq!(gate.pass(&limits, bounds(&usage), &usage, &HashSet::new()), []);
        gate.arrived(NodeId(1));
        assert_eq!(gate.pass(&limits, bounds(&usage), &usage, &HashSet::new()), [NodeId(3)]);
    }
}
