//! The report on the services for tests: `services.json`, and a computer's YAML for each cell.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::{Service, clusters, clusters::Clusters, daemon, slurm::Slurm, sshd::Sshd, wire::Wire};

/// The file's name below the services' directory. It is written last, so that everything is ready once it
/// exists.
pub(super) const NAME: &str = "services.json";

/// The directory that only sessions behind the wire see something in.
pub(super) const HIDDEN: &str = "hidden";

/// The private sshd, and the wire that it is reached by too, or why there is none.
#[derive(Debug)]
pub(super) struct Login<'a> {
    pub(super) sshd: &'a Sshd,
    pub(super) wire: Result<Wire>,
}

/// The schedulers with a queue.
#[derive(Debug)]
pub(super) struct Queues<'a> {
    pub(super) slurm: Option<&'a Slurm>,
    pub(super) clusters: Option<&'a Clusters>,
}

/// Computers of one kind: where they are described, where they are reached, and where their jobs work.
struct Place<'a> {
    folder: PathBuf,
    work: PathBuf,
    address: Option<(&'a Sshd, Ipv4Addr)>,
    slurm: bool,
}

/// Writes the file; returns where it is.
pub(super) fn write(
    dir: &Path,
    services: &[Service],
    environment: &[(String, String)],
    login: Option<&Login<'_>>,
    queues: &Queues<'_>,
) -> Result<PathBuf> {
    let has_slurm = queues.slurm.is_some() || queues.clusters.is_some();
    let mut report = Map::new();
    report.insert("dir".into(), json!(dir));
    report.insert("environment".into(), environment.iter().map(|(k, v)| (k.clone(), json!(v))).collect());
    if let Some(login) = login {
        report.insert("ssh".into(), ssh(login.sshd));
        report.insert("wire".into(), wire(dir, login, has_slurm)?);
    }
    if let Some(slurm) = queues.slurm {
        let nodes = Slurm::nodes();
        let partitions = json!({"default": "debug", "one_minute": "short", "down": "closed"});
        report.insert("slurm".into(), json!({"conf": slurm.conf, "nodes": nodes, "partitions": partitions}));
    }
    if let Some(clusters) = queues.clusters {
        report.insert("clusters".into(), two_clusters(clusters));
    }
    let place = Place {
        folder: dir.join("computers"),
        work: dir.join("work"),
        address: login.map(|login| (login.sshd, Ipv4Addr::LOCALHOST)),
        slurm: has_slurm,
    };
    report.insert("computers".into(), computers(&place, &["local", "ssh"])?);
    // Run again, these words start the daemon again and write it down, so that `down` finds it.
    let commands =
        services.iter().map(|it| (it.name.clone(), json!(daemon::words(dir, &it.name, &it.command))));
    report.insert("daemons".into(), commands.collect());
    report.insert("pids".into(), json!(dir.join("pids")));
    let file = dir.join(NAME);
    let draft = dir.join("services.json.new");
    fs::write(&draft, serde_json::to_string_pretty(&Value::Object(report))? + "\n")?;
    fs::rename(draft, &file).with_context(|| format!("could not write {}", file.display()))?;
    Ok(file)
}

/// Returns the description of two clusters for the report. The first one is the clients' own: its name,
/// configuration, node and daemons, and those of the other.
fn two_clusters(clusters: &Clusters) -> Value {
    let one = |name: &str| {
        json!({
            "name": name,
            "conf": clusters.conf(name),
            "node": Clusters::node(name),
            "controller": format!("slurmctld-{name}"),
        })
    };
    let all: Vec<Value> = clusters::NAMES.map(one).into();
    json!({"all": all, "account": clusters::ACCOUNT, "qos": clusters::QOS, "accounting": "slurmdbd"})
}

fn ssh(sshd: &Sshd) -> Value {
    json!({
        "host": "127.0.0.1",
        "port": sshd.port,
        "user": sshd.user,
        "key": sshd.key,
        "known_hosts": sshd.known_hosts,
        "config": sshd.config,
        "commands": sshd.commands,
        "config_host": "ferry-login",
    })
}

/// Describes how to cut and mend the wire, and the computers behind it, or says what is missing for a wire.
fn wire(dir: &Path, login: &Login<'_>, slurm: bool) -> Result<Value> {
    let wire = match &login.wire {
        Ok(wire) => wire,
        Err(missing) => return Ok(json!({"missing": format!("{missing:#}")})),
    };
    let place = Place {
        folder: dir.join("computers/wire"),
        work: dir.join("work/wire"),
        address: Some((login.sshd, wire.address)),
        slurm,
    };
    let [cut, mend] = wire.cut_and_mend();
    Ok(json!({
        "host": wire.address.to_string(),
        "port": login.sshd.port,
        "namespace": wire.namespace,
        "cut": cut,
        "mend": mend,
        "computers": computers(&place, &["ssh"])?,
        "hidden": dir.join(HIDDEN),
    }))
}

/// Writes `CELL.yaml` for each cell that the services make possible; cell -> file.
fn computers(place: &Place<'_>, transports: &[&str]) -> Result<Value> {
    super::make_dir(&place.folder)?;
    let mut files = Map::new();
    for transport in transports {
        for scheduler in ["direct", "slurm"] {
            let (hostname, connection) = match (*transport, place.address) {
                ("ssh", None) => continue,
                ("ssh", Some((sshd, address))) => (address.to_string(), connection(sshd)),
                _ => ("localhost".to_owned(), String::new()),
            };
            if scheduler == "slurm" && !place.slurm {
                continue;
            }
            let work = place.work.join(format!("{transport}-{scheduler}"));
            fs::create_dir_all(&work)?;
            let file = place.folder.join(format!("{transport}+{scheduler}.yaml"));
            fs::write(&file, computer(transport, scheduler, &hostname, &work) + &connection)?;
            files.insert(format!("{transport}+{scheduler}"), json!(file));
        }
    }
    Ok(Value::Object(files))
}

fn computer(transport: &str, scheduler: &str, hostname: &str, work: &Path) -> String {
    format!(
        "label: {transport}-{scheduler}\n\
         hostname: {hostname}\n\
         description: private test services, {transport} and {scheduler}\n\
         transport: {transport}\n\
         scheduler: {scheduler}\n\
         work_dir: {work:?}\n\
         mpirun_command: mpirun -np {{tot_num_mpiprocs}}\n\
         mpiprocs_per_machine: 1\n"
    )
}

fn connection(sshd: &Sshd) -> String {
    format!(
        "username: {user}\n\
         port: {port}\n\
         key_filename: {key:?}\n\
         known_hosts: {known_hosts:?}\n\
         key_policy: RejectPolicy\n\
         safe_interval: 0\n",
        user = sshd.user,
        port = sshd.port,
        key = sshd.key,
        known_hosts = sshd.known_hosts,
    )
}
