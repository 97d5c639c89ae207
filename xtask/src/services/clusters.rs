//! Two private Slurm clusters, `alpha` and `beta`, with one munged and one accounting for both, as a site has
//! them. Clients of alpha send jobs to beta with `sbatch --clusters=beta`. Each has a controller and a node.
//! The QOS `tiny` lets its user have few jobs.
//!
//! The first start takes some ten seconds, most of them for the tables of the accounting.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::slurm::{FIXED, client, hostname};
use super::{Service, accounting::Accounting, munge::Munge, packages};

/// Their names; the first is the one at home, whose clients everybody uses.
pub(super) const NAMES: [&str; 2] = ["alpha", "beta"];
/// A QOS that allows few jobs. Its users name the account too.
pub(super) const QOS: &str = "tiny";
/// The account that has the QOS.
pub(super) const ACCOUNT: &str = "science";
/// Number of ports that they need: one for the accounting, and a controller's and a node's for each cluster.
pub(super) const PORTS: usize = 1 + 2 * NAMES.len();
/// Cores of each node.
const CORES: usize = 8;
/// Maximum time until all nodes are idle and each cluster knows of the other.
const PATIENCE: Duration = Duration::from_secs(60);

/// The two clusters and what they share.
#[derive(Debug)]
pub(super) struct Clusters {
    dir: PathBuf,
    munge: Munge,
    accounting: Accounting,
}

impl Clusters {
    /// Makes keys, database and configuration below `dir`.
    pub(super) fn prepare(dir: &Path, ports: &[u16]) -> Result<Clusters> {
        let dir = home(dir);
        super::make_dir(&dir.join("etc"))?;
        let host = hostname()?;
        let munge = Munge::prepare(&dir)?;
        let (accounting, ports) = ports.split_first().context("no ports for the clusters")?;
        let accounting = Accounting::prepare(&dir, *accounting, &munge, &host)?;
        let clusters = Clusters { dir, munge, accounting };
        for (name, ports) in NAMES.iter().zip(ports.chunks(2)) {
            for part in ["state", "spool"] {
                super::make_dir(&clusters.dir.join(name).join(part))?;
            }
            let conf = clusters.conf(name);
            fs::write(&conf, clusters.text(name, ports, &host)?)
                .with_context(|| format!("could not write {}", conf.display()))?;
        }
        Ok(clusters)
    }

    /// Returns the environment in which the first cluster is the clients' own.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        vec![("SLURM_CONF".to_owned(), self.conf(NAMES[0]).to_string_lossy().into_owned())]
    }

    /// Returns the configuration of a cluster.
    pub(super) fn conf(&self, name: &str) -> PathBuf {
        conf(&self.dir, name)
    }

    /// Returns the name of a cluster's node.
    pub(super) fn node(name: &str) -> String {
        format!("{name}1")
    }

    /// Starts all daemons in order, and waits until both clusters work.
    pub(super) fn start(&self, dir: &Path, alive: &dyn Fn() -> Result<()>) -> Result<Vec<Service>> {
        let munged = self.munge.service()?;
        munged.start(dir)?;
        self.munge.wait(alive)?;
        let mut services = vec![munged];
        services.extend(self.accounting.start(dir, alive)?);
        // A controller that finds no accounting of its cluster at its first start gives up.
        self.tell_accounting()?;
        for name in NAMES {
            // Each reads its own file, whatever the others' environment sets.
            let conf = format!("SLURM_CONF={}", self.conf(name).display());
            let words = |program: &str| -> Result<Vec<String>> {
                Ok(vec!["env".into(), conf.clone(), packages::path_of(program)?, "-D".into()])
            };
            let controller = Service::new(&format!("slurmctld-{name}"), words("slurmctld")?);
            let mut node = words("slurmd")?;
            node.extend(["-N".into(), Clusters::node(name)]);
            let node = Service::new(&format!("slurmd-{name}"), node);
            for service in [controller, node] {
                service.start(dir)?;
                services.push(service);
            }
        }
        self.wait(alive)?;
        Ok(services)
    }

    /// Makes both clusters, the account, the QOS and the user known.
    fn tell_accounting(&self) -> Result<()> {
        let user = packages::user("-un").context("`id -un` does not say who we are")?;
        let names = NAMES.join(",");
        for words in [
            format!("add cluster {names}"),
            format!("add account {ACCOUNT} Description={ACCOUNT} Organization=ferry"),
            format!("add qos {QOS} MaxSubmitJobsPerUser=3 MaxJobsPerUser=1"),
            format!("add user {user} account={ACCOUNT} qos=normal,{QOS} defaultqos=normal"),
        ] {
            let words: Vec<&str> = ["sacctmgr", "-i"].into_iter().chain(words.split(' ')).collect();
            let output = client(&self.conf(NAMES[0]), 30, &words)?;
            if !output.status.success() {
                let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
                bail!("`{}` failed ({}): {}{}", words.join(" "), output.status, out.trim(), err.trim());
            }
        }
        Ok(())
    }

    /// Waits until each node is idle and the first cluster's clients reach all controllers by name.
    fn wait(&self, alive: &dyn Fn() -> Result<()>) -> Result<()> {
        let begun = Instant::now();
        let names = NAMES.join(",");
        // A line a cluster that has an idle node, beside its headline.
        let words = ["sinfo", "-M", &names, "-h", "-p", "debug", "-t", "idle", "-o", "%D"];
        loop {
            alive()?;
            let output = client(&self.conf(NAMES[0]), 15, &words)?;
            let text = String::from_utf8_lossy(&output.stdout);
            if text.lines().filter(|line| line.trim() == "1").count() == NAMES.len() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let said = String::from_utf8_lossy(&output.stderr);
                bail!("after {} s the clusters are not ready: {text}{said}", PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn text(&self, name: &str, ports: &[u16], host: &str) -> Result<String> {
        let [control, node] = ports else { bail!("no ports for {name}") };
        let user = packages::user("-un").context("`id -un` does not say who we are")?;
        let own = self.dir.join(name);
        let own = own.display();
        Ok(format!(
            "ClusterName={name}\n\
             SlurmctldHost={host}(127.0.0.1)\n\
             SlurmctldPort={control}\n\
             SlurmUser={user}\n\
             SlurmdUser={user}\n\
             AuthType=auth/munge\n\
             AuthInfo=socket={socket}\n\
             CredType=cred/munge\n\
             StateSaveLocation={own}/state\n\
             SlurmdSpoolDir={own}/spool/%n\n\
             SlurmctldPidFile={own}/slurmctld.pid\n\
             SlurmdPidFile={own}/slurmd.%n.pid\n\
             SlurmctldLogFile={own}/slurmctld.log\n\
             SlurmdLogFile={own}/slurmd.%n.log\n\
             {accounting}{FIXED}\
             NodeName={node_name} NodeHostname={host} NodeAddr=127.0.0.1 Port={node} CPUs={CORES} \
             RealMemory=4000 State=UNKNOWN\n\
             PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n",
            socket = self.munge.socket().display(),
            accounting = self.accounting.lines(&self.munge),
            node_name = Clusters::node(name),
        ))
    }
}

/// Returns the configurations of the clusters that were started in `dir`, with the names of their
/// controllers.
pub(super) fn controllers(dir: &Path) -> impl Iterator<Item = (PathBuf, String)> {
    NAMES.map(|name| (conf(&home(dir), name), format!("slurmctld-{name}"))).into_iter()
}

fn home(dir: &Path) -> PathBuf {
    dir.join("clusters")
}

fn conf(home: &Path, name: &str) -> PathBuf {
    home.join("etc").join(format!("{name}.conf"))
}
