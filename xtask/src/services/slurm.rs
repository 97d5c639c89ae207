//! A private Slurm: munged, slurmctld and four slurmd on this machine, with their own ports, key and
//! configuration. Needs neither systemd nor root; jobs run as the user who starts it.
//!
//! Jobs may use more cores than the machine has, because in tests they only wait.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Service, munge::Munge, packages};

/// Number of nodes.
const NODES: usize = 4;
/// Cores of a node.
const CORES: usize = 4;
/// Number of ports that it needs: one for the controller, one for each node.
pub(super) const PORTS: usize = NODES + 1;
/// Maximum time until all nodes are idle. A second is usual, on a busy machine several.
const PATIENCE: Duration = Duration::from_secs(60);

/// One private cluster.
#[derive(Debug)]
pub(super) struct Slurm {
    /// The file that every daemon and client reads, by `SLURM_CONF`.
    pub(super) conf: PathBuf,
    pub(super) munge: Munge,
    dir: PathBuf,
    ports: Vec<u16>,
}

impl Slurm {
    /// Makes key and configuration below `dir`.
    pub(super) fn prepare(dir: &Path, ports: Vec<u16>) -> Result<Slurm> {
        let dir = dir.join("slurm");
        super::make_dir(&dir)?;
        for name in ["etc", "state", "spool"] {
            super::make_dir(&dir.join(name))?;
        }
        let munge = Munge::prepare(&dir)?;
        let slurm = Slurm { conf: dir.join("etc/slurm.conf"), munge, ports, dir };
        fs::write(&slurm.conf, slurm.text()?).context("could not write slurm.conf")?;
        Ok(slurm)
    }

    /// Returns the environment that every daemon and client needs.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        vec![("SLURM_CONF".to_owned(), self.conf.to_string_lossy().into_owned())]
    }

    /// Returns the names of the nodes.
    pub(super) fn nodes() -> Vec<String> {
        (1..=NODES).map(|number| format!("n{number}")).collect()
    }

    /// Returns the daemons, in the order they start.
    pub(super) fn services(&self) -> Result<Vec<Service>> {
        let mut services = vec![
            self.munge.service()?,
            Service::new("slurmctld", [packages::path_of("slurmctld")?, "-D".to_owned()]),
        ];
        for node in Slurm::nodes() {
            let command = [packages::path_of("slurmd")?, "-D".to_owned(), "-N".to_owned(), node.clone()];
            services.push(Service::new(&format!("slurmd-{node}"), command));
        }
        Ok(services)
    }

    /// Waits until `sinfo` shows all nodes idle.
    pub(super) fn wait(&self, alive: &dyn Fn() -> Result<()>) -> Result<()> {
        let begun = Instant::now();
        loop {
            alive()?;
            let output = client(&self.conf, 15, &["sinfo", "-h", "-p", "debug", "-t", "idle", "-o", "%D"])?;
            let text = String::from_utf8_lossy(&output.stdout);
            if text.trim() == NODES.to_string() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let said = String::from_utf8_lossy(&output.stderr);
                bail!("after {} s not all nodes are idle: {text}{said}", PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn text(&self) -> Result<String> {
        let dir = self.dir.display();
        let host = hostname()?;
        let user = packages::user("-un").context("`id -un` does not say who we are")?;
        let [control, nodes @ ..] = self.ports.as_slice() else { bail!("no ports for Slurm") };
        let mut text = format!(
            "ClusterName=ferry\n\
             SlurmctldHost={host}(127.0.0.1)\n\
             SlurmctldPort={control}\n\
             SlurmUser={user}\n\
             SlurmdUser={user}\n\
             AuthType=auth/munge\n\
             AuthInfo=socket={socket}\n\
             CredType=cred/munge\n\
             StateSaveLocation={dir}/state\n\
             SlurmdSpoolDir={dir}/spool/%n\n\
             SlurmctldPidFile={dir}/run/slurmctld.pid\n\
             SlurmdPidFile={dir}/run/slurmd.%n.pid\n\
             SlurmctldLogFile={dir}/slurmctld.log\n\
             SlurmdLogFile={dir}/slurmd.%n.log\n\
             JobCompType=jobcomp/filetxt\n\
             JobCompLoc={dir}/jobcomp.txt\n{FIXED}",
            socket = self.munge.socket().display()
        );
        for (name, port) in Slurm::nodes().iter().zip(nodes) {
            writeln!(
                text,
                "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={CORES} \
                 RealMemory=2000 State=UNKNOWN"
            )?;
        }
        text += PARTITIONS;
        Ok(text)
    }
}

/// No cgroups, no accounting database; a scheduler that does not wait; sick nodes noticed in seconds.
pub(super) const FIXED: &str = "\
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
ReturnToService=2
MailProg=/bin/true
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1,default_queue_depth=1000
KillWait=2
SlurmdTimeout=10
MinJobAge=300
MaxJobCount=20000
";

/// One to work in, one with a limit, one that is closed.
const PARTITIONS: &str = "\
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=ALL MaxTime=1 State=UP
PartitionName=closed Nodes=ALL State=DOWN
";

/// Runs a client, which must not hang on a controller that does.
pub(super) fn client(conf: &Path, seconds: u32, words: &[&str]) -> Result<Output> {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", &seconds.to_string()]).args(words).env("SLURM_CONF", conf);
    command.output().with_context(|| format!("could not start {}", words.join(" ")))
}

/// Returns the short name of this machine, as Slurm's daemons ask for it.
pub(super) fn hostname() -> Result<String> {
    let name =
        fs::read_to_string("/proc/sys/kernel/hostname").context("could not read the machine's name")?;
    Ok(name.trim().split('.').next().unwrap_or_default().to_owned())
}
