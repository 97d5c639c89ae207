//! The same calculation in every cell of {local, ssh} x {direct, slurm}: what must hold wherever jobs run.
//!
//! The computers come from `FERRY_SERVICES`, the report of `cargo xtask services`; `local+direct` needs none.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ferry_matrix::{Profile, Result, check, kill, text};
use serde_json::Value;

/// A transport with a scheduler, `ssh+slurm`.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) name: String,
}

pub(crate) type CellCase = (&'static str, fn(&Cell) -> Result);

/// What runs in every cell.
pub(crate) const CASES: &[CellCase] = &[
    ("computer_test_finds_nothing_wrong", computer_test_finds_nothing_wrong),
    ("add_gives_the_sum", add_gives_the_sum),
    ("exit_codes_come_home", exit_codes_come_home),
    ("files_go_there_and_come_back", files_go_there_and_come_back),
    ("kill_ends_the_job", kill_ends_the_job),
    ("two_hundred_at_once", two_hundred_at_once),
    ("kills_of_the_daemon_repeat_nothing", kills_of_the_daemon_repeat_nothing),
];

/// What runs where there is a queue.
pub(crate) const QUEUE_CASES: &[CellCase] = &[
    ("queued_jobs_stay_under_their_bound", queued_jobs_stay_under_their_bound),
    ("active_jobs_stay_under_their_bound", active_jobs_stay_under_their_bound),
    ("refusals_fail_at_once_with_the_schedulers_words", refusals_fail_at_once_with_the_schedulers_words),
    ("a_hung_controller_hangs_nobody", a_hung_controller_hangs_nobody),
];

/// What runs with `--full` alone. A killed controller reuses ids, and the nodes cancel a job whose id they
/// remember: that is Slurm's own doing, and would fall on the cases that come after.
pub(crate) const FULL_QUEUE_CASES: &[CellCase] =
    &[("a_killed_controller_repeats_nothing", a_killed_controller_repeats_nothing)];

/// What runs where a link can be lost.
pub(crate) const LINK_CASES: &[CellCase] = &[
    ("a_killed_connection_repeats_nothing", a_killed_connection_repeats_nothing),
    ("a_stopped_server_hangs_nobody", a_stopped_server_hangs_nobody),
];

const LIMIT: Duration = Duration::from_secs(120);

impl Cell {
    /// Whether jobs can be pending.
    pub(crate) fn has_queue(&self) -> bool {
        self.name.ends_with("+slurm")
    }

    /// Whether there is a connection to lose.
    pub(crate) fn has_link(&self) -> bool {
        self.name.starts_with("ssh+")
    }

    fn computer(&self) -> String {
        if self.name == "local+direct" { "localhost".into() } else { self.name.replace('+', "-") }
    }

    /// A profile that knows the cell's computer, polled often.
    fn profile(&self) -> Result<Profile> {
        let ferry = Profile::new()?;
        if self.name != "local+direct" {
            let services = services()?;
            let file =
                services["computers"][&self.name].as_str().ok_or("the services have no such computer")?;
            ferry.ok(&["computer", "setup", "-n", "--config", file])?;
        }
        ferry.ok(&["computer", "configure", &self.computer(), "-n", "--poll-interval", "0.3"])?;
        Ok(ferry)
    }

    fn submit(&self, ferry: &Profile, words: &[&str]) -> Result<String> {
        ferry.submit(&[words, &["--computer", &self.computer()]].concat())
    }
}

fn services() -> Result<Value> {
    let path =
        std::env::var_os("FERRY_SERVICES").ok_or("FERRY_SERVICES is not set; use `cargo xtask test`")?;
    let text =
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", PathBuf::from(&path).display()))?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
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

fn submit_markers(cell: &Cell, ferry: &Profile, count: usize, sleep: &str) -> Result<Vec<(String, PathBuf)>> {
    submit_markers_from(cell, ferry, 0, count, sleep)
}

/// Jobs that append a line to a file of their own; the sum of job `i` is `i + 1`.
fn submit_markers_from(
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

fn judge(ferry: &Profile, jobs: &[(String, PathBuf)]) -> Result {
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
    let ferry = cell.profile()?;
    let jobs = submit_markers(cell, &ferry, 100, "0.3")?;
    for round in 0..12_u64 {
        ferry.ok(&["daemon", "start"])?;
        let (daemon, _) = ferry.daemon()?;
        thread::sleep(Duration::from_millis(100 + round * 37 % 400));
        kill(daemon, 9);
    }
    ferry.ok(&["daemon", "start"])?;
    ferry.all_ended(Duration::from_secs(400))?;
    judge(&ferry, &jobs)
}

/// Jobs in the real queue in these states, every 50 ms; the most that were seen.
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

/// Two hundred jobs go through beside a few that somebody else holds in the queue.
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
        let jobs = submit_markers(cell, &ferry, 200, "0")?;
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

/// What Slurm refuses for good fails the process at once, with Slurm's words, and harms nobody.
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

/// A controller that hangs makes processes wait, and nobody else.
fn a_hung_controller_hangs_nobody(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let pid = service_pid("slurmctld")?;
    kill(pid, 19);
    let jobs = submit_markers(cell, &ferry, 5, "0");
    thread::sleep(Duration::from_secs(5));
    let start = std::time::Instant::now();
    let listed = ferry.json(&["process", "list"]);
    let stopped = ferry.ferry(&["daemon", "stop"]);
    let took = start.elapsed();
    kill(pid, 18);
    let jobs = jobs?;
    check(listed?.as_array().map(Vec::len) == Some(5), || "not all wait".into())?;
    stopped?.expect(0)?;
    check(took < Duration::from_secs(20), || format!("list and stop took {took:?}"))?;
    ferry.ok(&["daemon", "start"])?;
    ferry.all_ended(Duration::from_secs(300))?;
    judge(&ferry, &jobs)
}

/// The pid of a daemon of the services, the newest if it was started again.
fn service_pid(name: &str) -> Result<i32> {
    let services = services()?;
    let pids = fs::read_to_string(services["pids"].as_str().unwrap_or_default())
        .map_err(|error| error.to_string())?;
    let of = |line: &str| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok();
    pids.lines().rev().find_map(of).ok_or_else(|| format!("no {name} was started"))
}

/// Starts a daemon of the services again, the way they did.
fn start_service(name: &str) -> Result {
    let services = services()?;
    let words: Vec<&str> =
        services["daemons"][name].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (program, words) = words.split_first().ok_or_else(|| format!("no words for {name}"))?;
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(|error| format!("{program}: {error}"))
}

fn a_killed_controller_repeats_nothing(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let mut jobs = submit_markers(cell, &ferry, 30, "1")?;
    for _ in 0..2 {
        thread::sleep(Duration::from_secs(2));
        let used = next_job_id()?;
        kill(service_pid("slurmctld")?, 9);
        thread::sleep(Duration::from_secs(3));
        start_service("slurmctld")?;
        resume_nodes();
        while next_job_id()? <= used {}
    }
    let more = submit_markers_from(cell, &ferry, jobs.len(), 10, "0")?;
    jobs.extend(more);
    ferry.all_ended(Duration::from_secs(300))?;
    judge(&ferry, &jobs)
}

/// Uses up one job id, and says which.
fn next_job_id() -> Result<u64> {
    let made =
        Command::new("sbatch").args(["--parsable", "--hold", "--wrap", "true"]).current_dir("/tmp").output();
    let made = made.map_err(|error| format!("sbatch: {error}"))?;
    let id = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let _ = Command::new("scancel").arg(&id).output();
    id.parse().map_err(|_| format!("sbatch gave no id: {}", String::from_utf8_lossy(&made.stderr)))
}

/// A controller that was killed may find a node with a job that it has forgotten, and take it out of service.
fn resume_nodes() {
    for _ in 0..50 {
        let words = ["update", "nodename=n[1-4]", "state=resume"];
        match Command::new("scontrol").args(words).stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(status) if status.success() => return,
            _ => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// The children of the private sshd: one for each connection.
fn connections() -> Result<Vec<i32>> {
    let listed = Command::new("pgrep").args(["-P", &service_pid("sshd")?.to_string()]).output();
    let listed = listed.map_err(|error| format!("pgrep: {error}"))?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.trim().parse().ok()).collect())
}

fn a_killed_connection_repeats_nothing(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let jobs = submit_markers(cell, &ferry, 60, "0.5")?;
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(700));
        for pid in connections()? {
            kill(pid, 9);
        }
    }
    ferry.all_ended(Duration::from_secs(300))?;
    judge(&ferry, &jobs)
}

/// A stopped server is a link that is cut without a word.
fn a_stopped_server_hangs_nobody(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let jobs = submit_markers(cell, &ferry, 20, "1")?;
    let mut stopped = connections()?;
    stopped.push(service_pid("sshd")?);
    signal_all(&stopped, 19);
    thread::sleep(Duration::from_secs(3));
    let start = std::time::Instant::now();
    let listed = ferry.json(&["process", "list"]);
    let stop = ferry.ferry(&["daemon", "stop"]);
    let took = start.elapsed();
    thread::sleep(Duration::from_secs(17));
    signal_all(&stopped, 18);
    listed?;
    stop?.expect(0)?;
    check(took < Duration::from_secs(20), || format!("list and stop took {took:?}"))?;
    ferry.ok(&["daemon", "start"])?;
    ferry.all_ended(Duration::from_secs(300))?;
    judge(&ferry, &jobs)
}

fn signal_all(pids: &[i32], signal: i32) {
    for pid in pids {
        kill(*pid, signal);
    }
}
