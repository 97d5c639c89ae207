//! Ends that direct jobs report: seen although the next poll is far off, and polled for if the report is
//! impossible.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, kill};

use crate::cell::{Cell, CellCase};

/// Cases that run where there is no queue.
pub(crate) const CASES: &[CellCase] = &[
    ("an_end_is_told_long_before_the_next_poll", an_end_is_told_long_before_the_next_poll),
    ("who_waits_for_room_is_told_too", who_waits_for_room_is_told_too),
    ("where_nobody_can_tell_ends_are_polled_for", where_nobody_can_tell_ends_are_polled_for),
    ("a_watcher_ends_with_its_daemon", a_watcher_ends_with_its_daemon),
];

const LIMIT: Duration = Duration::from_secs(240);
/// Far longer than that, s.
const SELDOM: &str = "600";

/// Makes a profile with its own work directory, and a daemon that polls at this interval.
fn started(cell: &Cell, poll_interval: &str) -> Result<Profile> {
    let ferry = cell.profile_below_scratch(None)?;
    let words = ["computer", "configure", &cell.computer(), "-n", "--poll-interval", poll_interval];
    ferry.ok(&words)?;
    ferry.ok(&["daemon", "start"])?;
    Ok(ferry)
}

fn sleeper(cell: &Cell, ferry: &Profile, seconds: &str) -> Result<String> {
    let arguments = format!(r#"arguments=["{seconds}"]"#);
    cell.submit(ferry, &["shell.run", "command=sleep", &arguments])
}

fn an_end_is_told_long_before_the_next_poll(cell: &Cell) -> Result {
    let ferry = started(cell, SELDOM)?;
    for seconds in ["3", "0", "1.5"] {
        let id = sleeper(cell, &ferry, seconds)?;
        let process = ferry.ended(&id, LIMIT)?;
        check(process["exit_code"] == 0, || format!("{process}"))?;
    }
    Ok(())
}

fn who_waits_for_room_is_told_too(cell: &Cell) -> Result {
    let ferry = started(cell, SELDOM)?;
    ferry.ok(&["computer", "configure", &cell.computer(), "-n", "--max-active-jobs", "1"])?;
    for _ in 0..4 {
        sleeper(cell, &ferry, "1")?;
    }
    ferry.all_ended(LIMIT)
}

fn where_nobody_can_tell_ends_are_polled_for(cell: &Cell) -> Result {
    let ferry = started(cell, "1")?;
    let first = sleeper(cell, &ferry, "0")?;
    ferry.ended(&first, LIMIT)?;
    silence(&ferry)?;
    let second = sleeper(cell, &ferry, "3")?;
    let process = ferry.ended(&second, LIMIT)?;
    check(process["exit_code"] == 0, || format!("{process}"))
}

/// Blocks the watchers' directory with a file, after the first job: no job can report its end then.
pub(crate) fn silence(ferry: &Profile) -> Result {
    let names = names_of(ferry)?;
    fs::remove_dir_all(&names).and_then(|()| fs::write(&names, "")).map_err(|error| error.to_string())
}

fn a_watcher_ends_with_its_daemon(cell: &Cell) -> Result {
    let ferry = started(cell, SELDOM)?;
    let id = sleeper(cell, &ferry, "45")?;
    eventually("a watcher", || !watchers(&ferry).is_empty())?;
    ferry.ok(&["daemon", "stop"])?;
    eventually("its end with the daemon", || watchers(&ferry).is_empty())?;
    ferry.ok(&["daemon", "start"])?;
    eventually("another watcher", || !watchers(&ferry).is_empty())?;
    let before = watchers(&ferry);
    let (worker, _) = ferry.daemon()?;
    check(kill(worker, 9), || "the daemon was gone".into())?;
    // It got no signal: it ends after its time. The next worker has one of its own.
    eventually("its end without a daemon", || {
        !watchers(&ferry).iter().any(|watcher| before.contains(watcher))
    })?;
    ferry.ended(&id, LIMIT).map(drop)
}

/// Returns the directory in which watchers record their names: beside the work directories of the profile's
/// computer.
fn names_of(ferry: &Profile) -> Result<PathBuf> {
    let uid = fs::metadata("/proc/self").map_err(|error| error.to_string())?.uid();
    let name = format!(".ferry-watch-{uid}");
    find(ferry.scratch(), &name, 6).ok_or_else(|| format!("no {name} below {}", ferry.scratch().display()))
}

fn find(dir: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let found = dir.join(name);
    if found.is_dir() {
        return Some(found);
    }
    let below = fs::read_dir(dir).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    below.filter(|path| depth > 0 && path.is_dir()).find_map(|path| find(&path, name, depth - 1))
}

/// Returns the live watchers of a profile's work directories.
fn watchers(ferry: &Profile) -> Vec<PathBuf> {
    let root = ferry.scratch().to_string_lossy().into_owned();
    let children = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_one = |dir: &PathBuf| {
        let words = fs::read(dir.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        words.contains("\0ferry-watch\0") && words.contains(&root)
    };
    children.filter(is_one).collect()
}

fn eventually(what: &str, is_so: impl Fn() -> bool) -> Result {
    let begun = Instant::now();
    while !is_so() {
        check(begun.elapsed() < LIMIT, || format!("never came: {what}"))?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
