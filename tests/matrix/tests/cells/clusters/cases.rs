//! Jobs that are sent to the other cluster, while it is busy, while its controller or the accounting is dead, and
//! when they are killed or renamed there.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check};
use serde_json::Value;

use super::ground::{ALPHA, BETA, CORES, Clusters, Job, TO_BETA, until};
use crate::{cell::Cell, chaos::runs};

const LIMIT: Duration = Duration::from_secs(240);
/// Longer than a job must be missing before ferry takes it for gone.
const LONG: Duration = Duration::from_secs(30);

/// Jobs that are held at most to meet a number.
const NAMESAKES: u64 = 200;

/// A process with the file in which its payload counts its runs.
struct Sent<'a> {
    clusters: &'a Clusters,
    ferry: &'a Profile,
    x: usize,
    id: String,
    marker: PathBuf,
}

impl<'a> Sent<'a> {
    fn submit(
        clusters: &'a Clusters,
        ferry: &'a Profile,
        x: usize,
        sleep: &str,
        option: &str,
    ) -> Result<Sent<'a>> {
        let (id, marker) = clusters.submit(ferry, x, sleep, option)?;
        Ok(Sent { clusters, ferry, x, id, marker })
    }

    fn shown(&self) -> Result<Value> {
        self.ferry.json(&["process", "show", &self.id])
    }

    /// Returns every job that was ever submitted for it and that its cluster still knows.
    fn jobs(&self, states: &str) -> Result<Vec<Job>> {
        let shown = self.shown()?;
        match shown["work_dir"].as_str() {
            Some(dir) => self.clusters.jobs(dir, states),
            None => Ok(Vec::new()),
        }
    }

    /// Waits until ferry knows its job, which is in this cluster and this state.
    fn wait_for(&self, cluster: &str, state: &str) -> Result<Job> {
        let there = |job: &Job| job.cluster == cluster && job.state == state;
        until(&format!("process {} is {state} in {cluster}", self.id), LIMIT, || {
            Ok(self.shown()?["job_id"].is_string() && self.jobs("all")?.iter().any(there))
        })
        .map_err(|error| format!("{error}\n{}", self.told()))?;
        self.jobs("all")?.into_iter().find(there).ok_or_else(|| "it is gone again".into())
    }

    /// Checks that it has not ended, and has this one job.
    fn waits_with(&self, job: &Job) -> Result {
        let (shown, jobs) = (self.shown()?, self.jobs("all")?);
        let live = !matches!(shown["state"].as_str(), Some("finished" | "excepted" | "killed"));
        let same = jobs.len() == 1 && (jobs[0].cluster, &jobs[0].id) == (job.cluster, &job.id);
        check(live && same, || format!("not {job:?} alone, but {jobs:?}: {shown:#}\n{}", self.told()))
    }

    /// Waits until a cluster has its job, in any state. Returns the job.
    fn wait_for_any(&self, cluster: &str) -> Result<Job> {
        until(&format!("process {} is in {cluster}", self.id), LIMIT, || Ok(!self.jobs("all")?.is_empty()))
            .map_err(|error| format!("{error}\n{}", self.told()))?;
        let jobs = self.jobs("all")?;
        let job = jobs.iter().find(|job| job.cluster == cluster).cloned();
        job.ok_or_else(|| format!("not in {cluster}: {jobs:?}"))
    }

    /// Checks that it has not ended.
    fn waits(&self) -> Result {
        let shown = self.shown()?;
        let ended = matches!(shown["state"].as_str(), Some("finished" | "excepted" | "killed"));
        check(!ended, || format!("it has ended: {shown:#}\n{}", self.told()))
    }

    /// Checks that it has the right result, by this one job, and has run once.
    fn comes_home(&self, job: &Job) -> Result {
        let shown = self.has_result()?;
        let jobs = self.jobs("all")?;
        let same = jobs.len() == 1 && (jobs[0].cluster, &jobs[0].id) == (job.cluster, &job.id);
        check(same, || format!("not {job:?} alone, but {jobs:?}: {shown:#}\n{}", self.told()))
    }

    /// Checks that it has the right result, and has run once.
    fn has_result(&self) -> Result<Value> {
        let shown = self.ferry.ended(&self.id, LIMIT)?;
        let good = shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == self.x + 1;
        check(good, || format!("{shown:#}\n{}", self.told()))?;
        check(runs(&self.marker) == 1, || format!("process {} ran {} times", self.id, runs(&self.marker)))?;
        Ok(shown)
    }

    fn told(&self) -> String {
        self.ferry.ok(&["process", "report", &self.id]).unwrap_or_default() + &self.ferry.log_tail()
    }
}

/// Nothing is in the way: it goes there, and its result comes home. Another one is killed while it runs there.
pub(super) fn a_job_sent_to_the_other_cluster_comes_home(cell: &Cell) -> Result {
    let clusters = Clusters::take(cell)?;
    let ferry = clusters.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let there = Sent::submit(&clusters, &ferry, 0, "1", TO_BETA)?;
    let here = Sent::submit(&clusters, &ferry, 1, "1", "")?;
    let (job, own) = (there.wait_for_any(BETA)?, here.wait_for_any(ALPHA)?);
    there.comes_home(&job)?;
    here.comes_home(&own)?;
    let running = Sent::submit(&clusters, &ferry, 2, "600", TO_BETA)?;
    running.wait_for(BETA, "RUNNING")?;
    killed(&running)?;
    check(tickets(&ferry, cell)? == 0, || "a ticket is left".into())
}

fn tickets(ferry: &Profile, cell: &Cell) -> Result<u64> {
    let shown = ferry.json(&["limit", "show", &cell.computer()])?;
    shown[0]["active"].as_u64().ok_or_else(|| format!("no number of tickets in {shown:#}"))
}

/// While the other cluster is busy, a job waits there as itself.
pub(super) fn a_busy_cluster_holds_one_job(cell: &Cell) -> Result {
    let clusters = Clusters::take(cell)?;
    waits_and_comes_home(&clusters, &clusters.profile()?, TO_BETA)
}

/// So does one that the environment of the login sends there.
pub(super) fn the_login_s_environment_names_the_cluster(cell: &Cell) -> Result {
    let clusters = Clusters::take(cell)?;
    let ferry = clusters.profile_with("SBATCH_CLUSTERS", BETA)?;
    waits_and_comes_home(&clusters, &ferry, "")
}

fn waits_and_comes_home(clusters: &Clusters, ferry: &Profile, option: &str) -> Result {
    let blocker = clusters.occupy(BETA, CORES)?;
    ferry.ok(&["daemon", "start"])?;
    let sent = Sent::submit(clusters, ferry, 0, "0", option)?;
    let job = sent.wait_for(BETA, "PENDING")?;
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        thread::sleep(Duration::from_secs(2));
        sent.waits_with(&job)?;
    }
    // A new daemon knows it by its place too.
    ferry.ok(&["daemon", "restart"])?;
    thread::sleep(Duration::from_secs(3));
    sent.waits_with(&job)?;
    clusters.client(BETA, &["scancel", &blocker])?;
    sent.comes_home(&job)
}

/// A kill of a job that waits there is reported as done only when it is.
pub(super) fn a_kill_reaches_the_other_cluster(cell: &Cell) -> Result {
    let clusters = Clusters::take(cell)?;
    let ferry = clusters.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let blocker = clusters.occupy(BETA, CORES)?;
    let pending = Sent::submit(&clusters, &ferry, 1, "0", TO_BETA)?;
    let job = pending.wait_for(BETA, "PENDING")?;
    // The job with the same number at home is foreign, and is left alone.
    let namesake = namesake(&clusters, &job)?;
    killed(&pending)?;
    if let Some(namesake) = namesake {
        let left = clusters.client(ALPHA, &["squeue", "-h", "-j", &namesake, "-o", "%T"])?;
        let left = String::from_utf8_lossy(&left.stdout).trim().to_owned();
        check(left == "PENDING", || format!("job {namesake} of {ALPHA}, which is not ours, is `{left}`"))?;
    }
    clusters.client(BETA, &["scancel", &blocker])?;
    thread::sleep(Duration::from_secs(3));
    check(runs(&pending.marker) == 0, || "it ran after it was killed".into())
}

/// Kills it and looks at once.
fn killed(sent: &Sent<'_>) -> Result {
    sent.ferry.ok(&["process", "kill", &sent.id])?;
    let shown = sent.ferry.ended(&sent.id, LIMIT)?;
    let left = sent.jobs("PD,CF,R")?;
    check(shown["state"] == "killed" && left.is_empty(), || {
        format!("left are {left:?}: {shown:#}\n{}", sent.told())
    })
}

/// Holds jobs at home until one has the number of `job`, or one beyond it if that was another's; its id. None where
/// a killed controller has left too many numbers between.
fn namesake(clusters: &Clusters, job: &Job) -> Result<Option<String>> {
    let wanted: u64 = job.id.parse().map_err(|_| format!("job {} has no number", job.id))?;
    for _ in 0..NAMESAKES {
        let words = ["sbatch", "--parsable", "--hold", "--output=/dev/null", "--wrap", "true"];
        let made = clusters.client(ALPHA, &words)?;
        let made = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        let number = made.parse::<u64>().map_err(|_| format!("{ALPHA} takes no job: {made}"))?;
        if number >= wanted {
            return Ok(Some(made));
        }
        if wanted - number > NAMESAKES {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Without accounting the clusters don't find one another: what is at home comes home, what is elsewhere waits.
pub(super) fn dead_accounting_ends_no_job(cell: &Cell) -> Result {
    dead(cell, "slurmdbd")
}

/// A dead controller holds back its own jobs alone.
pub(super) fn a_dead_controller_holds_back_its_own_jobs_alone(cell: &Cell) -> Result {
    dead(cell, "slurmctld-beta")
}

/// Runs jobs in both clusters while a service dies that only the other cluster needs, and comes back.
fn dead(cell: &Cell, service: &str) -> Result {
    let clusters = Clusters::take(cell)?;
    let ferry = clusters.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let there = Sent::submit(&clusters, &ferry, 0, "30", TO_BETA)?;
    let here = Sent::submit(&clusters, &ferry, 1, "20", "")?;
    let (job, own) = (there.wait_for(BETA, "RUNNING")?, here.wait_for(ALPHA, "RUNNING")?);
    // A controller has its state on disk by then.
    thread::sleep(Duration::from_secs(6));
    clusters.kill(service)?;
    let meanwhile = || -> Result<Sent<'_>> {
        let late = Sent::submit(&clusters, &ferry, 2, "0", TO_BETA)?;
        let next = Sent::submit(&clusters, &ferry, 3, "0", "")?;
        next.has_result()?;
        here.has_result()?;
        thread::sleep(LONG);
        late.waits()?;
        Ok(late)
    };
    let late = meanwhile();
    clusters.start(service)?;
    clusters.resume_nodes()?;
    here.comes_home(&own)?;
    there.comes_home(&job)?;
    late?.has_result()?;
    check(tickets(&ferry, cell)? == 0, || "a ticket is left".into())
}

/// A user renames it there: it is the same job, for a kill too.
pub(super) fn a_renamed_job_there_is_still_ours(cell: &Cell) -> Result {
    let clusters = Clusters::take(cell)?;
    let ferry = clusters.profile()?;
    ferry.ok(&["daemon", "start"])?;
    let running = Sent::submit(&clusters, &ferry, 0, "40", TO_BETA)?;
    let runs_on = running.wait_for(BETA, "RUNNING")?;
    rename(&clusters, &runs_on)?;
    let blocker = clusters.occupy(BETA, CORES - 1)?;
    let pending = Sent::submit(&clusters, &ferry, 1, "0", TO_BETA)?;
    let job = pending.wait_for(BETA, "PENDING")?;
    rename(&clusters, &job)?;
    thread::sleep(LONG);
    pending.waits_with(&job)?;
    killed(&pending)?;
    running.comes_home(&runs_on)?;
    clusters.client(BETA, &["scancel", &blocker])?;
    check(runs(&pending.marker) == 0, || "it ran after it was killed".into())
}

fn rename(clusters: &Clusters, job: &Job) -> Result {
    let renamed =
        clusters.client(job.cluster, &["scontrol", "update", &format!("jobid={}", job.id), "name=x"])?;
    check(renamed.status.success(), || String::from_utf8_lossy(&renamed.stderr).into_owned())
}
