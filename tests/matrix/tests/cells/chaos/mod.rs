//! Chaos: real jobs and call trees on real cells, while the daemon, the plugin hosts, the server, the wire
//! and Slurm's controller are killed, cut and stopped. The files of the payloads are compared with the store.
//!
//! A seed gives the plan of a trial: what is submitted, what breaks when. `FERRY_CHAOS_TRIALS` trials run,
//! with the seeds from `FERRY_CHAOS_SEED` on (with `FERRY_CHAOS_SAME`: all with that seed). Some run side by
//! side, since they mostly wait; a fault of a service affects all of them. `cargo xtask chaos` sets these
//! variables.

mod breaking;
mod daemon;
mod judge;
mod plan;
mod tally;
mod trial;
mod watch;

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use ferry_matrix::{Profile, Result, check};

use self::{breaking::Ground, judge::Findings, plan::Plan, tally::Tally, trial::Trial, watch::Watch};
use crate::{cell::Cell, cell::CellCase, crash::seed};

pub(crate) use self::{breaking::points, daemon::is_alive, trial::runs};

pub(crate) const CASES: &[CellCase] = &[("trials", trials)];

/// Trials of a run that names no number.
const TRIALS: u64 = 15;
/// Trials beside one another.
const LANES: usize = 8;

/// All trials of a cell, as they go.
struct Campaign<'a> {
    ground: &'a Ground,
    watch: Watch,
    first: u64,
    /// All trials have the first seed: the plan is the same, the order of events is not.
    same: bool,
    trials: u64,
    tally: Mutex<Tally>,
    /// Trials that failed. Each has already printed its reason, since people look at a long campaign while it
    /// runs.
    failures: Mutex<Vec<String>>,
}

/// Runs the trials of a cell.
pub(crate) fn trials(cell: &Cell) -> Result {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let ground = Ground::new(cell)?;
    let campaign = Campaign {
        ground: &ground,
        watch: Watch::default(),
        first: number("FERRY_CHAOS_SEED").unwrap_or_else(seed),
        same: std::env::var_os("FERRY_CHAOS_SAME").is_some(),
        trials: number("FERRY_CHAOS_TRIALS").unwrap_or(TRIALS),
        tally: Mutex::new(Tally::new()),
        failures: Mutex::new(Vec::new()),
    };
    campaign.run();
    eprintln!("chaos {}: seeds from {}: {}", cell.name, campaign.first, lock(&campaign.tally));
    let failures = lock(&campaign.failures);
    check(failures.is_empty(), || format!("failed, as is told above: {}", failures.join(", ")))
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Campaign<'_> {
    /// Runs wave after wave. To a trial with a limit, the jobs beside it are foreign, and it must not starve
    /// beside an endless stream of them.
    fn run(&self) {
        thread::scope(|scope| {
            scope.spawn(|| self.watch.run(self.ground));
            scope.spawn(|| self.ground.keep_queue());
            let turns: Vec<u64> = (0..self.trials).collect();
            for wave in turns.chunks(LANES) {
                self.wave(wave);
            }
            self.ground.end();
        });
    }

    fn wave(&self, turns: &[u64]) {
        thread::scope(|scope| {
            let trial = |turn: &u64| {
                let seed = if self.same { self.first } else { self.first + turn };
                scope.spawn(move || self.trial(&Plan::draw(seed, &self.ground.cell, &self.ground.points)))
            };
            let trials: Vec<_> = turns.iter().map(trial).collect();
            for trial in trials {
                let outcome = trial.join().unwrap_or_else(|_| Err("a trial panicked".into()));
                lock(&self.failures).extend(outcome.err());
            }
        });
    }

    /// Runs one trial. A failed one keeps its profile, and prints how to repeat it.
    fn trial(&self, plan: &Plan) -> Result {
        let mut ferry = self.ground.profile()?;
        let outcome = self.play(plan, &ferry);
        let wrong = match outcome {
            Ok(findings) if findings.is_empty() => return Ok(()),
            Ok(findings) => {
                findings.iter().for_each(|(what, _)| lock(&self.tally).wrong(*what));
                findings.iter().map(|(what, text)| format!("{what:?}: {text}\n")).collect()
            }
            Err(error) => error,
        };
        let log = ferry.log_tail();
        ferry.keep();
        let (transport, scheduler) = self.ground.cell.name.split_once('+').unwrap_or_default();
        let seed = plan.seed;
        let text = format!(
            "\nseed {seed} failed; its profile is FERRY_HOME={}\nagain: cargo xtask chaos --trials 1 --seed {seed} \
             --transport {transport} --scheduler {scheduler}\n{wrong}\n{plan}\n{log}",
            ferry.home().display()
        );
        eprintln!("{text}");
        Err(format!("seed {seed}"))
    }

    fn play(&self, plan: &Plan, ferry: &Profile) -> Result<Findings> {
        let begun = Instant::now();
        let mut trial = Trial::new(self.ground, plan, ferry);
        trial.prepare()?;
        self.watch.begin(ferry.scratch(), plan.bound);
        let ran = trial.run().and_then(|()| trial.settle());
        let most = self.watch.end(ferry.scratch());
        lock(&self.tally).add(plan, &trial, begun.elapsed());
        let live = ran?;
        let mut findings = judge::judge(ferry, &trial.sent, &live)?;
        judge::judge_limits(ferry, &self.ground.cell.computer(), plan.bound, most, &mut findings)?;
        ferry.ok(&["daemon", "stop"])?;
        judge::judge_store(ferry, &mut findings)?;
        Ok(findings)
    }
}
