//! `cargo xtask services`: a private sshd and a private Slurm, for the cells of the matrix that need them. Or
//! two Slurm clusters that share accounting, for the tests of jobs that are sent from one to the other.
//!
//! Everything is in one scratch directory: keys, configuration, logs, the pids of what was started, and
//! `services.json`, which describes the services to tests. Nothing of the machine's own sshd, Slurm or munge
//! is touched; ports are free ones of the loopback address; jobs and sessions run as the user who starts
//! them.

mod accounting;
mod clusters;
mod daemon;
mod door;
mod munge;
mod on_demand;
pub(crate) mod packages;
mod ports;
mod report;
mod slurm;
mod sshd;
mod wire;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::flags::{DoorFlags, ServicesFlags, ServicesVerb};
use crate::interrupt::Interrupt;
use crate::proc::Child;
use clusters::Clusters;
pub(crate) use on_demand::OnDemand;
use report::Login;
use slurm::Slurm;
use sshd::Sshd;
use wire::Wire;

/// Maximum number of starts. Between finding a port and binding it, another process may take it.
const TRIES: usize = 3;
/// Says whose directory it is; only a directory with this file is ever emptied.
const MARK: &str = "made-by-ferry-xtask";
/// Number of lines of each log that are shown when a start fails.
const LOG_TAIL: usize = 5;

/// A choice of services.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    /// The private sshd.
    pub(crate) ssh: bool,
    /// The private Slurm.
    pub(crate) slurm: bool,
    /// Two clusters that share accounting. Clients of the first one find no other Slurm beside them.
    pub(crate) clusters: bool,
}

impl Kinds {
    /// Returns what both need.
    pub(crate) fn with(self, other: Kinds) -> Kinds {
        Kinds {
            ssh: self.ssh || other.ssh,
            slurm: self.slurm || other.slurm,
            clusters: self.clusters || other.clusters,
        }
    }
}

/// One daemon.
#[derive(Debug)]
struct Service {
    name: String,
    command: Vec<String>,
}

/// Services that run. Dropping it stops them and removes their directory.
#[derive(Debug)]
pub(crate) struct Services {
    dir: PathBuf,
    report: PathBuf,
    environment: Vec<(String, String)>,
}

/// Runs the chore.
pub(crate) fn run(flags: &ServicesFlags) -> Result<ExitCode> {
    let dir = match &flags.dir {
        Some(dir) => std::path::absolute(dir)?,
        None => base()?.join(if flags.clusters { "clusters" } else { "services" }),
    };
    match flags.verb {
        ServicesVerb::Up => up(&dir, Kinds { ssh: true, slurm: !flags.clusters, clusters: flags.clusters }),
        ServicesVerb::Down => {
            let count = down(&dir)?;
            println!("stopped {count} in {}", dir.display());
            Ok(ExitCode::SUCCESS)
        }
        ServicesVerb::Status => status(&dir),
    }
}

/// Keeps the door of a wire, as one of the services.
pub(crate) fn keep_door(flags: &DoorFlags) -> Result<ExitCode> {
    door::run(flags)
}

impl Services {
    /// Brings up services for one run of tests, in a directory of its own, after clearing away what an
    /// earlier run that was killed has left.
    pub(crate) fn for_test(kinds: Kinds, interrupt: &Interrupt) -> Result<Services> {
        Services::numbered(1, kinds, interrupt)
    }

    /// Does the same once more, for tests that run beside others. One set after the other: each looks for ports that
    /// are free, and must have taken them before the next one looks.
    pub(crate) fn numbered(number: usize, kinds: Kinds, interrupt: &Interrupt) -> Result<Services> {
        let base = base()?;
        clear_leftovers(&base)?;
        packages::ensure(kinds)?;
        let dir = base.join(format!("test-{}-{number}", std::process::id()));
        // The guard comes first, so that a start that fails half-way is cleared away as well.
        let mut services = Services { report: dir.join(report::NAME), environment: Vec::new(), dir };
        services.environment = bring_up(&services.dir, kinds, &|| interrupt.check())?;
        Ok(services)
    }

    /// Returns the environment for a test: the place of the report, and how Slurm's clients find the cluster.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let report = ("FERRY_SERVICES".to_owned(), self.report.to_string_lossy().into_owned());
        std::iter::once(report).chain(self.environment.iter().cloned()).collect()
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if let Err(error) = down(&self.dir) {
            eprintln!("warning: {error:#}");
        }
    }
}

impl Service {
    fn new(name: &str, command: impl IntoIterator<Item = String>) -> Service {
        Service { name: name.to_owned(), command: command.into_iter().collect() }
    }

    fn start(&self, dir: &Path) -> Result<()> {
        daemon::start(dir, &self.name, &self.command)
    }
}

fn up(dir: &Path, kinds: Kinds) -> Result<ExitCode> {
    let report = dir.join(report::NAME);
    if report.exists() && daemon::recorded(dir).iter().all(|(_, child)| child.is_alive()) {
        eprintln!("up already");
    } else {
        packages::ensure(kinds)?;
        let interrupt = Interrupt::listen()?;
        if let Err(error) = bring_up(dir, kinds, &|| interrupt.check()) {
            down(dir)?;
            return Err(error);
        }
    }
    print!("{}", fs::read_to_string(&report).context("could not read the report")?);
    eprintln!("up; tests want FERRY_SERVICES={}", report.display());
    Ok(ExitCode::SUCCESS)
}

/// Ends what was started in `dir` and removes it. How many did run; none is fine.
fn down(dir: &Path) -> Result<usize> {
    if !dir.join(MARK).exists() {
        return Ok(0);
    }
    let recorded = daemon::recorded(dir);
    for (conf, controller) in controllers(dir) {
        if recorded.iter().any(|(name, child)| *name == controller && child.is_alive()) {
            // Jobs end best while their cluster lives. One that does not answer is ended all the same.
            let user = packages::user("-un").unwrap_or_default();
            let _ = slurm::client(&conf, 3, &["scancel", "--user", &user]);
        }
    }
    let count = daemon::stop(dir)?;
    wire::remove(dir)?;
    fs::remove_dir_all(dir).with_context(|| format!("could not remove {}", dir.display()))?;
    Ok(count)
}

/// Returns the configuration of every cluster that may be in `dir`, and the name of its controller.
fn controllers(dir: &Path) -> impl Iterator<Item = (PathBuf, String)> {
    std::iter::once((dir.join("slurm/etc/slurm.conf"), "slurmctld".to_owned()))
        .chain(clusters::controllers(dir))
}

/// Says which daemons run.
fn status(dir: &Path) -> Result<ExitCode> {
    let recorded = daemon::recorded(dir);
    for (name, child) in &recorded {
        println!("{name:12} {:>8}  {}", child.pid, if child.is_alive() { "runs" } else { "is gone" });
    }
    if recorded.is_empty() {
        println!("nothing was started in {}", dir.display());
        return Ok(ExitCode::FAILURE);
    }
    for (conf, _) in controllers(dir).filter(|(conf, _)| conf.exists()) {
        let output = slurm::client(&conf, 15, &["sinfo"])?;
        print!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    let all = recorded.iter().all(|(_, child)| child.is_alive()) && dir.join(report::NAME).exists();
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts services in `dir`, whatever was there before. Returns the environment that clients need.
fn bring_up(dir: &Path, kinds: Kinds, go_on: &dyn Fn() -> Result<()>) -> Result<Vec<(String, String)>> {
    let mut last = None;
    for _ in 0..TRIES {
        go_on()?;
        down(dir)?;
        claim(dir)?;
        match start(dir, kinds, go_on) {
            Ok(environment) => return Ok(environment),
            Err(error) => last = Some(error),
        }
    }
    show_logs(dir);
    Err(last.context("no try was made")?.context("the services did not come up"))
}

fn start(dir: &Path, kinds: Kinds, go_on: &dyn Fn() -> Result<()>) -> Result<Vec<(String, String)>> {
    // All at once, or two services would find the same one.
    let mut ports = ports::free(slurm::PORTS + sshd::PORTS + clusters::PORTS)?;
    let shared = ports.split_off(slurm::PORTS + sshd::PORTS);
    let login = ports.split_off(slurm::PORTS);
    let slurm = if kinds.slurm { Some(Slurm::prepare(dir, ports)?) } else { None };
    let clusters = if kinds.clusters { Some(Clusters::prepare(dir, &shared)?) } else { None };
    let environment = match (&slurm, &clusters) {
        (_, Some(clusters)) => clusters.environment(),
        (Some(slurm), None) => slurm.environment(),
        (None, None) => Vec::new(),
    };
    let sshd = if kinds.ssh { Some(Sshd::prepare(dir, login[0], &environment)?) } else { None };
    daemon::prepare(dir, &environment)?;
    let alive = || {
        go_on()?;
        match daemon::recorded(dir).iter().find(|(_, child)| !child.is_alive()) {
            Some((name, _)) => bail!("{name} has ended; its last words are above"),
            None => Ok(()),
        }
    };
    let mut services = Vec::new();
    if let Some(sshd) = &sshd {
        services.push(sshd.service()?);
        services[0].start(dir)?;
    }
    if let Some(slurm) = &slurm {
        for service in slurm.services()? {
            service.start(dir)?;
            if service.name == "munged" {
                slurm.munge.wait(&alive)?;
            }
            services.push(service);
        }
        slurm.wait(&alive)?;
    }
    if let Some(clusters) = &clusters {
        services.extend(clusters.start(dir, &alive)?);
    }
    let login = match &sshd {
        Some(sshd) => {
            sshd.wait(Ipv4Addr::LOCALHOST, &alive)?;
            let laid = lay_wire(dir, sshd, &alive)?;
            Some(Login {
                sshd,
                wire: laid.map(|(wire, door)| {
                    services.push(door);
                    wire
                }),
            })
        }
        None => None,
    };
    let cluster = report::Queues { slurm: slurm.as_ref(), clusters: clusters.as_ref() };
    report::write(dir, &services, &environment, login.as_ref(), &cluster)?;
    Ok(environment)
}

/// Makes a wire to the sshd, with a door at its far end, or returns the reason why this machine can't have
/// one. The sshd must have its port first, because the wire is named after it.
fn lay_wire(dir: &Path, sshd: &Sshd, alive: &dyn Fn() -> Result<()>) -> Result<Result<(Wire, Service)>> {
    alive()?;
    let wire = match Wire::lay(dir, sshd.port) {
        Ok(wire) => wire,
        Err(missing) => return Ok(Err(missing)),
    };
    sshd.make_known(wire.address)?;
    let door = door::service(sshd, &wire, &dir.join(report::HIDDEN))?;
    door.start(dir)?;
    sshd.wait(wire.address, alive)?;
    Ok(Ok((wire, door)))
}

/// Makes the directory ours. One that contains anything else is refused.
fn claim(dir: &Path) -> Result<()> {
    make_dir(dir)?;
    let mut entries = fs::read_dir(dir).with_context(|| format!("could not look into {}", dir.display()))?;
    if entries.next().is_some() {
        bail!("{} is not empty and was not made by this chore; name another with --dir", dir.display());
    }
    fs::write(dir.join(MARK), "").with_context(|| format!("could not write into {}", dir.display()))
}

/// Stops what test runs left behind that were killed before they could do it.
fn clear_leftovers(base: &Path) -> Result<()> {
    for entry in fs::read_dir(base).with_context(|| format!("could not look into {}", base.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if tester(name).is_some_and(|pid| !Child::of(pid).is_some_and(Child::is_alive)) {
            eprintln!("clearing away {}, which a test run left behind", path.display());
            down(&path)?;
        }
    }
    Ok(())
}

/// Returns the pid of the run of tests that made a directory of this name: `test-PID-1`, or `test-PID-clusters-1`.
fn tester(name: &str) -> Option<u32> {
    name.strip_prefix("test-")?.split('-').next()?.parse().ok()
}

/// Returns the default directory of services. Its path is short, because paths of sockets must be, and only
/// we can read it.
fn base() -> Result<PathBuf> {
    let user = packages::user("-u").context("`id -u` does not say who we are")?;
    let base = std::env::temp_dir().join(format!("ferry-{user}"));
    make_dir(&base)?;
    let meta = fs::symlink_metadata(&base)?;
    if !meta.is_dir() || meta.uid().to_string() != user || meta.mode() & 0o022 != 0 {
        bail!("{} belongs to somebody else; name a directory with --dir", base.display());
    }
    Ok(base)
}

fn make_dir(dir: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("could not make {}", dir.display()))
}

/// Prints the ends of all logs, so that a user can see why nothing started.
fn show_logs(dir: &Path) {
    for entry in fs::read_dir(dir.join("log")).into_iter().flatten().flatten() {
        let text = fs::read(entry.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("-- {}", entry.path().display());
        lines[lines.len().saturating_sub(LOG_TAIL)..].iter().for_each(|line| eprintln!("{line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_test_runs_name_them() {
        assert_eq!(tester("test-42-1"), Some(42));
        assert_eq!(tester("test-42-clusters-1"), Some(42));
        assert_eq!(tester("services"), None);
        assert_eq!(tester("clusters"), None);
    }
}
