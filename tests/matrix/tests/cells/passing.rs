//! Trouble of the queue that passes: a partition that is drained, a slip in `slurm.conf`. Jobs that are submitted
//! meanwhile wait for its end; none is lost, and each payload runs once.
//!
//! A run of all tests has them small; `--full` has as many jobs, for as long, as were once lost.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check};

use crate::{
    cell::{Cell, CellCase, judge, submit_markers, submit_markers_from},
    is_full,
    services::services,
};

/// Cases that break the queue of all cases.
pub(crate) const CASES: &[CellCase] = &[
    ("a_drained_partition_loses_no_job", a_drained_partition_loses_no_job),
    ("a_slip_in_slurm_conf_loses_no_job", a_slip_in_slurm_conf_loses_no_job),
    ("a_job_for_a_drained_partition_holds_up_nobody", a_job_for_a_drained_partition_holds_up_nobody),
];

/// Maximum time until all jobs end once the fault is over.
const LIMIT: Duration = Duration::from_secs(240);

/// The partition that jobs go to, drained until this is dropped.
struct Drained(&'static str);

impl Drained {
    fn begin() -> Result<Drained> {
        Drained::of("debug")
    }

    fn of(partition: &'static str) -> Result<Drained> {
        let drained = Drained(partition);
        state(partition, "DRAIN").map(|()| drained)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if let Err(error) = state(self.0, "UP") {
            eprintln!("the partition could not be given back: {error}");
        }
    }
}

fn state(partition: &str, state: &str) -> Result {
    let mut command = Command::new("scontrol");
    command.args(["update", &format!("partitionname={partition}"), &format!("state={state}")]);
    Profile::run(command)?.expect(0).map(drop)
}

/// A `slurm.conf` that no client can read, until this is dropped.
struct Slip {
    file: PathBuf,
    good: String,
}

impl Slip {
    fn make() -> Result<Slip> {
        let services = services()?;
        let file = PathBuf::from(services["slurm"]["conf"].as_str().ok_or("no slurm.conf")?);
        let good = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let slip = Slip { file, good };
        slip.write(&format!("{}SlurmctldPrt=1\n", slip.good))?;
        Ok(slip)
    }

    fn write(&self, text: &str) -> Result {
        let draft = self.file.with_extension("new");
        let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, &self.file));
        written.map_err(|error| format!("{}: {error}", self.file.display()))
    }
}

impl Drop for Slip {
    fn drop(&mut self) {
        if let Err(error) = self.write(&self.good) {
            eprintln!("slurm.conf could not be mended: {error}");
        }
    }
}

fn a_drained_partition_loses_no_job(cell: &Cell) -> Result {
    passes(cell, (60, 25), Drained::begin)
}

/// It was refused first and is the oldest; once its partition is back, it is soon through.
fn a_job_for_a_drained_partition_holds_up_nobody(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let drained = Drained::of("short")?;
    let words = ["arithmetic.add_job", "x=1", "y=1", "--option", "queue_name=short"];
    let held = cell.submit(&ferry, &words)?;
    let begun = Instant::now();
    while !ferry.ok(&["process", "report", &held])?.contains("does not accept the job now") {
        check(begun.elapsed() < Duration::from_secs(60), || "it was not refused".into())?;
        thread::sleep(Duration::from_millis(200));
    }
    let told = ferry.json(&["status"])?;
    let of = &told["daemon"]["schedulers"][0];
    check(
        of["held"] == 1 && of["message"].as_str().is_some_and(|words| words.contains("partition")),
        || format!("{told:#}"),
    )?;
    for (id, _) in submit_markers(cell, &ferry, 6, "0")? {
        ferry.ended(&id, Duration::from_secs(240))?;
    }
    let shown = ferry.json(&["process", "show", &held])?;
    check(shown["state"] == "waiting" && shown["paused"] == false, || format!("{shown:#}"))?;
    drop(drained);
    let shown = ferry.ended(&held, Duration::from_secs(240))?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))
}

fn a_slip_in_slurm_conf_loses_no_job(cell: &Cell) -> Result {
    passes(cell, (30, 12), Slip::make)
}

/// Submits jobs while something is wrong for this many seconds, and waits for their results.
fn passes<T>(cell: &Cell, full: (usize, u64), wrong: impl FnOnce() -> Result<T>) -> Result {
    let (count, seconds) = if is_full() { full } else { (full.0 / 5, full.1 / 3) };
    let ferry = cell.profile()?;
    // Some are under way when it begins.
    let mut jobs = submit_markers(cell, &ferry, count / 6, "1")?;
    ferry.ok(&["daemon", "start"])?;
    thread::sleep(Duration::from_secs(1));
    let trouble = wrong()?;
    let begun = Instant::now();
    jobs.extend(submit_markers_from(cell, &ferry, count / 6, count - count / 6, "0")?);
    thread::sleep(Duration::from_secs(seconds).saturating_sub(begun.elapsed()));
    drop(trouble);
    ferry.all_ended(LIMIT)?;
    judge(&ferry, &jobs)?;
    let shown = ferry.json(&["limit", "show", &cell.computer()])?;
    check(shown[0]["active"] == 0, || format!("a ticket is left: {shown:#}"))
}
