//! Cases about faults between ferry and its jobs, while a hundred of them run: connections, the wire itself,
//! Slurm's controller. Everything finishes, and each payload runs exactly once, unless Slurm was told to run
//! it again.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Answer, Profile, Result, check, kill};

use crate::{
    cell::{Cell, CellCase, judge, submit_markers, submit_markers_from},
    crash::{Random, seed},
    services::{Wire, service_pid, services, start_service},
};

/// Cases that break only their own wire.
pub(crate) const WIRE_CASES: &[CellCase] = &[("a_cut_wire_repeats_nothing", a_cut_wire_repeats_nothing)];

/// Cases that break the connections of all cases.
pub(crate) const LINK_CASES: &[CellCase] = &[
    ("killed_connections_repeat_nothing", killed_connections_repeat_nothing),
    ("a_stopped_server_hangs_nobody", a_stopped_server_hangs_nobody),
];

/// Cases that break Slurm's controller.
pub(crate) const CONTROLLER_CASES: &[CellCase] = &[
    ("a_hung_controller_hangs_nobody", a_hung_controller_hangs_nobody),
    ("a_killed_controller_repeats_nothing", a_killed_controller_repeats_nothing),
];

/// Cases in which Slurm itself starts a job again.
pub(crate) const REQUEUE_CASES: &[CellCase] =
    &[("a_requeued_job_goes_on_as_the_same_job", a_requeued_job_goes_on_as_the_same_job)];

const JOBS: usize = 100;
/// Jobs that show at once that they run.
const QUICK: usize = 4;
/// Number of times that a connection is killed.
const KILLS: usize = 4;
/// Time for which the wire is cut.
const CUT: Duration = Duration::from_secs(20);
/// Maximum time until ferry's running operations notice that.
const NOTICE: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(300);

/// Returns the processes that have not ended.
fn live(ferry: &Profile) -> Result<usize> {
    ferry.json(&["process", "list"])?.as_array().map(Vec::len).ok_or_else(|| "no array".into())
}

/// Waits until one of these has run: the batch that it was submitted with is under way then.
fn wait_for_the_first(ferry: &Profile, jobs: &[(String, PathBuf)]) -> Result {
    let begun = Instant::now();
    while !jobs.iter().any(|(_, marker)| marker.exists()) {
        check(begun.elapsed() < LIMIT, || format!("nothing runs\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// The wire is cut for 20 s: no packet passes, and neither side is notified. The far side works on meanwhile.
fn a_cut_wire_repeats_nothing(cell: &Cell) -> Result {
    let wire = Wire::take()?;
    // By default a connection outlives such a cut, and nothing is lost; this one is given up in between.
    let ferry = cell.profile_changed(&wire.computer(&cell.name)?, "keepalive", "2")?;
    // All wait already, so that the cut falls on uploads and submissions too.
    let mut jobs = submit_markers(cell, &ferry, QUICK, "0")?;
    jobs.extend(submit_markers_from(cell, &ferry, QUICK, JOBS - QUICK, "1")?);
    ferry.ok(&["daemon", "start"])?;
    wait_for_the_first(&ferry, &jobs[..QUICK])?;
    let cut = wire.cut()?;
    let begun = Instant::now();
    thread::sleep(NOTICE);
    let left = live(&ferry)?;
    let took = begun.elapsed() - NOTICE;
    thread::sleep(CUT.saturating_sub(begun.elapsed()));
    let left_after = live(&ferry)?;
    drop(cut);
    check(took < Duration::from_secs(5), || format!("a list took {took:?}"))?;
    check(left > 0 && left == left_after, || format!("{left}, then {left_after} left: the wire was whole"))?;
    ferry.all_ended(LIMIT)?;
    judge(&ferry, &jobs)
}

/// Returns the children of the private sshd: one for each connection.
fn connections() -> Result<Vec<i32>> {
    let listed = Command::new("pgrep").args(["-P", &service_pid("sshd")?.to_string()]).output();
    let listed = listed.map_err(|error| format!("pgrep: {error}"))?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.trim().parse().ok()).collect())
}

/// Waits until ferry has one, after the last was killed.
fn wait_for_connections() -> Result<Vec<i32>> {
    let begun = Instant::now();
    loop {
        let open = connections()?;
        if !open.is_empty() {
            return Ok(open);
        }
        check(begun.elapsed() < LIMIT, || "ferry does not connect again".into())?;
        thread::sleep(Duration::from_millis(20));
    }
}

fn killed_connections_repeat_nothing(cell: &Cell) -> Result {
    let seed = seed();
    kill_connections(cell, Random(seed)).map_err(|error| format!("FERRY_SEED={seed}: {error}"))
}

fn kill_connections(cell: &Cell, mut random: Random) -> Result {
    let ferry = cell.profile()?;
    // Some wait already, so that the kills fall on uploads and submissions too.
    let mut jobs = submit_markers(cell, &ferry, JOBS / 2, "1")?;
    ferry.ok(&["daemon", "start"])?;
    for round in 0..KILLS {
        let open = wait_for_connections()?;
        thread::sleep(Duration::from_millis(random.below(400)));
        check(live(&ferry)? > 0, || format!("all have ended after {round} kills"))?;
        signal_all(&open, 9);
        if round == KILLS / 2 {
            let more = submit_markers_from(cell, &ferry, JOBS / 2, JOBS / 2, "1")?;
            jobs.extend(more);
        }
    }
    ferry.all_ended(LIMIT)?;
    judge(&ferry, &jobs)
}

/// A server that was stopped takes everything and answers nothing.
fn a_stopped_server_hangs_nobody(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let jobs = submit_markers(cell, &ferry, 20, "1")?;
    let mut stopped = connections()?;
    stopped.push(service_pid("sshd")?);
    signal_all(&stopped, 19);
    thread::sleep(Duration::from_secs(3));
    let start = Instant::now();
    let listed = ferry.json(&["process", "list"]);
    let stop = ferry.ferry(&["daemon", "stop"]);
    let took = start.elapsed();
    signal_all(&stopped, 18);
    listed?;
    stop?.expect(0)?;
    check(took < Duration::from_secs(20), || format!("list and stop took {took:?}"))?;
    ferry.ok(&["daemon", "start"])?;
    ferry.all_ended(LIMIT)?;
    judge(&ferry, &jobs)
}

pub(crate) fn signal_all(pids: &[i32], signal: i32) {
    for pid in pids {
        kill(*pid, signal);
    }
}

/// A controller that hangs makes only its own processes wait.
fn a_hung_controller_hangs_nobody(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let pid = service_pid("slurmctld")?;
    kill(pid, 19);
    let jobs = submit_markers(cell, &ferry, 5, "0");
    thread::sleep(Duration::from_secs(5));
    let start = Instant::now();
    let listed = ferry.json(&["process", "list"]);
    let stopped = ferry.ferry(&["daemon", "stop"]);
    let took = start.elapsed();
    kill(pid, 18);
    let jobs = jobs?;
    check(listed?.as_array().map(Vec::len) == Some(5), || "not all wait".into())?;
    stopped?.expect(0)?;
    check(took < Duration::from_secs(20), || format!("list and stop took {took:?}"))?;
    ferry.ok(&["daemon", "start"])?;
    ferry.all_ended(LIMIT)?;
    judge(&ferry, &jobs)
}

/// The controller is killed while jobs come in and run, so it forgets what it took in its last seconds.
fn a_killed_controller_repeats_nothing(cell: &Cell) -> Result {
    let seed = seed();
    kill_controllers(cell, Random(seed)).map_err(|error| format!("FERRY_SEED={seed}: {error}"))
}

fn kill_controllers(cell: &Cell, mut random: Random) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let mut jobs = submit_markers(cell, &ferry, JOBS / 2, "1")?;
    for round in 0..2 {
        thread::sleep(Duration::from_millis(500 + random.below(2000)));
        let used = highest_job_id()?;
        kill(service_pid("slurmctld")?, 9);
        begin_ids_at(used + ROOM)?;
        if round == 0 {
            // While no controller answers.
            let more = submit_markers_from(cell, &ferry, JOBS / 2, JOBS / 2, "1")?;
            jobs.extend(more);
        }
        thread::sleep(Duration::from_secs(2));
        start_service("slurmctld")?;
    }
    let outcome = wait_and_resume(&ferry).and_then(|()| judge(&ferry, &jobs));
    resume_nodes()?;
    outcome
}

/// More than a case submits between two looks.
pub(crate) const ROOM: u64 = 10_000;

/// Returns the highest id that the controller has given, or 0 if it remembers none. Waits for a controller that
/// does not answer.
pub(crate) fn highest_job_id() -> Result<u64> {
    let begun = Instant::now();
    loop {
        let listed = Command::new("squeue").args(["-h", "-t", "all", "-o", "%A"]).output();
        let listed = listed.map_err(|error| format!("squeue: {error}"))?;
        if listed.status.success() {
            let ids = String::from_utf8_lossy(&listed.stdout);
            return Ok(ids.lines().filter_map(|line| line.trim().parse().ok()).max().unwrap_or(0));
        }
        check(begun.elapsed() < LIMIT, || String::from_utf8_lossy(&listed.stderr).into_owned())?;
        thread::sleep(Duration::from_millis(200));
    }
}

/// Makes the next controller begin its ids here. A killed controller would use some a second time. The nodes,
/// which remember them for minutes, would cancel those jobs and go out of service. That is Slurm's own
/// behaviour, and would affect the cases that follow.
pub(crate) fn begin_ids_at(id: u64) -> Result {
    let services = services()?;
    begin_ids_in(services["slurm"]["conf"].as_str().ok_or("no slurm.conf")?, id)
}

/// Sets the first id of the controller that reads this file.
pub(crate) fn begin_ids_in(file: &str, id: u64) -> Result {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("FirstJobId=")).collect();
    let first = format!("FirstJobId={id}");
    lines.push(&first);
    let draft = format!("{file}.new");
    fs::write(&draft, lines.join("\n") + "\n")
        .and_then(|()| fs::rename(&draft, file))
        .map_err(|error| format!("{file}: {error}"))
}

/// Waits for the end of all. Meanwhile it resumes nodes that the controller takes out of service: the
/// controller may find a job that it has forgotten, or start a job on a node where it has begun already.
fn wait_and_resume(ferry: &Profile) -> Result {
    let begun = Instant::now();
    while live(ferry)? > 0 {
        if begun.elapsed() > LIMIT {
            return ferry.all_ended(Duration::ZERO);
        }
        resume();
        thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

/// Gives the nodes back as they were.
fn resume_nodes() -> Result {
    let begun = Instant::now();
    loop {
        resume();
        let idle = Command::new("sinfo").args(["-h", "-p", "debug", "-t", "idle", "-o", "%D"]).output();
        let idle = idle.map_err(|error| format!("sinfo: {error}"))?;
        if String::from_utf8_lossy(&idle.stdout).trim() == "4" {
            return Ok(());
        }
        check(begun.elapsed() < LIMIT, || "the nodes don't come back".into())?;
        thread::sleep(Duration::from_millis(200));
    }
}

/// Resumes the nodes. Slurm refuses this for nodes that do not need it, which is no failure.
pub(crate) fn resume() {
    let words = ["update", "nodename=n[1-4]", "state=resume"];
    let _ = Command::new("scontrol").args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// A process that counts how often its payload has begun.
struct Counted<'a> {
    ferry: &'a Profile,
    id: String,
    marker: PathBuf,
}

impl Counted<'_> {
    fn submit<'a>(cell: &Cell, ferry: &'a Profile, name: &str, option: &str) -> Result<Counted<'a>> {
        let marker = ferry.scratch().join(name);
        let word = format!("marker={}", marker.display());
        let words = ["arithmetic.add_job", "x=1", "y=2", "sleep=10", &word, "--option", option];
        Ok(Counted { ferry, id: cell.submit(ferry, &words)?, marker })
    }

    fn began(&self) -> usize {
        fs::read_to_string(&self.marker).unwrap_or_default().lines().count()
    }

    /// Waits until ferry has this word of Slurm, and it has begun once.
    fn wait_for(&self, state: &str) -> Result {
        let begun = Instant::now();
        while !(self.is(state)? && self.began() == 1) {
            check(begun.elapsed() < LIMIT, || format!("not {state}\n{}", self.ferry.log_tail()))?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn is(&self, state: &str) -> Result<bool> {
        Ok(self.ferry.json(&["process", "show", &self.id])?["scheduler_state"] == state)
    }

    fn job(&self) -> Result<String> {
        let shown = self.ferry.json(&["process", "show", &self.id])?;
        shown["job_id"].as_str().map(str::to_owned).ok_or_else(|| format!("no job: {shown:#}"))
    }

    /// Checks that it succeeds with this job and no other, which has started this many times.
    fn ends_well(&self, job: &str, began: usize) -> Result {
        let shown = self.ferry.ended(&self.id, LIMIT)?;
        let good = shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == 3;
        check(good && shown["job_id"] == job, || format!("not job {job}: {shown:#}"))?;
        check(self.began() == began, || format!("it began {} times", self.began()))?;
        let jobs = jobs_in(shown["work_dir"].as_str().unwrap_or_default())?;
        check(jobs == [job], || format!("{jobs:?} were submitted, not {job} alone"))
    }
}

/// Slurm starts a job again, under the same id and with the marker of its first end beside it, only if its
/// user has allowed it.
fn a_requeued_job_goes_on_as_the_same_job(cell: &Cell) -> Result {
    let ferry = cell.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let once = Counted::submit(cell, &ferry, "once", "rerunnable=false")?;
    once.wait_for("RUNNING")?;
    let once_job = once.job()?;
    scontrol(&["requeue", &once_job])?.expect(1)?.says(&["disabled"])?;
    let again = Counted::submit(cell, &ferry, "again", "rerunnable=true")?;
    again.wait_for("RUNNING")?;
    let again_job = again.job()?;
    scontrol(&["requeue", &again_job])?.expect(0)?;
    again.wait_for("PENDING")?;
    // It is looked at a few times. Earlier than that, Slurm's node would not know the next start from the last.
    thread::sleep(Duration::from_secs(4));
    check(again.is("PENDING")? && again.began() == 1, || "it did not wait for its turn".into())?;
    // Slurm would wait for two minutes.
    scontrol(&["update", &format!("jobid={again_job}"), "starttime=now"])?.expect(0)?;
    again.ends_well(&again_job, 2)?;
    once.ends_well(&once_job, 1)
}

fn scontrol(words: &[&str]) -> Result<Answer> {
    let mut command = Command::new("scontrol");
    command.args(words);
    Profile::run(command)
}

/// Returns the jobs known to Slurm that work in this directory.
pub(crate) fn jobs_in(dir: &str) -> Result<Vec<String>> {
    let listed = Command::new("squeue").args(["-h", "-t", "all", "-o", "%A %Z"]).output();
    let listed = listed.map_err(|error| format!("squeue: {error}"))?;
    let jobs = String::from_utf8_lossy(&listed.stdout).into_owned();
    let here = jobs.lines().filter_map(|line| line.split_once(' ')).filter(|(_, place)| place.trim() == dir);
    Ok(here.map(|(id, _)| id.to_owned()).collect())
}
