//! A campaign of simulations with fresh seeds, on all cores, for so long or so many.
//!
//! ```text
//! cargo run -p ferry-engine --features testing --release --example simulate -- --seconds 300
//! cargo run -p ferry-engine --features testing --release --example simulate -- --seed 4711
//! ```
//!
//! A failure ends it: printed are the seed, what went wrong, the smallest plan that still fails so, and what happened
//! in it. Exit status 1 then.
#![allow(clippy::print_stdout, reason = "a command-line tool speaks on stdout")]

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use ferry_engine::testing::{Plan, Report, Watch, shrink, try_out};

/// Interval at which a campaign reports its results so far.
const TELL: Duration = Duration::from_secs(60);

/// The campaign, or the one run, that is asked for.
#[derive(Debug, Clone, Copy)]
struct Wish {
    /// The first seed.
    first: u64,
    seconds: u64,
    schedules: u64,
    /// It goes on until so many were tried, however long that takes. Fewer are a failure.
    at_least: u64,
    /// Show one seed's run.
    is_replay: bool,
}

/// Sums over a campaign.
#[derive(Debug, Default)]
struct Sums {
    schedules: AtomicU64,
    processes: AtomicU64,
    commits: AtomicU64,
    ops: AtomicU64,
    crashes: AtomicU64,
    hours: AtomicU64,
}

fn main() -> ExitCode {
    match read(std::env::args().skip(1)) {
        Err(text) => {
            eprintln!(
                "error: {text}\nusage: simulate [--seconds N] [--schedules N] [--at-least N] [--first SEED] [--seed SEED]"
            );
            ExitCode::from(2)
        }
        Ok(wish) if wish.is_replay => replay(wish.first),
        Ok(wish) => campaign(wish),
    }
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Wish, String> {
    let fresh = UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() * 1_000_000);
    let mut wish =
        Wish { first: fresh, seconds: u64::MAX, schedules: u64::MAX, at_least: 1, is_replay: false };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{word}` wants a number"))?;
        let number = value.parse::<u64>().map_err(|_| format!("`{value}` is no number"))?;
        match word.as_str() {
            "--seconds" => wish.seconds = number,
            "--schedules" => wish.schedules = number,
            "--at-least" => wish.at_least = number,
            "--first" => wish.first = number,
            "--seed" => (wish.first, wish.is_replay) = (number, true),
            _ => return Err(format!("`{word}` is no option")),
        }
    }
    if wish.seconds == u64::MAX && wish.schedules == u64::MAX {
        wish.seconds = 60;
    }
    Ok(wish)
}

fn replay(seed: u64) -> ExitCode {
    match try_out(&Plan::of_seed(seed), Watch::Text) {
        Err(error) => fail(&error.to_string()),
        Ok(report) => {
            println!("{:#?}", Plan::of_seed(seed));
            report.lines.iter().for_each(|line| println!("{line}"));
            report.wrongs.iter().for_each(|wrong| println!("WRONG: {wrong}"));
            println!("digest {}", report.digest);
            if report.wrongs.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

fn campaign(wish: Wish) -> ExitCode {
    let begin = Instant::now();
    let sums = Sums::default();
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let failed: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let told = Mutex::new(begin);
    println!("seeds from {}", wish.first);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let is_late = begin.elapsed() >= Duration::from_secs(wish.seconds);
                    if number >= wish.schedules || is_late && number >= wish.at_least {
                        break;
                    }
                    let seed = wish.first.wrapping_add(number);
                    if let Some(text) = one(seed, &sums) {
                        is_over.store(true, Ordering::Relaxed);
                        if let Ok(mut failed) = failed.lock() {
                            failed.get_or_insert((seed, text));
                        }
                    }
                    tell(&told, &sums, begin);
                }
            });
        }
    });
    print_sums(&sums, begin.elapsed());
    let tried = sums.schedules.load(Ordering::Relaxed);
    match failed.into_inner() {
        Ok(None) if tried < wish.at_least => {
            fail(&format!("only {tried} schedules were tried out: at least {} were wanted", wish.at_least))
        }
        Ok(None) => {
            println!("0 lost, 0 executed twice, 0 stuck, 0 bounds exceeded, 0 graphs that differ");
            ExitCode::SUCCESS
        }
        Ok(Some((seed, text))) => fail(&format!("seed {seed}:\n{text}")),
        Err(_) => fail("a thread of the campaign panicked"),
    }
}

/// Says now and then what it came to so far: a long campaign may be ended at any time.
fn tell(told: &Mutex<Instant>, sums: &Sums, begin: Instant) {
    if let Ok(mut told) = told.try_lock()
        && told.elapsed() >= TELL
    {
        *told = Instant::now();
        print_sums(sums, begin.elapsed());
    }
}

fn fail(text: &str) -> ExitCode {
    println!("FAILED: {text}");
    ExitCode::FAILURE
}

/// Runs one schedule; what went wrong, if anything did.
fn one(seed: u64, sums: &Sums) -> Option<String> {
    let plan = Plan::of_seed(seed);
    let report = match try_out(&plan, Watch::Off) {
        Ok(report) => report,
        Err(error) => return Some(error.to_string()),
    };
    let add = |sum: &AtomicU64, number: u64| {
        sum.fetch_add(number, Ordering::Relaxed);
    };
    add(&sums.schedules, 1);
    add(&sums.processes, report.processes as u64);
    add(&sums.commits, report.commits);
    add(&sums.ops, report.ops);
    add(&sums.crashes, u64::from(report.crashes));
    add(&sums.hours, report.lasted.as_secs() / 3600);
    if report.wrongs.is_empty() {
        return None;
    }
    println!("seed {seed} failed: {}; making it smaller ...", report.wrongs[0]);
    Some(explain(&plan, &report))
}

fn explain(plan: &Plan, report: &Report) -> String {
    let (small, again) = shrink(plan, report);
    format!(
        "{}\n\nthe smallest plan that fails so:\n{small:#?}\n\nwhat happened in it:\n{}\n{}\n\n\
         replay: cargo run -p ferry-engine --features testing --release --example simulate -- --seed {}",
        report.wrongs.join("\n"),
        again.lines.join("\n"),
        again.wrongs.join("\n"),
        plan.seed,
    )
}

fn print_sums(sums: &Sums, time: Duration) {
    let of = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
    let minutes = time.as_secs_f64() / 60.0;
    println!(
        "{} schedules in {:.1} s ({:.0} a minute): {} processes, {} commits, {} remote operations, {} crashes, \
         {} virtual hours",
        of(&sums.schedules),
        time.as_secs_f64(),
        of(&sums.schedules) as f64 / minutes,
        of(&sums.processes),
        of(&sums.commits),
        of(&sums.ops),
        of(&sums.crashes),
        of(&sums.hours),
    );
}
