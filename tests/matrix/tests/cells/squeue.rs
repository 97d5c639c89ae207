//! A `squeue` that answers half: lines missing, an answer cut in the middle, a failure after some lines. No
//! job that it does not show may be taken for finished or forgotten.

use std::{
    collections::BTreeMap,
    env, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, text};

use crate::{
    cell::{Cell, CellCase},
    services::services,
};

pub(crate) const CASES: &[CellCase] = &[("half_an_answer_ends_no_job", half_an_answer_ends_no_job)];

/// More than the nodes have cores, so that some are pending.
const JOBS: usize = 24;
const LIMIT: Duration = Duration::from_secs(240);
/// Longer than a job must be missing before ferry takes it for gone.
const HALVES: Duration = Duration::from_secs(12);

/// Shows every other line, and the others the next time; or the first half, and cuts a line, fails, or dies.
const WRAPPER: &str = r#"#!/bin/sh
mode=$(cat "$here/mode")
echo "$mode" >> "$here/asked"
[ "$mode" != whole ] || exec "$real" "$@"
"$real" "$@" > "$here/answer.$$" || exit
lines=$(wc -l < "$here/answer.$$")
case $mode in
half) awk -v n="$(wc -l < "$here/asked")" 'NR % 2 == n % 2' "$here/answer.$$";;
*) head -n $((lines / 2)) "$here/answer.$$";;
esac
[ "$mode" != cut ] || tail -n 1 "$here/answer.$$" | head -c 3
rm "$here/answer.$$"
case $mode in
failed) echo "slurm_load_jobs error: Unexpected message received" >&2; exit 1;;
died) kill -9 $$;;
esac
"#;

/// The wrapper before the real `squeue`; dropped, it is gone.
struct Squeue {
    /// The wrapper, which ferry's commands find first.
    file: PathBuf,
    /// Directory of its instructions, and of its record of requests.
    dir: PathBuf,
}

impl Squeue {
    fn put(commands: &Path, dir: PathBuf) -> Result<Squeue> {
        let path = env::var_os("PATH").unwrap_or_default();
        let real = env::split_paths(&path).map(|dir| dir.join("squeue")).find(|file| file.is_file());
        let real = real.ok_or("missing: squeue (Debian package slurm-client)")?;
        let (_, body) = WRAPPER.split_once('\n').unwrap_or_default();
        let wrapper = format!("#!/bin/sh\nhere='{}' real='{}'\n{body}", dir.display(), real.display());
        let squeue = Squeue { file: commands.join("squeue"), dir };
        squeue.write(commands, &wrapper).map_err(|error| format!("{}: {error}", commands.display()))?;
        Ok(squeue)
    }

    fn write(&self, commands: &Path, wrapper: &str) -> io::Result<()> {
        fs::create_dir_all(commands)?;
        fs::create_dir_all(&self.dir)?;
        fs::write(self.dir.join("asked"), "")?;
        fs::write(self.dir.join("mode"), "whole")?;
        let draft = self.dir.join("squeue");
        fs::write(&draft, wrapper)?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
        fs::rename(draft, &self.file)
    }

    /// Makes it answer like this from now on.
    fn answer(&self, mode: &str) -> Result {
        let draft = self.dir.join("mode.new");
        let written = fs::write(&draft, mode).and_then(|()| fs::rename(&draft, self.dir.join("mode")));
        written.map_err(|error| error.to_string())
    }

    /// Waits until it has answered so this often.
    fn answered(&self, mode: &str, times: usize) -> Result {
        let begun = Instant::now();
        loop {
            let asked = fs::read_to_string(self.dir.join("asked")).unwrap_or_default();
            if asked.lines().filter(|line| *line == mode).count() >= times {
                return Ok(());
            }
            check(begun.elapsed() < LIMIT, || format!("squeue was not asked {times} times for `{mode}`"))?;
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Squeue {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

fn half_an_answer_ends_no_job(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    let commands = if cell.has_link() {
        PathBuf::from(services()?["ssh"]["commands"].as_str().ok_or("no place for commands")?)
    } else {
        ferry.scratch().join("commands")
    };
    let squeue = Squeue::put(&commands, ferry.scratch().join("squeue"))?;
    let mut start = ferry.command(&["daemon", "start"]);
    if !cell.has_link() {
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([commands].into_iter().chain(env::split_paths(&path)));
        start.env("PATH", path.map_err(|error| error.to_string())?);
    }
    Profile::run(start)?.expect(0)?;
    let gate = ferry.scratch().join("gate");
    let processes = submit_waiting(cell, &ferry, &gate)?;
    let jobs = jobs(&ferry)?;

    squeue.answer("half")?;
    let begun = Instant::now();
    squeue.answered("half", 4)?;
    thread::sleep(HALVES.saturating_sub(begun.elapsed()));
    for mode in ["cut", "failed", "died"] {
        squeue.answer(mode)?;
        squeue.answered(mode, 1)?;
    }
    // The last answer is judged by now, or will never be.
    thread::sleep(Duration::from_secs(1));
    let jobs_after = self::jobs(&ferry)?;
    squeue.answer("whole")?;
    check(jobs_after == jobs, || {
        format!("jobs were {jobs:?}, and are {jobs_after:?}\n{}", ferry.log_tail())
    })?;

    fs::write(&gate, "").map_err(|error| error.to_string())?;
    ferry.all_ended(LIMIT)?;
    for (number, id) in processes.iter().enumerate() {
        let shown = ferry.json(&["process", "show", id])?;
        check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
        let runs = fs::read_to_string(ferry.scratch().join(format!("ran-{number}"))).unwrap_or_default();
        check(runs.lines().count() == 1, || format!("process {id} ran {} times", runs.lines().count()))?;
    }
    Ok(())
}

/// Submits jobs that run until the gate opens, and waits until all are in the queue.
fn submit_waiting(cell: &Cell, ferry: &Profile, gate: &Path) -> Result<Vec<String>> {
    let mut processes = Vec::new();
    for number in 0..JOBS {
        let ran = ferry.scratch().join(format!("ran-{number}"));
        // Not for ever: without the profile, the gate is never opened.
        let (ran, scratch, gate) = (text(&ran), text(ferry.scratch()), text(gate));
        let script = format!("echo >> {ran}; while [ -d {scratch} ] && [ ! -e {gate} ]; do sleep 0.3; done");
        let words = serde_json::json!(["-c", script]);
        processes.push(cell.submit(ferry, &["shell.run", "command=sh", &format!("arguments={words}")])?);
    }
    let begun = Instant::now();
    while jobs(ferry)?.values().any(Option::is_none) {
        check(begun.elapsed() < LIMIT, || format!("not all are submitted\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(200));
    }
    Ok(processes)
}

/// Returns the job of each live process.
fn jobs(ferry: &Profile) -> Result<BTreeMap<u64, Option<String>>> {
    let live = ferry.json(&["process", "list"])?;
    let one = |process: &serde_json::Value| {
        Some((process["id"].as_u64()?, process["job_id"].as_str().map(str::to_owned)))
    };
    Ok(live.as_array().into_iter().flatten().filter_map(one).collect())
}
