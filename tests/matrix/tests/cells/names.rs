//! Jobs with another name than ferry gave them, and an `sbatch` that prints more than the id. In neither case
//! does ferry lose a job, submit it once more, or report it as killed while it runs.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, text};

use crate::{
    cell::{Cell, CellCase},
    chaos::runs,
    fault::jobs_in,
};

/// Cases that run wherever there is a queue.
pub(crate) const CASES: &[CellCase] = &[("a_renamed_job_is_still_ours", a_renamed_job_is_still_ours)];

/// Cases that need an environment of their own at the login.
pub(crate) const LOGIN_CASES: &[CellCase] =
    &[("numbers_around_the_id_are_no_ids", numbers_around_the_id_are_no_ids)];

const LIMIT: Duration = Duration::from_secs(240);
/// Longer than a job must be missing before ferry takes it for gone.
const LONG: Duration = Duration::from_secs(18);

/// Prints lines as sites' wrappers do, before the id or after it.
const WRAPPER: &str = r#"#!/bin/sh
case $(cat "$here/mode") in
before) echo 'Remaining hours:'; echo 4711; echo 102; exec "$real" "$@";;
after) "$real" "$@" || exit; echo 'Remaining hours:'; echo 4711; echo 102;;
esac
"#;

/// A user renames jobs that wait and run: they are not submitted again, a kill reaches them, and they finish
/// normally.
fn a_renamed_job_is_still_ours(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    // Nothing starts in that partition.
    let waits = Renamed::submit(cell, &ferry, "waits", &["--option", "queue_name=closed"], "PENDING")?;
    let killed = Renamed::submit(cell, &ferry, "killed", &["sleep=600"], "RUNNING")?;
    let ends = Renamed::submit(cell, &ferry, "ends", &["sleep=22"], "RUNNING")?;
    thread::sleep(LONG);
    for one in [&waits, &killed, &ends] {
        one.has_one_job()?;
    }
    waits.is_killed()?;
    killed.is_killed()?;
    let shown = ferry.ended(&ends.id, LIMIT)?;
    check(shown["exit_code"] == 0 && runs(&ends.marker) == 1, || format!("{shown:#}\n{}", ferry.log_tail()))?;
    ends.has_one_job()?;
    check(runs(&waits.marker) == 0, || "it ran after it was killed".into())
}

struct Renamed<'a> {
    ferry: &'a Profile,
    id: String,
    job: String,
    dir: String,
    marker: PathBuf,
    _left: NoJobsLeft,
}

impl Renamed<'_> {
    /// Submits a job, and renames it once it is so far.
    fn submit<'a>(
        cell: &Cell,
        ferry: &'a Profile,
        name: &str,
        words: &[&str],
        state: &str,
    ) -> Result<Renamed<'a>> {
        let marker = ferry.scratch().join(name);
        let word = format!("marker={}", marker.display());
        let id = cell.submit(ferry, &[&["arithmetic.add_job", "x=1", "y=2", &word], words].concat())?;
        let begun = Instant::now();
        let shown = loop {
            let shown = ferry.json(&["process", "show", &id])?;
            if shown["scheduler_state"] == state && shown["job_id"].is_string() {
                break shown;
            }
            check(begun.elapsed() < LIMIT, || format!("not {state}: {shown:#}\n{}", ferry.log_tail()))?;
            thread::sleep(Duration::from_millis(100));
        };
        let told = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
        let (job, dir) = (told("job_id"), told("work_dir"));
        let left = NoJobsLeft(dir.clone());
        let renamed = Renamed { ferry, id, job, dir, marker, _left: left };
        let mut update = Command::new("scontrol");
        update.args(["update", &format!("jobid={}", renamed.number()), "name=x"]);
        Profile::run(update)?.expect(0)?;
        Ok(renamed)
    }

    /// Returns the job's id without a cluster.
    fn number(&self) -> &str {
        self.job.split(';').next().unwrap_or_default()
    }

    fn has_one_job(&self) -> Result {
        let shown = self.ferry.json(&["process", "show", &self.id])?;
        let jobs = jobs_in(&self.dir)?;
        check(jobs == [self.number()] && shown["job_id"] == *self.job, || {
            let report = self.ferry.ok(&["process", "report", &self.id]).unwrap_or_default();
            format!("{jobs:?} are its jobs, and not {} alone: {shown:#}\n{report}", self.job)
        })
    }

    /// Kills it; the job is gone once this is reported.
    fn is_killed(&self) -> Result {
        self.ferry.ok(&["process", "kill", &self.id])?;
        let shown = self.ferry.ended(&self.id, LIMIT)?;
        let left = live_in(&self.dir)?;
        check(shown["state"] == "killed" && left.is_empty(), || format!("left are {left:?}: {shown:#}"))
    }
}

/// Cancels what is left below a directory when this is dropped. Jobs that never start would count as foreign
/// jobs in the cases that come after one that failed.
pub(crate) struct NoJobsLeft(pub(crate) String);

impl Drop for NoJobsLeft {
    fn drop(&mut self) {
        let listed = Command::new("squeue").args(["-h", "-t", "PD,CF,R", "-o", "%A %Z"]).output();
        let listed = listed.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
        let left = listed.lines().filter_map(|line| line.split_once(' '));
        let left: Vec<&str> = left.filter(|(_, dir)| dir.starts_with(&self.0)).map(|(id, _)| id).collect();
        if !left.is_empty() {
            let _ = Command::new("scancel").args(left).status();
        }
    }
}

/// Returns the jobs that wait or run in a directory.
fn live_in(dir: &str) -> Result<Vec<String>> {
    let listed = Command::new("squeue").args(["-h", "-t", "PD,CF,R", "-o", "%A %T %Z"]).output();
    let listed = listed.map_err(|error| format!("squeue: {error}"))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    Ok(listed.lines().filter(|line| line.ends_with(&format!(" {dir}"))).map(str::to_owned).collect())
}

/// A site's `sbatch` prints words and numbers before the id, or after it: the job that waits is known by its own.
fn numbers_around_the_id_are_no_ids(cell: &Cell) -> Result {
    let before = Noisy::submit(cell, "before")?;
    let after = Noisy::submit(cell, "after")?;
    thread::sleep(LONG);
    for one in [before, after] {
        one.comes_home()
            .map_err(|error| format!("{} the id: {error}\n{}", one.mode, one.ferry.log_tail()))?;
    }
    Ok(())
}

/// A profile whose `sbatch` is noisy, with a process whose job waits.
struct Noisy {
    mode: &'static str,
    ferry: Profile,
    id: String,
    marker: PathBuf,
}

impl Noisy {
    fn submit(cell: &Cell, mode: &'static str) -> Result<Noisy> {
        let ferry = cell.profile()?;
        let home = put_wrapper(&ferry, mode)?;
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([home.clone()].into_iter().chain(env::split_paths(&path)));
        let mut start = ferry.command(&["daemon", "start"]);
        start.env("PATH", path.map_err(|error| error.to_string())?).env("HOME", &home);
        Profile::run(start)?.expect(0)?;
        let marker = ferry.scratch().join("marker");
        let word = format!("marker={}", marker.display());
        let words = ["arithmetic.add_job", "x=1", "y=2", &word, "--option", "queue_name=closed"];
        let id = cell.submit(&ferry, &words)?;
        Ok(Noisy { mode, ferry, id, marker })
    }

    fn comes_home(&self) -> Result {
        let shown = self.ferry.json(&["process", "show", &self.id])?;
        let dir = shown["work_dir"].as_str().unwrap_or("no directory");
        let _left = NoJobsLeft(dir.to_owned());
        let jobs = jobs_in(dir)?;
        let known = shown["job_id"].as_str().and_then(|job| job.split(';').next()).unwrap_or_default();
        check(jobs == [known], || format!("{jobs:?} were submitted: {shown:#}"))?;
        let mut update = Command::new("scontrol");
        update.args(["update", &format!("jobid={known}"), "partition=debug"]);
        Profile::run(update)?.expect(0)?;
        let shown = self.ferry.ended(&self.id, LIMIT)?;
        check(shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 3, || format!("{shown:#}"))?;
        check(runs(&self.marker) == 1, || format!("it ran {} times", runs(&self.marker)))
    }
}

/// Makes a home whose `sbatch` comes before the real one, also in a login shell, whose files set the path
/// again.
fn put_wrapper(ferry: &Profile, mode: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let real = env::split_paths(&path).map(|dir| dir.join("sbatch")).find(|file| file.is_file());
    let real = real.ok_or("missing: sbatch (Debian package slurm-client)")?;
    let home = ferry.scratch().join("login");
    let (_, body) = WRAPPER.split_once('\n').unwrap_or_default();
    let wrapper = format!("#!/bin/sh\nhere='{}' real='{}'\n{body}", home.display(), real.display());
    let write = |home: &Path| {
        fs::create_dir_all(home)?;
        fs::write(home.join("mode"), mode)?;
        fs::write(home.join(".bash_profile"), format!("PATH='{}':$PATH\n", text(home)))?;
        let file = home.join("sbatch");
        fs::write(&file, wrapper)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
    };
    write(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    Ok(home)
}
