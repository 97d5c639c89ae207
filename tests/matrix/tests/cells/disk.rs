//! Stores that can't be used, damaged ones, and disks that are full or can't be written.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, binary, check, text};
use serde_json::Value;

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("a_store_of_a_newer_ferry_is_refused", a_store_of_a_newer_ferry_is_refused),
    ("a_file_that_is_no_store_is_refused", a_file_that_is_no_store_is_refused),
    ("a_full_disk_loses_nothing", a_full_disk_loses_nothing),
    ("a_home_that_cannot_be_made", a_home_that_cannot_be_made),
    ("a_disk_that_cannot_be_written_loses_nothing", a_disk_that_cannot_be_written_loses_nothing),
    ("a_damaged_page_is_told_and_whole_again_when_put_back", a_damaged_page_is_told),
];

fn a_store_of_a_newer_ferry_is_refused() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["status"])?;
    let path = ferry.root().join("store.db");
    let db = rusqlite::Connection::open(&path).map_err(|error| error.to_string())?;
    db.pragma_update(None, "user_version", 9999).map_err(|error| error.to_string())?;
    drop(db);
    let before = fs::read(&path).map_err(|error| error.to_string())?;
    for words in
        [&["process", "list"] as &[&str], &["submit", "arithmetic.add", "x=1", "y=1"], &["daemon", "start"]]
    {
        ferry.ferry(words)?.expect(1)?.says(&["newer ferry", "FERRY_HOME"])?;
    }
    check(fs::read(&path).map_err(|error| error.to_string())? == before, || "the store was touched".into())
}

fn a_file_that_is_no_store_is_refused() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["status"])?;
    let path = ferry.root().join("store.db");
    fs::write(&path, "this is no database, but somebody's notes\n".repeat(100))
        .map_err(|error| error.to_string())?;
    for name in ["store.db-wal", "store.db-shm"] {
        let _ = fs::remove_file(ferry.root().join(name));
    }
    ferry.ferry(&["process", "list"])?.expect(1)?;
    ferry.ferry(&["submit", "arithmetic.add", "x=1", "y=1"])?.expect(1)?.says(&["error:"]).map(drop)
}

/// A small file system of its own, unmounted when dropped.
pub(crate) struct Tmpfs<'a>(&'a Path);

impl Tmpfs<'_> {
    pub(crate) fn mount<'p>(place: &'p Path, size: &str) -> Result<Tmpfs<'p>> {
        fs::create_dir_all(place).map_err(|error| error.to_string())?;
        let size = format!("size={size}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs", text(place)]).output();
        let done = done.map_err(|error| error.to_string())?;
        if done.status.success() {
            return Ok(Tmpfs(place));
        }
        Err(format!(
            "this test mounts a small tmpfs, which takes root: {}",
            String::from_utf8_lossy(&done.stderr)
        ))
    }

    /// Makes it writable (`rw`) or not (`ro`). It may be busy for a moment after a program has closed a file.
    fn remount(&self, how: &str) -> Result {
        let begun = Instant::now();
        loop {
            let done = Command::new("mount").args(["-o", &format!("remount,{how}"), text(self.0)]).output();
            let done = done.map_err(|error| error.to_string())?;
            if done.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            check(begun.elapsed() < Duration::from_secs(10), || said)?;
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", text(self.0)]).output();
    }
}

/// Returns the total size of the plugin files beside the program, in MiB.
fn bundled_mib() -> Result<u64> {
    let binary = binary();
    let dir = binary.parent().ok_or("the program is nowhere")?;
    let files = fs::read_dir(dir).map_err(|error| error.to_string())?.flatten();
    let bundled = files.filter(|file| file.file_name().to_string_lossy().starts_with("libferry_bundled_"));
    let is_plugin = |name: &Path| name.extension().is_some_and(|extension| extension == "so");
    let sizes =
        bundled.filter(|file| is_plugin(&file.path())).filter_map(|file| Some(file.metadata().ok()?.len()));
    Ok(sizes.sum::<u64>() / (1024 * 1024))
}

fn a_full_disk_loses_nothing() -> Result {
    let base = Profile::new()?;
    let place = base.scratch().join("small");
    // Besides what a profile begins with: copies of the bundled plugins, which are large in a debug build.
    let small = Tmpfs::mount(&place, &format!("{}m", bundled_mib()? + 20))?;
    let ferry = Profile::new()?.at(place.join("home"));
    ferry.ok(&["daemon", "start"])?;
    let (pid, _) = ferry.daemon()?;
    let before = ferry.submit(&["arithmetic.add_job", "x=1", "y=2"])?;
    ferry.ended(&before, Duration::from_secs(240))?;

    let filler = place.join("filler");
    let _ = Command::new("dd").args(["if=/dev/zero", &format!("of={}", filler.display()), "bs=4k"]).output();
    let mut refused = None;
    let mut taken = Vec::new();
    for i in 0..200 {
        let answer = ferry.ferry(&["submit", "arithmetic.add_job", &format!("x={i}"), "y=1"])?;
        if answer.status != 0 {
            refused = Some(answer);
            break;
        }
        taken.push((i, answer.stdout.trim().to_owned()));
    }
    let refused = refused.ok_or("a full disk took 200 processes")?;
    check(refused.status == 1, || format!("{refused:?}"))?;
    refused.says(&["space"])?;
    check(ferry.daemon()?.0 == pid, || "the daemon died".into())?;

    fs::remove_file(&filler).map_err(|error| error.to_string())?;
    for (i, id) in &taken {
        let shown = ferry.ended(id, Duration::from_secs(240))?;
        check(shown["outputs"]["sum"]["value"] == i + 1, || format!("{shown:#}\n{}", ferry.log_tail()))?;
    }
    let status = ferry.json(&["daemon", "status"])?;
    check(status["trouble"].is_null(), || format!("there is room: {status:#}"))?;
    let after = ferry.submit(&["arithmetic.add_job", "x=20", "y=2"])?;
    let shown = ferry.ended(&after, Duration::from_secs(240))?;
    check(shown["outputs"]["sum"]["value"] == 22, || format!("{shown:#}"))?;
    ferry.ok(&["daemon", "stop"])?;
    drop(ferry);
    drop(small);
    Ok(())
}

fn a_home_that_cannot_be_made() -> Result {
    let ferry = Profile::new()?.at("/proc/ferry".into());
    ferry.ferry(&["status"])?.expect(1)?.says(&["/proc/ferry"]).map(drop)
}

/// Stops the daemon of a profile between two processes: one has finished, the job of the other runs on elsewhere.
fn stopped_between_two(ferry: &Profile, work: &Path) -> Result<[String; 2]> {
    let words = ["--work-dir", text(work), "--poll-interval", "0.3"];
    ferry.ok(&[&["computer", "configure", "localhost", "-n"], &words[..]].concat())?;
    ferry.ok(&["daemon", "start"])?;
    let finished = ferry.submit(&["arithmetic.add_job", "x=1", "y=2"])?;
    ferry.ended(&finished, Duration::from_secs(240))?;
    let marker = work.join("marker");
    let marker_word = format!("marker={}", marker.display());
    let running = ferry.submit(&["arithmetic.add_job", "x=20", "y=2", "sleep=3", &marker_word])?;
    let begun = Instant::now();
    while !marker.exists() {
        check(begun.elapsed() < Duration::from_secs(60), || "the job does not start".into())?;
        thread::sleep(Duration::from_millis(20));
    }
    ferry.ok(&["daemon", "stop"])?;
    let shown = ferry.json(&["process", "show", &running])?;
    check(shown["state"] == "waiting", || format!("{shown:#}"))?;
    Ok([finished, running])
}

/// Returns all processes, without what changes with time.
fn states(ferry: &Profile) -> Result<Vec<(Value, Value)>> {
    let listed = ferry.json(&["process", "list", "-a"])?;
    let all = listed.as_array().ok_or("no array")?;
    Ok(all.iter().map(|process| (process["id"].clone(), process["state"].clone())).collect())
}

/// Checks that the store is unchanged, and that the running process goes on to its end.
fn all_goes_on(ferry: &Profile, before: &[(Value, Value)], [finished, running]: &[String; 2]) -> Result {
    let after = states(ferry)?;
    check(after == before, || format!("{before:?} became {after:?}"))?;
    ferry.ok(&["storage", "check", "--full"])?;
    ferry.ok(&["daemon", "start"])?;
    for (id, sum) in [(finished, 3), (running, 22)] {
        let shown = ferry.ended(id, Duration::from_secs(240))?;
        let good = shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == sum;
        check(good, || format!("{shown:#}\n{}", ferry.log_tail()))?;
    }
    let new = ferry.submit(&["arithmetic.add_job", "x=4", "y=5"])?;
    let shown = ferry.ended(&new, Duration::from_secs(240))?;
    check(shown["outputs"]["sum"]["value"] == 9, || format!("{shown:#}"))?;
    ferry.ok(&["daemon", "stop"]).map(drop)
}

/// Read-only commands still work, even if the store was closed so cleanly that it is a single file. SQLite
/// then wants to create the files by which programs share it, and can't.
fn a_disk_that_cannot_be_written_loses_nothing() -> Result {
    let base = Profile::new()?;
    let place = base.scratch().join("small");
    let small = Tmpfs::mount(&place, &format!("{}m", bundled_mib()? + 20))?;
    let ferry = Profile::new()?.at(place.join("home"));
    let both = stopped_between_two(&ferry, &base.scratch().join("work"))?;
    let before = states(&ferry)?;
    let store = fs::read(ferry.root().join("store.db")).map_err(|error| error.to_string())?;

    let shared = ferry.root().join("store.db-shm");
    let reads: &[&[&str]] =
        &[&["process", "list"], &["process", "list", "-a"], &["process", "show", &both[0]], &["status"]];
    check(shared.exists(), || "who has read left nothing".into())?;
    small.remount("ro")?;
    check(states(&ferry)? == before, || "it reads other things".into())?;
    reads.iter().try_for_each(|words| ferry.ok(words).map(drop))?;
    changes_are_refused(&ferry, &both[1])?;

    small.remount("rw")?;
    close_cleanly(&ferry.root().join("store.db")).map_err(|error| error.to_string())?;
    check(!shared.exists(), || "it is no single file".into())?;
    small.remount("ro")?;
    check(states(&ferry)? == before, || "as a single file it reads other things".into())?;
    reads.iter().try_for_each(|words| ferry.ok(words).map(drop))?;
    changes_are_refused(&ferry, &both[1])?;
    let same = fs::read(ferry.root().join("store.db")).map_err(|error| error.to_string())? == store;
    check(same, || "the store was touched".into())?;

    small.remount("rw")?;
    all_goes_on(&ferry, &before, &both)?;
    drop(ferry);
    drop(small);
    Ok(())
}

/// Opens and closes the store as its last writer.
fn close_cleanly(store: &Path) -> rusqlite::Result<()> {
    let db = rusqlite::Connection::open(store)?;
    db.pragma_query_value(None, "schema_version", |_| Ok(()))
}

fn cannot_be_written(ferry: &Profile, words: &[&str]) -> Result {
    let refused = ferry.ferry(words)?.expect(1)?.says(&["can't be written", "make it writable"])?;
    check(refused.stdout.is_empty(), || format!("{words:?} printed {}", refused.stdout))
}

fn changes_are_refused(ferry: &Profile, running: &str) -> Result {
    cannot_be_written(ferry, &["process", "kill", running])?;
    cannot_be_written(ferry, &["submit", "arithmetic.add_job", "x=1", "y=1"])?;
    cannot_be_written(ferry, &["run", "arithmetic.add", "x=1", "y=1"])?;
    let started = ferry.ferry(&["daemon", "start"])?.expect(1)?;
    started.says(&[text(&ferry.root()), "Read-only file system", "you can write"])?;
    ferry.ferry(&["daemon", "status"])?.expect(1)?.says(&["no daemon is running"]).map(drop)
}

/// A page of a database that was overwritten.
struct Damage {
    path: PathBuf,
    at: u64,
    was: [u8; PAGE],
}

const PAGE: usize = 4096;

impl Damage {
    /// Overwrites the page on which a table lies, as long as it fits on one.
    fn to(path: PathBuf, table: &str) -> Result<Damage> {
        let db = rusqlite::Connection::open(&path).map_err(|error| error.to_string())?;
        let size: u32 =
            db.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(|error| error.to_string())?;
        check(size as usize == PAGE, || format!("pages of {size} bytes"))?;
        let root = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let page: u32 =
            db.query_row(root, [table], |row| row.get(0)).map_err(|error| format!("{table}: {error}"))?;
        drop(db);
        let mut damage = Damage { path, at: u64::from(page - 1) * PAGE as u64, was: [0; PAGE] };
        damage.was = damage.swap([0xa5; PAGE]).map_err(|error| error.to_string())?;
        // Of a table's leaves, <https://www.sqlite.org/fileformat2.html#b_tree_pages>.
        check(damage.was[0] == 0x0d, || format!("{table} has more pages than one"))?;
        Ok(damage)
    }

    fn repair(self) -> Result {
        self.swap(self.was).map(drop).map_err(|error| error.to_string())
    }

    /// Writes this to the page; what stood there.
    fn swap(&self, bytes: [u8; PAGE]) -> std::io::Result<[u8; PAGE]> {
        let mut file = fs::File::options().read(true).write(true).open(&self.path)?;
        let mut was = [0; PAGE];
        file.seek(SeekFrom::Start(self.at))?;
        file.read_exact(&mut was)?;
        file.seek(SeekFrom::Start(self.at))?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        Ok(was)
    }
}

fn a_damaged_page_is_told() -> Result {
    let ferry = Profile::new()?;
    let both = stopped_between_two(&ferry, &ferry.scratch().join("work"))?;
    let before = states(&ferry)?;
    for (table, logged, who) in [
        ("process", "unfinished processes could not be read", "unfinished processes can't be read"),
        ("node", "the process could not be read", "1 process can't go on"),
    ] {
        let damage = Damage::to(ferry.root().join("store.db"), table)?;
        is_told(&ferry, &both, table)?;
        // A daemon starts for the intact part; a request for the rest gets the error too.
        ferry.ok(&["daemon", "start"])?;
        is_told(&ferry, &both, table)?;
        for words in [&["status"] as &[&str], &["daemon", "status"]] {
            let status = ferry.ferry(words)?.expect(0)?;
            status.says(&[who, "the store is damaged", "ferry storage check"])?;
        }
        check(ferry.log_tail().contains(logged), || ferry.log_tail())?;
        ferry.ok(&["daemon", "stop"])?;
        damage.repair()?;
    }
    all_goes_on(&ferry, &before, &both)
}

/// Checks that the damage is reported, with advice; nothing panics, and nothing is created.
fn is_told(ferry: &Profile, [finished, running]: &[String; 2], table: &str) -> Result {
    for words in [
        &["process", "list"] as &[&str],
        &["process", "list", "-a"],
        &["process", "show", finished],
        &["process", "show", running],
        &["submit", "arithmetic.add_job", "x=1", "y=1"],
    ] {
        let refused =
            ferry.ferry(words)?.expect(1)?.says(&["the store is damaged", "ferry storage check"])?;
        check(refused.stdout.is_empty(), || format!("{words:?} printed {}", refused.stdout))?;
    }
    let checked = ferry.ferry(&["storage", "check"])?.expect(1)?.says(&["faults", "restore a backup"])?;
    let names = checked.stdout.contains(&format!("table `{table}`"));
    check(names && checked.stdout.contains("malformed"), || checked.stdout)
}
