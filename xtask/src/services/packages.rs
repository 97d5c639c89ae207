//! The programs that the services and the demo are made of, and the Debian packages that have them: installed
//! when we may, named when we may not.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Kinds;
use crate::shell;

/// Directories of system programs, which a user's PATH often lacks.
const SYSTEM: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

const SSH: &[(&str, &str)] =
    &[("sshd", "openssh-server"), ("ssh", "openssh-client"), ("ssh-keygen", "openssh-client")];
/// Programs for a wire that can be cut, where we may make one.
const WIRE: &[(&str, &str)] = &[("ip", "iproute2"), ("unshare", "util-linux"), ("mount", "mount")];
const SLURM: &[(&str, &str)] = &[
    ("munged", "munge"),
    ("slurmctld", "slurm-wlm"),
    ("slurmd", "slurm-wlm"),
    ("sbatch", "slurm-wlm"),
    ("sinfo", "slurm-wlm"),
];
/// Programs for two clusters that share accounting, beside those for Slurm.
const CLUSTERS: &[(&str, &str)] = &[
    ("slurmdbd", "slurmdbd"),
    ("sacctmgr", "slurm-wlm"),
    ("mariadbd", "mariadb-server-core"),
    ("mariadb-install-db", "mariadb-server-core"),
    ("my_print_defaults", "mariadb-client-core"),
];
const ALWAYS: &[(&str, &str)] = &[("setsid", "util-linux"), ("timeout", "coreutils")];
/// Programs for single tests, beside those for the services: drawings, a page in a browser, a clock that
/// jumps, a server that lies.
const TOOLS: &[(&str, &str)] = &[
    ("dot", "graphviz"),
    ("chromium", "chromium"),
    ("faketime", "faketime"),
    ("python3", "python3"),
    ("ps", "procps"),
    ("pgrep", "procps"),
];
const ESPRESSO: &[(&str, &str)] = &[("pw.x", "quantum-espresso")];

/// The programs that services of these kinds are made of.
fn needs(kinds: Kinds) -> Vec<(&'static str, &'static str)> {
    [
        (true, ALWAYS),
        (kinds.ssh, SSH),
        (kinds.ssh && is_root(), WIRE),
        (kinds.slurm || kinds.clusters, SLURM),
        (kinds.clusters, CLUSTERS),
    ]
    .iter()
    .filter(|(wanted, _)| *wanted)
    .flat_map(|(_, needs)| needs.iter().copied())
    .collect()
}

/// The package with Quantum ESPRESSO's pseudopotentials.
pub(crate) const ESPRESSO_DATA: &str = "quantum-espresso-data";

/// Makes sure that everything is there that the services need.
///
/// # Errors
/// Names the packages that are missing, and why they were not installed.
pub(crate) fn ensure(kinds: Kinds) -> Result<()> {
    let needs = needs(kinds);
    // Under systemd, installing them would start system-wide daemons that nobody asked for.
    let systemd = Path::new("/run/systemd/system").exists();
    provide(
        &|| missing(&needs),
        systemd.then_some("not installed here, since that would start system services"),
    )
}

/// Says which packages a run of tests is about to install, and how long that takes; nothing if all are there.
pub(crate) fn announce(kinds: Kinds, tools: bool) {
    let all: Vec<_> =
        needs(kinds).into_iter().chain(tools.then_some(TOOLS).into_iter().flatten().copied()).collect();
    let packages = missing(&all);
    if packages.is_empty() {
        return;
    }
    let names = packages.join(" ");
    match may_not_install() {
        Some(reason) => println!("not installed, and needed: {names} ({reason})"),
        None => println!("will install with apt-get: {names}{} (one to five minutes)", size(&packages)),
    }
}

/// Returns what apt-get says of the size, where its lists know the packages.
fn size(packages: &[&str]) -> String {
    let words = ["install", "-q", "--assume-no", "--no-install-recommends"];
    let output = Command::new("apt-get").args(words).args(packages).env("LC_ALL", "C").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Need to get "));
    line.map_or_else(String::new, |line| format!(", {}", line.trim_end_matches('.')))
}

/// Makes sure that the tools of single tests are there.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_tools() -> Result<()> {
    provide(&|| missing(TOOLS), None)
}

/// Makes sure that Quantum ESPRESSO is there, with its pseudopotentials.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_espresso() -> Result<()> {
    let lacking = || {
        let data = files(ESPRESSO_DATA).is_err().then_some(ESPRESSO_DATA);
        missing(ESPRESSO).into_iter().chain(data).collect()
    };
    provide(&lacking, None)
}

/// Returns the files of an installed package.
///
/// # Errors
/// Fails if the package is not installed, or if this is no Debian.
pub(crate) fn files(package: &str) -> Result<Vec<PathBuf>> {
    let output = Command::new("dpkg").args(["-L", package]).output().context("could not start dpkg")?;
    if !output.status.success() {
        bail!("the Debian package {package} is not installed");
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect())
}

/// Installs what `missing` names, unless there is a reason not to.
fn provide(missing: &dyn Fn() -> Vec<&'static str>, forbidden: Option<&'static str>) -> Result<()> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if let Some(reason) = forbidden.or_else(may_not_install) {
        bail!("missing Debian packages: {names} ({reason}); install with: apt-get install {names}");
    }
    if install(&packages).is_err() {
        // Perhaps only the lists are old, or were never fetched.
        shell::run(Command::new("apt-get").args(["update", "-q"]))?;
        install(&packages)?;
    }
    match missing().as_slice() {
        [] => Ok(()),
        still => bail!("missing Debian packages even after their installation: {}", still.join(" ")),
    }
}

/// Returns a program's absolute path, also outside PATH.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(SYSTEM.iter().map(PathBuf::from));
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Returns the same as a word of a command.
///
/// # Errors
/// Fails if it is not on this machine.
pub(super) fn path_of(name: &str) -> Result<String> {
    let program = program(name).with_context(|| format!("no {name} on this machine"))?;
    Ok(program.to_string_lossy().into_owned())
}

/// Returns the packages of those programs that are missing.
fn missing(needs: &[(&str, &'static str)]) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        needs.iter().filter(|(name, _)| program(name).is_none()).map(|&(_, package)| package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn may_not_install() -> Option<&'static str> {
    if !shell::has("apt-get") {
        Some("no apt-get here")
    } else if !is_root() {
        Some("not root")
    } else {
        None
    }
}

/// Returns whether we are root.
pub(super) fn is_root() -> bool {
    user("-u").as_deref() == Some("0")
}

/// Returns the output of `id`: `-u` the number, `-un` the name. `None` if it can't be run.
pub(super) fn user(option: &str) -> Option<String> {
    let output = Command::new("id").arg(option).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn install(packages: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["install", "-q", "-y", "--no-install-recommends"]).args(packages);
    shell::run(command.env("DEBIAN_FRONTEND", "noninteractive"))
}
