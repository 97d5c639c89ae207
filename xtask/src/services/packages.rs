//! The programs that the services are made of, and the Debian packages that have them: installed when we may,
//! named when we may not.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::Kinds;
use crate::shell;

/// Directories of system programs, which a user's PATH often lacks.
const SYSTEM: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

const SSH: &[(&str, &str)] =
    &[("sshd", "openssh-server"), ("ssh", "openssh-client"), ("ssh-keygen", "openssh-client")];
const SLURM: &[(&str, &str)] = &[
    ("munged", "munge"),
    ("slurmctld", "slurm-wlm"),
    ("slurmd", "slurm-wlm"),
    ("sbatch", "slurm-wlm"),
    ("sinfo", "slurm-wlm"),
];
const ALWAYS: &[(&str, &str)] = &[("setsid", "util-linux"), ("timeout", "coreutils")];

/// Makes sure that everything is there.
///
/// # Errors
/// Names the packages that are missing, and why they were not installed.
pub(crate) fn ensure(kinds: Kinds) -> Result<()> {
    let packages = missing(kinds);
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if let Some(reason) = may_not_install() {
        bail!("missing Debian packages: {names} ({reason}); install with: apt-get install {names}");
    }
    if install(&packages).is_err() {
        // Perhaps only the lists are old, or were never fetched.
        shell::run(Command::new("apt-get").args(["update", "-q"]))?;
        install(&packages)?;
    }
    match missing(kinds).as_slice() {
        [] => Ok(()),
        still => bail!("missing Debian packages even after their installation: {}", still.join(" ")),
    }
}

/// A program by its absolute path, also where PATH does not reach.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(SYSTEM.iter().map(PathBuf::from));
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn missing(kinds: Kinds) -> Vec<&'static str> {
    let wanted = [(true, ALWAYS), (kinds.ssh, SSH), (kinds.slurm, SLURM)];
    let needs = wanted.iter().filter(|(wanted, _)| *wanted).flat_map(|(_, needs)| needs.iter());
    let mut packages: Vec<_> =
        needs.filter(|(name, _)| program(name).is_none()).map(|&(_, package)| package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn may_not_install() -> Option<&'static str> {
    // Under systemd, installing them would start system-wide daemons that nobody asked for.
    if Path::new("/run/systemd/system").exists() {
        Some("not installed here, since that would start system services")
    } else if !shell::has("apt-get") {
        Some("no apt-get here")
    } else if !is_root() {
        Some("not root")
    } else {
        None
    }
}

/// Whether we may do everything.
pub(super) fn is_root() -> bool {
    user("-u").as_deref() == Some("0")
}

/// What `id` says: `-u` the number, `-un` the name.
pub(super) fn user(option: &str) -> Option<String> {
    let output = Command::new("id").arg(option).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn install(packages: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["install", "-q", "-y", "--no-install-recommends"]).args(packages);
    shell::run(command.env("DEBIAN_FRONTEND", "noninteractive"))
}
