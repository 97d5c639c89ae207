//! Limits on jobs: an observer that looks at the real jobs never sees more than the bound.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("active_jobs_stay_under_their_bound", active_jobs_stay_under_their_bound),
    ("a_bound_is_kept_over_crashes_and_edits", a_bound_is_kept_over_crashes_and_edits),
    ("a_rate_is_kept", a_rate_is_kept),
    ("those_who_wait_are_told_why", those_who_wait_are_told_why),
    ("a_wrong_rate_is_refused", a_wrong_rate_is_refused),
];

const LIMIT: Duration = Duration::from_secs(240);

/// Counts the job scripts that run below a profile, every 20 ms, and remembers the most.
pub(crate) struct Observer {
    most: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Observer {
    pub(crate) fn start(ferry: &Profile) -> Observer {
        let (most, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let root = ferry.root();
        let thread = thread::spawn({
            let (most, stop) = (most.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    most.fetch_max(jobs_below(&root), Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(20));
                }
            }
        });
        Observer { most, stop, thread: Some(thread) }
    }

    pub(crate) fn most(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.most.load(Ordering::Relaxed)
    }
}

/// Returns the job scripts below a directory that run at one moment.
fn jobs_below(root: &Path) -> usize {
    job_dirs().iter().filter(|dir| dir.starts_with(root)).count()
}

/// Returns the work directories of all job scripts that run at one moment. Listing `/proc` takes a while, in
/// which one script may end and the next begin. So those found are checked a second time.
pub(crate) fn job_dirs() -> Vec<PathBuf> {
    let Ok(children) = fs::read_dir("/proc") else { return Vec::new() };
    let works_in = |pid: &str| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let script =
            command.split(|byte| *byte == 0).nth(1).is_some_and(|word| word.ends_with(b"_ferrysubmit.sh"));
        let dir = script.then(|| fs::read_link(format!("/proc/{pid}/cwd")).ok()).flatten()?;
        took_the_gate(&dir, pid).then_some(dir)
    };
    let names = children.flatten().filter_map(|child| child.file_name().into_string().ok());
    let found: Vec<String> = names.filter(|pid| works_in(pid).is_some()).collect();
    found.iter().filter_map(|pid| works_in(pid)).collect()
}

/// Returns whether a process is the script that took the start gate. A copy of it that is about to become a
/// command is not.
fn took_the_gate(dir: &Path, pid: &str) -> bool {
    let owner = fs::read_to_string(dir.join(".ferry/run")).unwrap_or_default();
    owner.split([' ', ':']).nth(3) == Some(pid)
}

fn sleepers(ferry: &Profile, count: usize, seconds: &str) -> Result {
    let seconds = format!("arguments={seconds}");
    for _ in 0..count {
        ferry.submit(&["shell.run", "command=sleep", &seconds, "--group", "sleepers"])?;
    }
    Ok(())
}

fn all_good(ferry: &Profile, count: usize) -> Result {
    ferry.all_ended(LIMIT)?;
    let listed = ferry.json(&["process", "list", "-a", "-G", "sleepers"])?;
    let good = listed.as_array().into_iter().flatten().filter(|process| process["exit_code"] == 0).count();
    check(good == count, || format!("{good} of {count} are good"))
}

fn configure(ferry: &Profile, words: &[&str]) -> Result {
    ferry.ok(&[&["computer", "configure", "localhost", "-n"], words].concat()).map(drop)
}

fn active_jobs_stay_under_their_bound() -> Result {
    let ferry = Profile::unbounded()?;
    configure(&ferry, &["--max-active-jobs", "4"])?;
    ferry.ok(&["daemon", "start"])?;
    let observer = Observer::start(&ferry);
    sleepers(&ferry, 40, "0.4")?;
    all_good(&ferry, 40)?;
    let most = observer.most();
    check((2..=4).contains(&most), || format!("{most} jobs ran at once, 4 are allowed"))
}

fn a_bound_is_kept_over_crashes_and_edits() -> Result {
    let ferry = Profile::unbounded()?;
    configure(&ferry, &["--max-queued-jobs", "3"])?;
    ferry.ok(&["daemon", "start"])?;
    let observer = Observer::start(&ferry);
    sleepers(&ferry, 48, "1.5")?;
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(700));
        ferry_matrix::kill(ferry.daemon()?.0, 9);
        ferry.ok(&["daemon", "start"])?;
    }
    let most = observer.most();
    check(most <= 3, || format!("{most} jobs ran at once, 3 are allowed"))?;
    // Zero drains; more room is used at once.
    configure(&ferry, &["--max-queued-jobs", "0"])?;
    thread::sleep(Duration::from_millis(3000));
    check(jobs_below(&ferry.root()) == 0, || "jobs run though none are allowed".into())?;
    configure(&ferry, &["--max-queued-jobs", "8"])?;
    let observer = Observer::start(&ferry);
    all_good(&ferry, 48)?;
    let most = observer.most();
    check((4..=8).contains(&most), || format!("{most} jobs ran at once, 8 are allowed"))
}

fn a_rate_is_kept() -> Result {
    let ferry = Profile::unbounded()?;
    configure(&ferry, &["--submit-rate", "4/s"])?;
    ferry.ok(&["daemon", "start"])?;
    let start = Instant::now();
    sleepers(&ferry, 13, "0")?;
    all_good(&ferry, 13)?;
    check(start.elapsed() >= Duration::from_secs(2), || {
        format!("13 at 4 a second took {:?}", start.elapsed())
    })
}

fn those_who_wait_are_told_why() -> Result {
    let ferry = Profile::unbounded()?;
    configure(&ferry, &["--max-active-jobs", "1"])?;
    ferry.ok(&["daemon", "start"])?;
    sleepers(&ferry, 4, "30")?;
    let start = Instant::now();
    let last = loop {
        let listed = ferry.json(&["process", "list"])?;
        let last = listed[3]["waiting_for"].as_str().unwrap_or_default().to_owned();
        if last.contains("3rd of 3") || start.elapsed() > LIMIT {
            break last;
        }
        thread::sleep(Duration::from_millis(200));
    };
    check(last.contains("queue slot on localhost: 3rd of 3, 1 of 1 active"), || last.clone())?;
    let shown = ferry.json(&["limit", "show", "localhost"])?;
    check(shown[0]["active"] == 1 && shown[0]["waiting"] == 3, || format!("{shown:#}"))?;
    let ids: Vec<String> = (0..4)
        .map(|i| ferry.json(&["process", "list"]).map(|l| l[i]["id"].to_string()))
        .collect::<Result<_>>()?;
    let words: Vec<&str> = ["process", "kill"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    ferry.ok(&words)?;
    ferry.all_ended(LIMIT)?;
    let shown = ferry.json(&["limit", "show", "localhost"])?;
    check(shown[0]["active"] == 0, || format!("a ticket leaked: {shown:#}"))
}

fn a_wrong_rate_is_refused() -> Result {
    let ferry = Profile::unbounded()?;
    let answer = ferry.ferry(&["computer", "configure", "localhost", "-n", "--submit-rate", "many"])?;
    check(answer.status != 0, || "it was taken".into())?;
    answer.says(&["many", "50/2min"]).map(drop)
}
