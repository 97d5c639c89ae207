//! The sums over all trials of a cell, for people and for the note.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use super::{judge::Wrong, plan::Plan, trial::Trial};

/// Sums over trials.
#[derive(Debug)]
pub(super) struct Tally {
    begun: Instant,
    trials: u64,
    processes: usize,
    unacknowledged: usize,
    faults: BTreeMap<&'static str, u64>,
    died_at: BTreeMap<String, u64>,
    longest: Duration,
    /// Broken promises by sort.
    wrong: BTreeMap<Wrong, u64>,
}

impl Tally {
    pub(super) fn new() -> Tally {
        Tally {
            begun: Instant::now(),
            trials: 0,
            processes: 0,
            unacknowledged: 0,
            faults: BTreeMap::new(),
            died_at: BTreeMap::new(),
            longest: Duration::ZERO,
            wrong: BTreeMap::new(),
        }
    }

    /// Adds a trial that has run.
    pub(super) fn add(&mut self, plan: &Plan, trial: &Trial<'_>, took: Duration) {
        self.trials += 1;
        self.processes += trial.sent.iter().filter(|sent| sent.id.is_some()).count();
        self.unacknowledged += trial.sent.iter().filter(|sent| sent.id.is_none()).count();
        self.longest = self.longest.max(took);
        for fault in plan.faults() {
            *self.faults.entry(fault.sort()).or_default() += 1;
        }
        for (place, count) in trial.died_at() {
            *self.died_at.entry(place.clone()).or_default() += count;
        }
    }

    /// Adds a broken promise.
    pub(super) fn wrong(&mut self, what: Wrong) {
        *self.wrong.entry(what).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |map: &mut dyn Iterator<Item = (String, u64)>| {
            map.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        };
        let faults = list(&mut self.faults.iter().map(|(name, count)| ((*name).to_owned(), *count)));
        let died_at = list(&mut self.died_at.iter().map(|(name, count)| (name.clone(), *count)));
        let wrong = |what: Wrong| self.wrong.get(&what).copied().unwrap_or_default();
        writeln!(
            f,
            "{} trials in {:.0} s (longest {:.0} s), {} processes submitted, {} submissions without an answer",
            self.trials,
            self.begun.elapsed().as_secs_f64(),
            self.longest.as_secs_f64(),
            self.processes,
            self.unacknowledged,
        )?;
        writeln!(f, "  faults: {faults}")?;
        writeln!(f, "  died at a named point: {died_at}")?;
        write!(
            f,
            "  {} lost, {} executed twice, {} stuck, {} bounds exceeded, {} wrong results, {} still running",
            wrong(Wrong::Lost),
            wrong(Wrong::Twice),
            wrong(Wrong::Stuck),
            wrong(Wrong::Bound),
            wrong(Wrong::Result),
            wrong(Wrong::Runs),
        )
    }
}
