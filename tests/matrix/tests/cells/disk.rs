//! Stores that can't be used, and a disk that is full.

use std::{fs, path::Path, process::Command, time::Duration};

use ferry_matrix::{Profile, Result, binary, check, text};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("a_store_of_a_newer_ferry_is_refused", a_store_of_a_newer_ferry_is_refused),
    ("a_file_that_is_no_store_is_refused", a_file_that_is_no_store_is_refused),
    ("a_full_disk_loses_nothing", a_full_disk_loses_nothing),
    ("a_home_that_cannot_be_made", a_home_that_cannot_be_made),
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
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", text(self.0)]).output();
    }
}

/// How large the plugin files beside the program are, MiB.
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
    ferry.ended(&before, Duration::from_secs(60))?;

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
        let shown = ferry.ended(id, Duration::from_secs(120))?;
        check(shown["outputs"]["sum"]["value"] == i + 1, || format!("{shown:#}\n{}", ferry.log_tail()))?;
    }
    let after = ferry.submit(&["arithmetic.add_job", "x=20", "y=2"])?;
    let shown = ferry.ended(&after, Duration::from_secs(60))?;
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
