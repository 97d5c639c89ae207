//! The two clusters as a case has them: brought up by the first that asks, whole again for each, asked and broken
//! one by one. What they are asked here goes to each controller by its own configuration, so it needs no accounting.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, kill, text};
use serde_json::Value;

use crate::{
    cell::Cell,
    fault::{ROOM, begin_ids_in},
    services::{pid_in, start_in},
    supervisor::lives,
};

/// Maximum time until a service is back.
const BACK: Duration = Duration::from_secs(240);
/// When a service that was started stays up.
const SETTLED: Duration = Duration::from_millis(300);

/// The cluster at home, whose clients ferry uses.
pub(super) const ALPHA: &str = "alpha";
/// The other one.
pub(super) const BETA: &str = "beta";
/// Cores of each cluster.
pub(super) const CORES: usize = 8;
/// The line of a job script that sends it there.
pub(super) const TO_BETA: &str = "custom_scheduler_commands=#SBATCH --clusters=beta";

/// Both clusters, for one case at a time. Dropping it leaves no job of the case.
pub(super) struct Clusters {
    report: Value,
    cell: Cell,
    _turn: MutexGuard<'static, ()>,
}

/// A job as the controller of its cluster shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Job {
    pub(super) cluster: &'static str,
    pub(super) id: String,
    pub(super) state: String,
}

impl Clusters {
    /// Waits for a turn, and makes sure that everything runs and nothing is queued.
    pub(super) fn take(cell: &Cell) -> Result<Clusters> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let clusters = Clusters { report: bring_up()?, cell: cell.clone(), _turn: turn };
        clusters.make_whole()?;
        Ok(clusters)
    }

    /// Makes a profile that knows the login of the first cluster, with its computer tried by a job there.
    pub(super) fn profile(&self) -> Result<Profile> {
        let file = self.report["computers"][&self.cell.name].as_str().ok_or("no such computer")?;
        let ferry = Profile::new()?.with("SLURM_CONF", &self.conf(ALPHA)?);
        let described = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        let work = |line: &&str| !line.starts_with("work_dir:");
        let kept: String = described.lines().filter(work).map(|line| format!("{line}\n")).collect();
        // Below the scratch directory, so that the jobs of this case can be distinguished from others.
        let described = format!("{kept}work_dir: {}\n", ferry.scratch().join("work").display());
        let file = ferry.scratch().join("computer.yaml");
        fs::write(&file, described).map_err(|error| error.to_string())?;
        ferry.ok(&["computer", "setup", "-n", "--config", text(&file)])?;
        let computer = self.cell.computer();
        ferry.ok(&["computer", "configure", &computer, "-n", "--poll-interval", "0.3"])?;
        ferry.ok(&["computer", "test", &computer, "--job"])?;
        Ok(ferry)
    }

    /// Makes the same, with a variable in the environment of the login: the daemon's own, or one that bash
    /// sets there.
    pub(super) fn profile_with(&self, name: &str, value: &str) -> Result<Profile> {
        let ferry = self.profile()?;
        if self.cell.has_link() {
            for file in self.login_files() {
                let written = fs::write(&file, format!("export {name}={value}\n"));
                written.map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        Ok(ferry.with(name, value))
    }

    /// Submits a calculation that appends a line to `marker` when it runs.
    pub(super) fn submit(
        &self,
        ferry: &Profile,
        x: usize,
        sleep: &str,
        option: &str,
    ) -> Result<(String, PathBuf)> {
        let marker = ferry.scratch().join(format!("marker-{x}"));
        let words = [format!("x={x}"), format!("sleep={sleep}"), format!("marker={}", marker.display())];
        let mut words = vec!["arithmetic.add_job", &words[0], "y=1", &words[1], &words[2]];
        if !option.is_empty() {
            words.extend(["--option", option]);
        }
        Ok((self.cell.submit(ferry, &words)?, marker))
    }

    /// Runs a client of a cluster, by its own configuration.
    pub(super) fn client(&self, cluster: &str, words: &[&str]) -> Result<Output> {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "20"]).args(words).env("SLURM_CONF", self.conf(cluster)?);
        command.env_remove("SLURM_CLUSTERS").env_remove("SBATCH_CLUSTERS").current_dir("/tmp");
        command.stdin(Stdio::null()).output().map_err(|error| format!("{words:?}: {error}"))
    }

    /// Returns the jobs in any cluster that work below a directory: those of `states`, as `squeue -t` takes
    /// them.
    pub(super) fn jobs(&self, dir: &str, states: &str) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        for cluster in [ALPHA, BETA] {
            let output = self.client(cluster, &["squeue", "-h", "-t", states, "-o", "%A|%T|%Z"])?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            check(output.status.success(), || format!("squeue of {cluster}: {said}"))?;
            let listed = String::from_utf8_lossy(&output.stdout).into_owned();
            let job = |line: &str| {
                let mut words = line.splitn(3, '|');
                let (id, state) = (words.next()?.to_owned(), words.next()?.to_owned());
                words.next()?.starts_with(dir).then_some(Job { cluster, id, state })
            };
            jobs.extend(listed.lines().filter_map(job));
        }
        Ok(jobs)
    }

    /// Takes this many of a cluster's cores until the job is cancelled. Returns its id.
    pub(super) fn occupy(&self, cluster: &str, cores: usize) -> Result<String> {
        let cores = format!("--ntasks={cores}");
        let words = ["sbatch", "--parsable", &cores, "--output=/dev/null", "--wrap", "sleep 3600"];
        let output = self.client(cluster, &words)?;
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        check(output.status.success(), || format!("{cluster} takes no job: {output:?}"))?;
        let running = || {
            let listed = self.client(cluster, &["squeue", "-h", "-t", "R", "-o", "%A"])?;
            Ok(String::from_utf8_lossy(&listed.stdout).lines().any(|line| line == id))
        };
        until("the cluster is occupied", BACK, running)?;
        Ok(id)
    }

    /// Kills a daemon, as a crash does. A controller then begins its ids beyond those that it may have
    /// forgotten. Otherwise it would use some twice, and its node would cancel those jobs.
    pub(super) fn kill(&self, service: &str) -> Result {
        let cluster = service.strip_prefix("slurmctld-");
        let used = cluster.map(|cluster| self.highest_id(cluster)).transpose()?;
        kill(pid_in(&self.report, service)?, 9);
        match (cluster, used) {
            (Some(cluster), Some(used)) => begin_ids_in(&self.conf(cluster)?, used + ROOM),
            _ => Ok(()),
        }
    }

    /// Starts it again and waits until it answers. One that finds its port still held by a last child of the old one
    /// ends at once, and is started once more.
    pub(super) fn start(&self, service: &str) -> Result {
        let begun = Instant::now();
        let mut old = pid_in(&self.report, service)?;
        loop {
            start_in(&self.report, service)?;
            while pid_in(&self.report, service)? == old {
                check(begun.elapsed() < BACK, || format!("{service} does not start again"))?;
                thread::sleep(Duration::from_millis(20));
            }
            old = pid_in(&self.report, service)?;
            thread::sleep(SETTLED);
            if lives(old) {
                return until(&format!("{service} answers"), BACK, || self.answers(service));
            }
            check(begun.elapsed() < BACK, || format!("{service} ends as soon as it is started"))?;
        }
    }

    /// Lets a node work again that its controller takes out of service: it may find one with a job that it has
    /// forgotten, or start a job there that has begun already. Refused where none is out, which is no failure.
    pub(super) fn resume_nodes(&self) -> Result {
        for cluster in [ALPHA, BETA] {
            let node = format!("nodename={cluster}1");
            self.client(cluster, &["scontrol", "update", &node, "state=resume"])?;
            // A controller that was killed soon after its start has greeted no node.
            let state = self.client(cluster, &["sinfo", "-h", "-o", "%t"])?;
            if String::from_utf8_lossy(&state.stdout)
                .lines()
                .any(|it| it.starts_with("unk") || it.ends_with('*'))
            {
                self.client(cluster, &["scontrol", "reconfigure"])?;
            }
        }
        Ok(())
    }

    /// Returns the files that bash reads at the login: as a login shell, and for a single command.
    fn login_files(&self) -> [PathBuf; 2] {
        let home = Path::new(self.report["dir"].as_str().unwrap_or_default()).join("ssh/home");
        [".bash_profile", ".bashrc"].map(|name| home.join(name))
    }

    fn conf(&self, cluster: &str) -> Result<String> {
        let all = self.report["clusters"]["all"].as_array().into_iter().flatten();
        let conf = all.filter(|one| one["name"] == cluster).find_map(|one| one["conf"].as_str());
        conf.map(str::to_owned).ok_or_else(|| format!("no cluster {cluster} in {}", self.report))
    }

    /// Returns the highest id that a cluster has given; its controller may be dead already.
    fn highest_id(&self, cluster: &str) -> Result<u64> {
        let listed = self.client(cluster, &["squeue", "-h", "-t", "all", "-o", "%A"])?;
        let ids = String::from_utf8_lossy(&listed.stdout).into_owned();
        let highest =
            ids.lines().filter_map(|line| line.trim().parse::<u64>().ok()).max().unwrap_or_default();
        let conf = self.conf(cluster)?;
        let text = fs::read_to_string(&conf).map_err(|error| format!("{conf}: {error}"))?;
        let first = text.lines().find_map(|line| line.strip_prefix("FirstJobId=")?.parse().ok());
        Ok(highest.max(first.unwrap_or_default()))
    }

    fn answers(&self, service: &str) -> Result<bool> {
        let words: &[&str] = match service {
            "slurmdbd" => &["sacctmgr", "-n", "-P", "show", "cluster"],
            _ => &["squeue", "-h"],
        };
        let cluster = service.strip_prefix("slurmctld-").unwrap_or(ALPHA);
        Ok(self.client(cluster, words)?.status.success())
    }

    /// Starts what an earlier case has left dead, and ends what it has left queued.
    fn make_whole(&self) -> Result {
        for service in ["slurmdbd", "slurmctld-alpha", "slurmctld-beta"] {
            if !lives(pid_in(&self.report, service)?) {
                self.start(service)?;
            }
        }
        self.cancel_all()?;
        let names = format!("{ALPHA},{BETA}");
        let words = ["sinfo", "-M", &names, "-h", "-p", "debug", "-t", "idle", "-o", "%D"];
        until("the nodes of both clusters are idle", BACK, || {
            self.resume_nodes()?;
            let idle = self.client(ALPHA, &words)?;
            Ok(String::from_utf8_lossy(&idle.stdout).lines().filter(|line| line.trim() == "1").count() == 2)
        })
    }

    fn cancel_all(&self) -> Result {
        for cluster in [ALPHA, BETA] {
            self.client(cluster, &["scancel", "--state=PENDING", "--partition=debug"])?;
            self.client(cluster, &["scancel", "--partition=debug"])?;
        }
        Ok(())
    }
}

impl Drop for Clusters {
    fn drop(&mut self) {
        for file in self.login_files() {
            let _ = fs::remove_file(file);
        }
        // The next case looks for itself whether this has come about.
        let _ = self.cancel_all();
    }
}

/// Runs the chore that brings them up, or finds that they are.
fn bring_up() -> Result<Value> {
    let variable =
        |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set; use `cargo xtask test`"));
    let (dir, program) = (variable("FERRY_CLUSTERS")?, variable("FERRY_XTASK")?);
    let output = Command::new(&program)
        .args(["services", "up", "--clusters", "--dir", &dir])
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    check(output.status.success(), || {
        let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
        format!("the clusters do not come up: {}{}", said[0], said[1])
    })?;
    let file = Path::new(&dir).join("services.json");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Waits until something is so.
pub(super) fn until(what: &str, limit: Duration, is: impl Fn() -> Result<bool>) -> Result {
    let begun = Instant::now();
    while !is()? {
        check(begun.elapsed() < limit, || format!("after {} s it is not so: {what}", limit.as_secs()))?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
