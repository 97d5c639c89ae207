//! What a test needs to know of the services: `services.json`, and a computer's YAML for each cell.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::{Service, daemon, slurm::Slurm, sshd::Sshd};

/// The file's name below the services' directory. Written last, so who finds it finds everything ready.
pub(super) const NAME: &str = "services.json";

/// Writes the file; returns where it is.
pub(super) fn write(
    dir: &Path,
    services: &[Service],
    environment: &[(String, String)],
    sshd: Option<&Sshd>,
    slurm: Option<&Slurm>,
) -> Result<PathBuf> {
    let mut report = Map::new();
    report.insert("dir".into(), json!(dir));
    report.insert("environment".into(), environment.iter().map(|(k, v)| (k.clone(), json!(v))).collect());
    if let Some(sshd) = sshd {
        report.insert("ssh".into(), ssh(sshd));
    }
    if let Some(slurm) = slurm {
        let nodes = Slurm::nodes();
        let partitions = json!({"default": "debug", "one_minute": "short", "down": "closed"});
        report.insert("slurm".into(), json!({"conf": slurm.conf, "nodes": nodes, "partitions": partitions}));
    }
    report.insert("computers".into(), computers(dir, sshd, slurm.is_some())?);
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

fn ssh(sshd: &Sshd) -> Value {
    json!({
        "host": "127.0.0.1",
        "port": sshd.port,
        "user": sshd.user,
        "key": sshd.key,
        "known_hosts": sshd.known_hosts,
        "config": sshd.config,
        "config_host": "ferry-login",
    })
}

/// Writes `computers/CELL.yaml` for each cell that the services make possible; cell -> file.
fn computers(dir: &Path, sshd: Option<&Sshd>, slurm: bool) -> Result<Value> {
    let folder = dir.join("computers");
    super::make_dir(&folder)?;
    let mut files = Map::new();
    for transport in ["local", "ssh"] {
        for scheduler in ["direct", "slurm"] {
            let connection = match (transport, sshd) {
                ("ssh", None) => continue,
                ("ssh", Some(sshd)) => connection(sshd),
                _ => String::new(),
            };
            if scheduler == "slurm" && !slurm {
                continue;
            }
            let work = dir.join(format!("work/{transport}-{scheduler}"));
            fs::create_dir_all(&work)?;
            let file = folder.join(format!("{transport}+{scheduler}.yaml"));
            fs::write(&file, computer(transport, scheduler, &work) + &connection)?;
            files.insert(format!("{transport}+{scheduler}"), json!(file));
        }
    }
    Ok(Value::Object(files))
}

fn computer(transport: &str, scheduler: &str, work: &Path) -> String {
    let hostname = if transport == "ssh" { "127.0.0.1" } else { "localhost" };
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
