//! A clock that jumps under a running daemon: back, as a bad time server sets it, and forward, as it does over the
//! suspension of a laptop. The clock is real `libfaketime`, loaded into the daemon; what counts running time alone
//! (`CLOCK_MONOTONIC`) goes on as it was, as on a machine that slept.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::{Value, json};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("an_hour_back_delays_nobody", an_hour_back_delays_nobody),
    ("an_hour_back_while_nobody_runs_delays_nobody", an_hour_back_while_nobody_runs_delays_nobody),
    ("a_day_asleep_rings_what_was_due", a_day_asleep_rings_what_was_due),
];

const LIMIT: Duration = Duration::from_secs(240);
const HOUR: i64 = 3600;

/// A profile whose daemon has a clock of its own.
struct Clock {
    ferry: Profile,
    /// File with the lead of the clock, which `libfaketime` reads at each look.
    ahead: PathBuf,
    library: PathBuf,
    // Last, so that it outlives the daemon.
    shared: Shared,
}

/// The shared memory of `libfaketime`, held by a program that outlives all others. The first program makes it and
/// removes it at its end, here `ferry daemon start`; the others would then make their own, and fail now and then.
struct Shared {
    holder: Child,
}

impl Shared {
    fn hold(library: &Path) -> Result<Shared> {
        for _ in 0..20 {
            // It ends with its input, by itself: a killed one would leave its memory behind.
            let mut cat = Command::new("cat");
            cat.env("LD_PRELOAD", library).stdin(Stdio::piped()).stdout(Stdio::null());
            let holder = cat.spawn().map_err(|error| format!("cat: {error}"))?;
            let mut shared = Shared { holder };
            let memory = PathBuf::from(format!("/dev/shm/faketime_shm_{}", shared.holder.id()));
            for _ in 0..100 {
                thread::sleep(Duration::from_millis(20));
                // It ends at once where a killed program with its number left memory behind.
                if shared.holder.try_wait().map_err(|error| error.to_string())?.is_some() {
                    break;
                }
                if memory.exists() {
                    return Ok(shared);
                }
            }
        }
        Err("libfaketime makes no shared memory".into())
    }

    /// Returns the variable that names it.
    fn name(&self) -> String {
        let pid = self.holder.id();
        format!("/faketime_sem_{pid} /faketime_shm_{pid}")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

impl Clock {
    /// Starts the daemon; `None` without `libfaketime`, which is reported.
    fn start() -> Result<Option<Clock>> {
        let Some(library) = library() else {
            println!("SKIPPED: a clock that jumps: no libfaketime here (apt-get install faketime)");
            return Ok(None);
        };
        let ferry = Profile::new()?;
        ferry.ok(&["plugin", "install", text(&plugin("script_file")?)])?;
        let shared = Shared::hold(&library)?;
        let clock = Clock { ahead: ferry.scratch().join("ahead"), ferry, library, shared };
        clock.set(0)?;
        clock.start_daemon()?;
        Ok(Some(clock))
    }

    fn start_daemon(&self) -> Result {
        let mut start = self.ferry.command(&["daemon", "start"]);
        start
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.ahead)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_SHARED", self.shared.name())
            // Its name before and since version 0.9.8.
            .envs(["DONT_FAKE_MONOTONIC", "FAKETIME_DONT_FAKE_MONOTONIC"].map(|name| (name, "1")));
        Profile::run(start)?.expect(0).map(drop)
    }

    /// Lets it jump, between two looks: a file that is half written would be no time.
    fn set(&self, seconds: i64) -> Result {
        let draft = self.ahead.with_extension("new");
        fs::write(&draft, format!("{seconds:+}\n"))
            .and_then(|()| fs::rename(&draft, &self.ahead))
            .map_err(|error| format!("{}: {error}", self.ahead.display()))
    }

    fn submit(&self, script: &Value) -> Result<String> {
        self.ferry.submit(&["script.run", &format!("script={script}")])
    }

    fn show(&self, id: &str) -> Result<Value> {
        self.ferry.json(&["process", "show", id])
    }

    /// Waits until a process waits for what it asked for.
    fn until_it_waits(&self, id: &str) -> Result {
        for _ in 0..600 {
            if self.show(id)?["state"] == "waiting" {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("process {id} never waited: {:#}\n{}", self.show(id)?, self.ferry.log_tail()))
    }
}

fn library() -> Option<PathBuf> {
    let dirs = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let dirs = dirs.map(|entry| entry.path()).chain([PathBuf::from("/usr/lib"), PathBuf::from("/usr/lib64")]);
    dirs.map(|dir| dir.join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file())
}

fn timer(seconds: i64) -> Value {
    json!([{"sleep": seconds}, {"report": "it rang"}])
}

/// Sums in jobs, some of them under way and some begun after the jump.
fn sums(clock: &Clock, marks: &Path, numbers: std::ops::Range<i64>) -> Result<Vec<(String, i64)>> {
    let mut ids = Vec::new();
    for x in numbers {
        let marker = marks.join(x.to_string());
        let words = [
            "arithmetic.add_job".to_owned(),
            format!("x={x}"),
            "y=1".into(),
            "sleep=1".into(),
            format!("marker={}", marker.display()),
        ];
        ids.push((clock.ferry.submit(&words.each_ref().map(String::as_str))?, x + 1));
    }
    Ok(ids)
}

fn judge(clock: &Clock, marks: &Path, sums: &[(String, i64)]) -> Result {
    for (id, sum) in sums {
        let shown = clock.ferry.ended(id, LIMIT)?;
        check(shown["outputs"]["sum"]["value"] == *sum, || format!("{shown:#}"))?;
        let runs =
            fs::read_to_string(marks.join((sum - 1).to_string())).map_err(|error| error.to_string())?;
        check(runs.lines().count() == 1, || format!("process {id} ran: {runs}"))?;
    }
    clock.ferry.ok(&["daemon", "stop"])?;
    clock.ferry.ferry(&["storage", "check", "--full"])?.expect(0)?;
    Ok(())
}

/// Timers, polls and leases use the monotonic clock if the wall clock shows less than the elapsed time.
fn an_hour_back_delays_nobody() -> Result {
    let Some(clock) = Clock::start()? else { return Ok(()) };
    let sleeper = clock.submit(&timer(4))?;
    let marks = clock.ferry.scratch().to_owned();
    let mut jobs = sums(&clock, &marks, 0..3)?;
    clock.until_it_waits(&sleeper)?;
    clock.set(-HOUR)?;
    jobs.extend(sums(&clock, &marks, 3..6)?);
    let shown = clock.ferry.ended(&sleeper, LIMIT)?;
    check(shown["state"] == "finished", || format!("{shown:#}"))?;
    judge(&clock, &marks, &jobs)
}

/// The length of the downtime is unknown then, but the remaining wait is no longer than planned.
fn an_hour_back_while_nobody_runs_delays_nobody() -> Result {
    let Some(clock) = Clock::start()? else { return Ok(()) };
    let sleeper = clock.submit(&timer(8))?;
    clock.until_it_waits(&sleeper)?;
    clock.ferry.ok(&["daemon", "stop"])?;
    clock.set(-HOUR)?;
    clock.start_daemon()?;
    let shown = clock.ferry.ended(&sleeper, LIMIT)?;
    check(shown["state"] == "finished", || format!("{shown:#}"))?;
    judge(&clock, clock.ferry.scratch(), &[])
}

/// A timer of twenty hours is due when the machine wakes; what is due later waits on.
fn a_day_asleep_rings_what_was_due() -> Result {
    let Some(clock) = Clock::start()? else { return Ok(()) };
    let due = clock.submit(&timer(20 * HOUR))?;
    let later = clock.submit(&timer(72 * HOUR))?;
    let marks = clock.ferry.scratch().to_owned();
    let jobs = sums(&clock, &marks, 0..3)?;
    clock.until_it_waits(&due)?;
    clock.until_it_waits(&later)?;
    clock.set(24 * HOUR)?;
    let shown = clock.ferry.ended(&due, LIMIT)?;
    check(shown["state"] == "finished", || format!("{shown:#}"))?;
    let waits = clock.show(&later)?;
    check(waits["state"] == "waiting", || format!("{waits:#}"))?;
    clock.ferry.ok(&["process", "kill", &later])?;
    judge(&clock, &marks, &jobs)
}
