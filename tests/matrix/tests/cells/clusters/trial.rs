//! The trial: jobs in both clusters while both controllers and the accounting are killed and come back at random.

use std::{
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check};

use super::ground::{Clusters, TO_BETA};
use crate::{
    cell::{Cell, judge},
    crash::{Random, seed},
};

const JOBS: usize = 60;
/// Number of kills.
const KILLS: usize = 8;
const SERVICES: [&str; 3] = ["slurmctld-alpha", "slurmctld-beta", "slurmdbd"];
const LIMIT: Duration = Duration::from_secs(400);

/// All results come home, and each payload runs once.
pub(super) fn kills_of_controllers_and_accounting_repeat_nothing(cell: &Cell) -> Result {
    let seed = seed();
    trial(cell, Random(seed)).map_err(|error| format!("FERRY_SEED={seed}: {error}"))
}

fn trial(cell: &Cell, mut random: Random) -> Result {
    let clusters = Clusters::take(cell)?;
    let ferry = clusters.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let mut jobs = Vec::new();
    for kill in 0..KILLS {
        // So the kills fall on uploads, submissions, waiting and running alike.
        while jobs.len() < JOBS * (kill + 1) / KILLS {
            let option = if jobs.len() % 2 == 0 { TO_BETA } else { "" };
            let sleep = format!("{}.{}", random.below(3), random.below(10));
            jobs.push(clusters.submit(&ferry, jobs.len(), &sleep, option)?);
        }
        thread::sleep(Duration::from_millis(random.below(2500)));
        let down = SERVICES[random.below(SERVICES.len() as u64) as usize];
        clusters.kill(down)?;
        thread::sleep(Duration::from_millis(500 + random.below(4000)));
        clusters.start(down)?;
        clusters.resume_nodes()?;
    }
    all_ended(&clusters, &ferry)?;
    judge(&ferry, &jobs)?;
    let shown = ferry.json(&["limit", "show", &cell.computer()])?;
    check(shown[0]["active"] == 0, || format!("a ticket is left: {shown:#}"))
}

/// Waits for the end of all, and keeps the nodes at work meanwhile.
fn all_ended(clusters: &Clusters, ferry: &Profile) -> Result {
    let begun = Instant::now();
    while ferry.json(&["process", "list"])?.as_array().is_some_and(|live| !live.is_empty()) {
        if begun.elapsed() > LIMIT {
            return ferry.all_ended(Duration::ZERO);
        }
        clusters.resume_nodes()?;
        thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
