//! Trivial calcjobs through the daemon, beside a bare loop that makes the same directories, writes the same
//! files and runs the same scripts on the same machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::bare::Recipe;
use super::table::{Aim, Table, median};
use crate::ferry::Ferry;
use crate::json;

/// Number of terminals that submit at once: enough to keep two cores busy.
const SUBMITTERS: u32 = 2;
/// Maximum time for all jobs together.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// Times of one round, s.
#[derive(Debug)]
pub(super) struct Round {
    submitted: f64,
    finished: f64,
    bare: f64,
    bare_pairs: f64,
}

/// Submits the jobs, waits for them, checks their sums and times the baseline.
pub(super) fn round(ferry: &Ferry, jobs: u32) -> Result<Round> {
    println!("submitting {jobs} arithmetic.add_job from {SUBMITTERS} terminals");
    let begun = Instant::now();
    let ids = submit(ferry, jobs)?;
    let submitted = begun.elapsed().as_secs_f64();
    wait(ferry)?;
    let finished = begun.elapsed().as_secs_f64();
    println!("finished after {finished:.2} s; checking the sums");
    check_all(ferry, &ids)?;
    let (_, id) = ids.first().context("no job was submitted")?;
    let recipe = Recipe::of(ferry, id)?;
    println!("the same scripts in a bare loop, one after another, then two at a time");
    let bare = recipe.run(&ferry.desk().join("bare"), jobs, 1)?;
    let bare_pairs = recipe.run(&ferry.desk().join("pairs"), jobs, 2)?;
    Ok(Round { submitted, finished, bare: bare.as_secs_f64(), bare_pairs: bare_pairs.as_secs_f64() })
}

/// Adds the medians of all rounds.
pub(super) fn report(rounds: &[Round], jobs: u32, table: &mut Table) {
    let rate = |seconds: fn(&Round) -> f64| {
        median(&rounds.iter().map(|round| f64::from(jobs) / seconds(round)).collect::<Vec<_>>())
    };
    let share = |seconds: fn(&Round) -> f64| {
        median(&rounds.iter().map(|round| seconds(round) / round.finished).collect::<Vec<_>>())
    };
    let (loop_rate, pairs_rate) = (rate(|round| round.bare), rate(|round| round.bare_pairs));
    let bare = format!("bare loop {loop_rate:.1} jobs/s");
    let pairs = format!("two at a time {pairs_rate:.1} jobs/s");
    table.note(
        &format!("{jobs} jobs, first submit to last end"),
        rate(|round| round.finished),
        " jobs/s",
        &bare,
    );
    table.note(
        &format!("{jobs} ids handed out by `ferry submit`"),
        rate(|round| round.submitted),
        " jobs/s",
        "",
    );
    table.judge("share of the bare loop", share(|round| round.bare), "", &bare, Aim::AtLeast(1.0 / 3.0));
    table.note("share of the loop with two at a time", share(|round| round.bare_pairs), "", &pairs);
}

/// Submits from several terminals; returns each job's number and id.
fn submit(ferry: &Ferry, jobs: u32) -> Result<Vec<(u32, String)>> {
    let terminal = |first: u32| -> Result<Vec<(u32, String)>> {
        let mine = (first..jobs).step_by(SUBMITTERS as usize);
        mine.map(|number| {
            let job = ["submit", "arithmetic.add_job", &format!("x={number}"), "y=1"];
            let id = ferry.ask(&job)?;
            Ok((number, id.trim().to_owned()))
        })
        .collect()
    };
    std::thread::scope(|scope| {
        let terminals: Vec<_> = (0..SUBMITTERS).map(|first| scope.spawn(move || terminal(first))).collect();
        let mut ids = Vec::new();
        for handle in terminals {
            ids.extend(handle.join().map_err(|_| anyhow::anyhow!("a submitting thread panicked"))??);
        }
        Ok(ids)
    })
}

/// Waits until no process is active.
pub(super) fn wait(ferry: &Ferry) -> Result<()> {
    let begun = Instant::now();
    while !json::list(&ferry.json(&["process", "list"])?, "")?.is_empty() {
        if begun.elapsed() > PATIENCE {
            bail!("jobs are still active after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Looks whether every job has the right sum.
pub(super) fn check_all(ferry: &Ferry, ids: &[(u32, String)]) -> Result<()> {
    ids.iter().try_for_each(|(number, id)| check(ferry, *number, id))
}

fn check(ferry: &Ferry, number: u32, id: &str) -> Result<()> {
    let process = ferry.json(&["process", "show", id])?;
    let sum = process.pointer("/outputs/sum/value").and_then(serde_json::Value::as_i64);
    if sum != Some(i64::from(number) + 1) {
        bail!(
            "process {id}: {number} + 1 came out as {sum:?} ({}, {})",
            process["state"],
            process["exit_message"]
        );
    }
    Ok(())
}
