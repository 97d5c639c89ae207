//! Submissions that are under way at once: never more than the computer's setting, counted by the commands
//! themselves, also while a daemon that was killed has left a wrapper at work.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, kill, text};

use crate::cell::{Cell, CellCase};

pub(crate) const CASES: &[CellCase] = &[
    ("no_more_are_submitted_at_once_than_allowed", no_more_are_submitted_at_once_than_allowed),
    ("a_killed_daemon_s_wrapper_counts", a_killed_daemon_s_wrapper_counts),
];

const LIMIT: Duration = Duration::from_secs(240);
/// Number of submissions that the computer allows at once.
const ALLOWED: usize = 3;

/// Counts itself before and after the real `sbatch`, under a lock: how many there are now, and the most there were.
const WRAPPER: &str = r#"
count() {
    exec 9>> "$here/lock"; flock 9
    read -r now most < "$here/count"; now=$((now + $1))
    echo "$now $((now > most ? now : most))" > "$here/count"
    exec 9>&-
}
count 1; sleep 0.3; "$real" "$@"; status=$?; count -1; exit $status
"#;

/// The wrapper before the real `sbatch`.
struct Sbatch {
    dir: PathBuf,
}

impl Sbatch {
    fn put(dir: PathBuf) -> Result<Sbatch> {
        let path = env::var_os("PATH").unwrap_or_default();
        let real = env::split_paths(&path).map(|dir| dir.join("sbatch")).find(|file| file.is_file());
        let real = real.ok_or("missing: sbatch (Debian package slurm-client)")?;
        let text = format!("#!/bin/sh\nhere='{}' real='{}'{WRAPPER}", dir.display(), real.display());
        let sbatch = Sbatch { dir };
        sbatch.write(&text).map_err(|error| format!("{}: {error}", sbatch.dir.display()))?;
        Ok(sbatch)
    }

    fn write(&self, script: &str) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        fs::write(self.dir.join("count"), "0 0\n")?;
        // Login files overwrite the path.
        fs::write(self.dir.join(".bash_profile"), format!("PATH='{}':$PATH\n", text(&self.dir)))?;
        fs::write(self.dir.join("sbatch"), script)?;
        fs::set_permissions(self.dir.join("sbatch"), fs::Permissions::from_mode(0o755))
    }

    /// Starts a daemon that finds it first, also in a login shell.
    fn start(&self, ferry: &Profile) -> Result {
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([self.dir.clone()].into_iter().chain(env::split_paths(&path)));
        let mut start = ferry.command(&["daemon", "start"]);
        start.env("PATH", path.map_err(|error| error.to_string())?).env("HOME", &self.dir);
        Profile::run(start)?.expect(0).map(drop)
    }

    /// Returns the number that run now, and the most that ran at once.
    fn count(&self) -> Result<(usize, usize)> {
        let begun = Instant::now();
        loop {
            // It is empty for a moment when it is written.
            let text = fs::read_to_string(self.dir.join("count")).map_err(|error| error.to_string())?;
            let mut words = text.split_whitespace().map(str::parse);
            if let (Some(Ok(now)), Some(Ok(most))) = (words.next(), words.next()) {
                return Ok((now, most));
            }
            check(begun.elapsed() < LIMIT, || format!("the count can't be read: `{text}`"))?;
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Makes a profile whose computer allows this many, with a running daemon.
fn begin(cell: &Cell) -> Result<(Profile, Sbatch)> {
    let ferry = cell.profile()?;
    let allowed = ALLOWED.to_string();
    ferry.ok(&["computer", "configure", &cell.computer(), "-n", "--max-parallel-submits", &allowed])?;
    let sbatch = Sbatch::put(ferry.scratch().join("commands"))?;
    sbatch.start(&ferry)?;
    Ok((ferry, sbatch))
}

/// Submits this many jobs at once, each of which leaves a line where it ran.
fn submit(cell: &Cell, ferry: &Profile, name: &str, jobs: usize) -> Result<Vec<PathBuf>> {
    let ran: Vec<PathBuf> = (0..jobs).map(|job| ferry.scratch().join(format!("{name}-{job}"))).collect();
    let line = |ran: &Path| {
        let words = serde_json::json!(["-c", format!("echo >> {}", text(ran))]);
        serde_json::json!({ "arguments": words }).to_string() + "\n"
    };
    let lines = ferry.scratch().join(format!("{name}.jsonl"));
    let all: String = ran.iter().map(|ran| line(ran)).collect();
    fs::write(&lines, all).map_err(|error| error.to_string())?;
    cell.submit(ferry, &["shell.run", "command=sh", "--each", text(&lines)])?;
    Ok(ran)
}

/// Checks that all jobs ran once, and that no more than allowed were submitted at once.
fn judge(ferry: &Profile, sbatch: &Sbatch, ran: &[PathBuf]) -> Result {
    ferry.all_ended(LIMIT)?;
    for file in ran {
        let lines = fs::read_to_string(file).unwrap_or_default().lines().count();
        check(lines == 1, || format!("{} ran {lines} times\n{}", file.display(), ferry.log_tail()))?;
    }
    let (now, most) = sbatch.count()?;
    check(now == 0 && (2..=ALLOWED).contains(&most), || {
        format!("{now} run, {most} ran at once, {ALLOWED} are allowed")
    })
}

fn no_more_are_submitted_at_once_than_allowed(cell: &Cell) -> Result {
    let (ferry, sbatch) = begin(cell)?;
    let mut ran = submit(cell, &ferry, "first", 40)?;
    // More are submitted while those are under way.
    ran.extend(submit(cell, &ferry, "second", 10)?);
    judge(&ferry, &sbatch, &ran)
}

fn a_killed_daemon_s_wrapper_counts(cell: &Cell) -> Result {
    let (ferry, sbatch) = begin(cell)?;
    let mut ran = submit(cell, &ferry, "first", 24)?;
    let begun = Instant::now();
    while sbatch.count()?.0 < ALLOWED {
        check(begun.elapsed() < LIMIT, || format!("nothing is submitted\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(10));
    }
    // Its wrapper has more to do when the next daemon begins.
    kill(ferry.daemon()?.0, 9);
    ran.extend(submit(cell, &ferry, "second", 10)?);
    judge(&ferry, &sbatch, &ran)
}
