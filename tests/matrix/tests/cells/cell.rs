//! The same calculation in every cell of {local, ssh} x {direct, slurm}: what must hold wherever jobs run.
//!
//! The computers come from `FERRY_SERVICES`, the report of `cargo xtask services`; `local+direct` needs none.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ferry_matrix::{Profile, Result, check, kill, plugin, text};
use serde_json::json;

use crate::{
    crash::{Random, seed},
    is_full,
    services::{Wire, services},
};

/// A transport with a scheduler, `ssh+slurm`.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) name: String,
}

pub(crate) type CellCase = (&'static str, fn(&Cell) -> Result);

/// Cases that run in every cell.
pub(crate) const CASES: &[CellCase] = &[
    ("computer_test_finds_nothing_wrong", computer_test_finds_nothing_wrong),
    ("add_gives_the_sum", add_gives_the_sum),
    ("exit_codes_come_home", exit_codes_come_home),
    ("files_go_there_and_come_back", files_go_there_and_come_back),
    ("kill_ends_the_job", kill_ends_the_job),
    ("two_hundred_at_once", two_hundred_at_once),
    ("kills_of_the_daemon_repeat_nothing", kills_of_the_daemon_repeat_nothing),
];

/// Cases that run in every cell, this machine's own included.
pub(crate) const EVERYWHERE: &[CellCase] =
    &[("copies_on_the_computer_behave_as_cp", copies_on_the_computer_behave_as_cp)];

/// Cases that run where there is a queue.
pub(crate) const QUEUE_CASES: &[CellCase] = &[
    ("queued_jobs_stay_under_their_bound", queued_jobs_stay_under_their_bound),
    ("active_jobs_stay_under_their_bound", active_jobs_stay_under_their_bound),
    ("computers_of_one_queue_share_their_bound", computers_of_one_queue_share_their_bound),
    ("refusals_fail_at_once_with_the_schedulers_words", refusals_fail_at_once_with_the_schedulers_words),
];

const LIMIT: Duration = Duration::from_secs(240);

impl Cell {
    /// Returns whether jobs can be pending.
    pub(crate) fn has_queue(&self) -> bool {
        self.name.ends_with("+slurm")
    }

    /// Returns whether there is a connection that can be lost.
    pub(crate) fn has_link(&self) -> bool {
        self.name.starts_with("ssh+")
    }

    /// Returns the label of its computer.
    pub(crate) fn computer(&self) -> String {
        if self.name == "local+direct" { "localhost".into() } else { self.name.replace('+', "-") }
    }

    /// Makes a profile that knows the cell's computer, polled often.
    pub(crate) fn profile(&self) -> Result<Profile> {
        if self.name == "local+direct" {
            let ferry = Profile::new()?;
            self.poll_often(&ferry)?;
            return Ok(ferry);
        }
        let services = services()?;
        let file = services["computers"][&self.name].as_str().ok_or("the services have no such computer")?;
        let ferry = self.profile_with(Path::new(file))?;
        if self.has_queue() {
            // Recovery's conclusions from a listing depend on it, as they do for a user.
            ferry.ok(&["computer", "test", &self.computer(), "--job"])?;
        }
        Ok(ferry)
    }

    /// Makes a profile that knows the cell's computer as a file describes it.
    pub(crate) fn profile_with(&self, computer: &Path) -> Result<Profile> {
        let ferry = Profile::new()?;
        ferry.ok(&["computer", "setup", "-n", "--config", text(computer)])?;
        self.poll_often(&ferry)?;
        Ok(ferry)
    }

    /// Makes such a profile with one setting of the computer changed.
    pub(crate) fn profile_changed(&self, computer: &Path, key: &str, value: &str) -> Result<Profile> {
        let described = fs::read_to_string(computer).map_err(|error| error.to_string())?;
        let other = |line: &&str| !line.starts_with(&format!("{key}:"));
        let kept: String = described.lines().filter(other).map(|line| format!("{line}\n")).collect();
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = scratch.path().join("computer.yaml");
        fs::write(&file, format!("{kept}{key}: {value}\n")).map_err(|error| error.to_string())?;
        self.profile_with(&file)
    }

    /// Makes a profile for a trial of its own. Its jobs work below its scratch directory, so that they can be
    /// told from others. A connection over the wire is given up soon after it is cut, and tried again soon.
    pub(crate) fn profile_below_scratch(&self, wire: Option<&Wire>) -> Result<Profile> {
        if self.name == "local+direct" {
            return self.profile();
        }
        let ferry = Profile::new()?;
        let file = match wire {
            Some(wire) => wire.computer(&self.name)?,
            None => services()?["computers"][&self.name].as_str().unwrap_or_default().into(),
        };
        let described = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let ours = |line: &&str| line.starts_with("work_dir:") || line.starts_with("keepalive:");
        let kept = described.lines().filter(|line| !ours(line)).map(|line| format!("{line}\n"));
        let mut described: String = kept.collect();
        described += &format!("work_dir: {}\n", ferry.scratch().join("work").display());
        described += if self.has_link() { "keepalive: 2\nprobe_initial: 1\nprobe_max: 4\n" } else { "" };
        let file = ferry.scratch().join("computer.yaml");
        fs::write(&file, described).map_err(|error| error.to_string())?;
        ferry.ok(&["computer", "setup", "-n", "--config", text(&file)])?;
        self.poll_often(&ferry)?;
        Ok(ferry)
    }

    fn poll_often(&self, ferry: &Profile) -> Result {
        let mut words = vec!["--poll-interval", "0.3"];
        if !self.has_queue() {
            // The cells are not about what fits on this machine, and their jobs are more than its cores.
            words.extend(["--num-cores", "unlimited"]);
        }
        ferry.ok(&[&["computer", "configure", &self.computer(), "-n"], &words[..]].concat()).map(drop)
    }

    pub(crate) fn submit(&self, ferry: &Profile, words: &[&str]) -> Result<String> {
        ferry.submit(&[words, &["--computer", &self.computer()]].concat())
    }
}

fn computer_test_finds_nothing_wrong(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    let steps = ferry.json(&["computer", "test", &cell.computer(), "--job"])?;
    let all = steps.as_array().ok_or("no array")?;
    check(all.len() >= 6 && all.iter().all(|step| step["ok"] == true), || format!("{steps:#}"))
}

fn add_gives_the_sum(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let id = cell.submit(&ferry, &["arithmetic.add_job", "x=2", "y=3"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["outputs"]["sum"]["value"] == 5 && shown["exit_code"] == 0, || format!("{shown:#}"))?;
    check(shown["job_id"].is_string() && shown["computer"] == *cell.computer(), || format!("{shown:#}"))
}

fn exit_codes_come_home(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let negative = cell.submit(&ferry, &["arithmetic.add_job", "x=2", "y=-3"])?;
    let failing = cell.submit(&ferry, &["shell.run", "command=ls", "arguments=/no/such/place"])?;
    let shown = ferry.ended(&negative, LIMIT)?;
    check(shown["exit_code"] == 410 && shown["outputs"]["sum"]["value"] == -1, || format!("{shown:#}"))?;
    let shown = ferry.ended(&failing, LIMIT)?;
    check(shown["exit_code"] == 400, || format!("{shown:#}"))
}

fn files_go_there_and_come_back(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let file = ferry.scratch().join("in put.txt");
    let lines: String = (0..200_000).rev().map(|i| format!("{i:07}\n")).collect();
    fs::write(&file, &lines).map_err(|error| error.to_string())?;
    let node = format!("nodes.numbers=file:{}", text(&file));
    let id = cell.submit(&ferry, &["shell.run", "command=sort", "arguments={numbers}", &node])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    let sorted = ferry.ferry(&["calcjob", "outputcat", &id, "stdout"])?.expect(0)?.stdout;
    let expected: String = (0..200_000).map(|i| format!("{i:07}\n")).collect();
    check(sorted == expected, || "the lines are not sorted".into())
}

/// Copies, globs and links of what another job left, several codes in parallel, and a file that is not kept.
fn copies_on_the_computer_behave_as_cp(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["plugin", "install", text(&plugin("script_file")?)])?;
    ferry.ok(&["daemon", "start"])?;
    let write = |words: &str| json!({"command": "sh", "args": ["-c", words]});
    let first = json!({"run": [write("mkdir -p folder/nested pseudo; echo new > folder/nested/file; echo Ba > pseudo/Ba; \
                                      echo a > a.xml; echo b > b.xml")]});
    let id = cell.submit(&ferry, &["script.job", &format!("job={first}")])?;
    let place = format!("places.p=@{}", ferry.ended(&id, LIMIT)?["outputs"]["remote_folder"]["id"]);
    let second = json!({
        "sandbox": {"folder/nested/file": "old\n", "pseudo/": "", "secret": "s"},
        "exclude": ["secret"],
        "copy": [
            ["p", "folder/nested", "folder/nested"], ["p", "pseudo/Ba", "pseudo"], ["p", "*.xml", "globbed"],
            ["p", "folder/nested/file", "over"], ["p", "pseudo/Ba", "over"],
        ],
        "link": [["p", "pseudo", "deep/linked"]],
        "run": [write("cat deep/linked/Ba > one.out"), write("cat secret > two.out; exit 3")],
        "parallel": true,
        "retrieve": [["*", "", null]],
    });
    let id = cell.submit(&ferry, &["script.job", &format!("job={second}"), &place])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}\n{}", ferry.log_tail()))?;
    let listed = ferry.ok(&["calcjob", "outputls", &id])?;
    let names = "folder/nested/file folder/nested/nested/file globbed/a.xml globbed/b.xml one.out over pseudo/Ba two.out";
    for name in names.split(' ') {
        check(listed.lines().any(|line| line == name), || format!("no {name}: {listed}"))?;
    }
    for (path, expect) in [
        ("folder/nested/file", "old"),
        ("folder/nested/nested/file", "new"),
        ("over", "Ba"),
        ("one.out", "Ba"),
        ("two.out", "s"),
    ] {
        let found = ferry.ok(&["calcjob", "outputcat", &id, path])?;
        check(found == expect, || format!("{path}: {found}"))?;
    }
    let kept = ferry.ok(&["calcjob", "inputls", &id])?;
    check(!kept.contains("secret"), || kept)
}

fn kill_ends_the_job(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let marker = ferry.scratch().join("alive");
    let script = format!("arguments=[\"-c\", \"while sleep 0.2; do date >> {}; done\"]", marker.display());
    let id = cell.submit(&ferry, &["shell.run", "command=sh", &script])?;
    for _ in 0..300 {
        if marker.exists() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    check(marker.exists(), || "the job did not start".into())?;
    ferry.ok(&["process", "kill", &id])?;
    check(ferry.ended(&id, LIMIT)?["state"] == "killed", || "not killed".into())?;
    let size = || fs::metadata(&marker).map_or(0, |found| found.len());
    thread::sleep(Duration::from_secs(2));
    let before = size();
    thread::sleep(Duration::from_secs(1));
    check(size() == before, || "the job lives on".into())
}

/// Submits jobs that append a line to a file of their own each, so that it shows how often each ran.
pub(crate) fn submit_markers(
    cell: &Cell,
    ferry: &Profile,
    count: usize,
    sleep: &str,
) -> Result<Vec<(String, PathBuf)>> {
    submit_markers_from(cell, ferry, 0, count, sleep)
}

/// Submits more of them; the sum of job `i` is `i + 1`.
pub(crate) fn submit_markers_from(
    cell: &Cell,
    ferry: &Profile,
    first: usize,
    count: usize,
    sleep: &str,
) -> Result<Vec<(String, PathBuf)>> {
    let one = |i: usize| {
        let marker = ferry.scratch().join(format!("marker-{i}"));
        let words = [format!("x={i}"), format!("sleep={sleep}"), format!("marker={}", marker.display())];
        let id = cell.submit(ferry, &["arithmetic.add_job", &words[0], "y=1", &words[1], &words[2]])?;
        Ok((id, marker))
    };
    (first..first + count).map(one).collect()
}

/// Checks that each has ended with the right sum, and that its payload ran once.
pub(crate) fn judge(ferry: &Profile, jobs: &[(String, PathBuf)]) -> Result {
    for (i, (id, marker)) in jobs.iter().enumerate() {
        let shown = ferry.json(&["process", "show", id])?;
        let good = shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == i + 1;
        check(good, || format!("process {id}: {shown:#}\n{}", ferry.log_tail()))?;
        let lines = fs::read_to_string(marker).map_err(|error| format!("{}: {error}", marker.display()))?;
        check(lines.lines().count() == 1, || format!("process {id} ran {} times", lines.lines().count()))?;
    }
    Ok(())
}

fn two_hundred_at_once(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let jobs = submit_markers(cell, &ferry, 200, "0")?;
    ferry.all_ended(Duration::from_secs(400))?;
    judge(&ferry, &jobs)
}

fn kills_of_the_daemon_repeat_nothing(cell: &Cell) -> Result {
    let seed = seed();
    kill_daemons(cell, Random(seed)).map_err(|error| format!("FERRY_SEED={seed}: {error}"))
}

fn kill_daemons(cell: &Cell, mut random: Random) -> Result {
    let ferry = cell.profile()?;
    let jobs = submit_markers(cell, &ferry, 100, "0.3")?;
    for _ in 0..12 {
        ferry.ok(&["daemon", "start"])?;
        let (daemon, _) = ferry.daemon()?;
        thread::sleep(Duration::from_millis(random.below(500)));
        kill(daemon, 9);
    }
    ferry.ok(&["daemon", "start"])?;
    ferry.all_ended(Duration::from_secs(400))?;
    judge(&ferry, &jobs)
}

/// Counts jobs in these states in the real queue every 50 ms. The thread returns the largest count.
fn watch_queue(states: &'static str, stop: Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        let mut most = 0;
        while !stop.load(Ordering::Relaxed) {
            if let Ok(listed) = Command::new("squeue").args(["-h", "-t", states, "-o", "%i"]).output() {
                most = most.max(String::from_utf8_lossy(&listed.stdout).lines().count());
            }
            thread::sleep(Duration::from_millis(50));
        }
        most
    })
}

const FOREIGN: usize = 3;
const BOUND: usize = 10;

fn queued_jobs_stay_under_their_bound(cell: &Cell) -> Result {
    stay_under(cell, "--max-queued-jobs", "PD,CF")
}

fn active_jobs_stay_under_their_bound(cell: &Cell) -> Result {
    stay_under(cell, "--max-active-jobs", "PD,CF,R")
}

/// Checks a limit: many jobs run beside a few that another user's process holds in the queue.
fn stay_under(cell: &Cell, limit: &str, states: &'static str) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["computer", "configure", &cell.computer(), "-n", limit, &BOUND.to_string()])?;
    let mut foreign = Vec::new();
    for _ in 0..FOREIGN {
        let made = Command::new("sbatch")
            .args(["--parsable", "--hold", "--wrap", "true"])
            .current_dir("/tmp")
            .output();
        let made = made.map_err(|error| format!("sbatch: {error}"))?;
        foreign.push(String::from_utf8_lossy(&made.stdout).trim().to_owned());
    }
    ferry.ok(&["daemon", "start"])?;
    let stop = Arc::new(AtomicBool::new(false));
    let observer = watch_queue(states, stop.clone());
    let run = || {
        let jobs = submit_markers(cell, &ferry, if is_full() { 200 } else { 80 }, "0")?;
        ferry.all_ended(Duration::from_secs(400))?;
        judge(&ferry, &jobs)
    };
    let outcome = run();
    stop.store(true, Ordering::Relaxed);
    let most = observer.join().map_err(|_| "the observer failed")?;
    let _ = Command::new("scancel").args(&foreign).output();
    outcome?;
    check((FOREIGN + 1..=BOUND).contains(&most), || format!("{most} jobs at once, {BOUND} are allowed"))
}

/// Adds another label for the same user and host. Over the local transport it has another host name, so that
/// only Slurm can show that the queue is the same.
fn second_computer(cell: &Cell, ferry: &Profile) -> Result<String> {
    let services = services()?;
    let file = services["computers"][&cell.name].as_str().ok_or("the services have no such computer")?;
    let described = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let other = |line: &str| match line.split_once(':') {
        Some(("label", _)) => "label: second\n".to_owned(),
        Some(("hostname", _)) if !cell.has_link() => "hostname: by-another-name\n".to_owned(),
        _ => format!("{line}\n"),
    };
    let path = ferry.scratch().join("second.yaml");
    fs::write(&path, described.lines().map(other).collect::<String>()).map_err(|error| error.to_string())?;
    ferry.ok(&["computer", "setup", "-n", "--config", text(&path)])?;
    ferry.ok(&["computer", "configure", "second", "-n", "--poll-interval", "0.3"])?;
    Ok("second".into())
}

/// Forty jobs through two computers that reach the same queue as the same user, each with the bound.
fn computers_of_one_queue_share_their_bound(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    let computers = [cell.computer(), second_computer(cell, &ferry)?];
    for computer in &computers {
        ferry.ok(&["computer", "configure", computer, "-n", "--max-queued-jobs", &BOUND.to_string()])?;
    }
    ferry.ok(&["daemon", "start"])?;
    let stop = Arc::new(AtomicBool::new(false));
    let observer = watch_queue("PD,CF", stop.clone());
    let run = || {
        let jobs =
            (0..40).map(|i| submit_pending(&ferry, &computers[i % 2], i)).collect::<Result<Vec<_>>>()?;
        thread::sleep(Duration::from_secs(4));
        let shown = ferry.json(&["limit", "show"])?;
        ferry.all_ended(Duration::from_secs(400))?;
        judge(&ferry, &jobs)?;
        Ok(shown)
    };
    let outcome: Result<serde_json::Value> = run();
    stop.store(true, Ordering::Relaxed);
    let most = observer.join().map_err(|_| "the observer failed")?;
    let shown = outcome?;
    check((BOUND / 2..=BOUND).contains(&most), || {
        format!("{most} jobs were pending at once, {BOUND} are allowed for both computers: {shown:#}")
    })?;
    let tells = |with: &str| {
        shown.as_array().into_iter().flatten().map(|computer| &computer["shared"]).any(|shared| {
            shared["with"] == json!([with])
                && shared["queue"].is_string()
                && shared["max_queued_jobs"] == BOUND
        })
    };
    check(tells("second") && tells(&computers[0]), || format!("{shown:#}"))
}

/// Submits a job that is pending for a while, whatever room there is.
fn submit_pending(ferry: &Profile, computer: &str, i: usize) -> Result<(String, PathBuf)> {
    let marker = ferry.scratch().join(format!("marker-{i}"));
    let words = [format!("x={i}"), format!("marker={}", marker.display())];
    let later = "custom_scheduler_commands=#SBATCH --begin=now+5";
    let id = ferry.submit(&[
        "arithmetic.add_job",
        &words[0],
        "y=1",
        &words[1],
        "--computer",
        computer,
        "--option",
        later,
    ])?;
    Ok((id, marker))
}

/// Slurm's permanent refusal fails the process at once, with Slurm's words, and harms no other one.
fn refusals_fail_at_once_with_the_schedulers_words(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let id = cell.submit(&ferry, &["arithmetic.add_job", "x=1", "y=1", "--option", "queue_name=nosuch"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    let why = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["exit_code"] == 130 && why.contains("partition"), || format!("{shown:#}"))?;
    let good = cell.submit(&ferry, &["arithmetic.add_job", "x=1", "y=1"])?;
    check(ferry.ended(&good, LIMIT)?["exit_code"] == 0, || "a good one was harmed".into())?;
    let shown = ferry.json(&["limit", "show", &cell.computer()])?;
    check(shown[0]["active"] == 0, || format!("a ticket leaked: {shown:#}"))
}
