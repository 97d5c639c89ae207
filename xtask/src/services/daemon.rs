//! Starts daemons that outlive us, records their identity before they begin, and stops them.
//!
//! They run in the foreground of a session of their own. A process that PID 1 adopts may stay a zombie for
//! minutes. And a Ctrl-C at our terminal must reach only us, so that we can stop them in order.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::proc::{self, Child};
use crate::shell;

/// File of started daemons, a line each: name, pid, start time.
const LEDGER: &str = "pids";
/// Time that daemons may take to end after TERM. All at once they take a second or two.
const POLITE: Duration = Duration::from_secs(5);
/// Time that killed daemons may take to be gone.
const KILLED: Duration = Duration::from_secs(5);
/// Prefixes of the names of daemons, and of their children, that never record themselves: connections of
/// sshd, steps of Slurm, a daemon that a test started its own way. On Debian there is `slurmstepd-wlm`.
const KIN: &[&str] = &["sshd", "slurm", "munged"];

/// The program that starts them.
const LAUNCHER: &str = "launch.sh";

/// Makes the program that starts daemons in `dir`. It records its name, pid and start time and then becomes
/// the daemon, so no daemon ever runs unrecorded. Tests use it to restart daemons that they have killed.
pub(super) fn prepare(dir: &Path, environment: &[(String, String)]) -> Result<()> {
    let exports: String =
        environment.iter().map(|(name, value)| format!("export {name}={}\n", shell::quote(value))).collect();
    let text = format!(
        r#"# usage: setsid sh launch.sh NAME PROGRAM [WORDS]
{exports}name=$1; shift
cd {dir} || exit 1
IFS= read -r line < /proc/$$/stat
start() {{ shift 19; echo "$1"; }}
echo "$name $$ $(start ${{line##*) }})" >> {LEDGER} || exit 1
exec "$@" < /dev/null >> "log/$name.out" 2>&1
"#,
        dir = shell::quote(&dir.to_string_lossy()),
    );
    fs::create_dir_all(dir.join("log"))?;
    fs::write(dir.join(LAUNCHER), text).with_context(|| format!("could not write into {}", dir.display()))
}

/// Returns the command that starts a daemon, also a second time, from any shell and directory.
pub(super) fn words(dir: &Path, name: &str, command: &[String]) -> Vec<String> {
    let launcher = dir.join(LAUNCHER).to_string_lossy().into_owned();
    let words = ["setsid", "sh", &launcher, name];
    words.into_iter().map(str::to_owned).chain(command.iter().cloned()).collect()
}

/// Starts one and returns when it is written down.
pub(super) fn start(dir: &Path, name: &str, command: &[String]) -> Result<()> {
    let words = words(dir, name, command);
    Command::new(&words[0]).args(&words[1..]).spawn().context("could not start setsid")?;
    let begun = Instant::now();
    while !recorded(dir).iter().any(|(other, _)| other == name) {
        if begun.elapsed() > POLITE {
            bail!("{name} did not start");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Returns the daemons in the ledger, the last of each name only, because a test may have started one again.
pub(super) fn recorded(dir: &Path) -> Vec<(String, Child)> {
    let text = fs::read_to_string(dir.join(LEDGER)).unwrap_or_default();
    let mut all: Vec<(String, Child)> = Vec::new();
    for (name, child) in text.lines().filter_map(entry) {
        all.retain(|(other, _)| *other != name);
        all.push((name, child));
    }
    all
}

fn entry(line: &str) -> Option<(String, Child)> {
    let mut words = line.split(' ');
    let name = words.next()?.to_owned();
    Some((name, Child { pid: words.next()?.parse().ok()?, start: words.next()?.parse().ok()? }))
}

/// Ends everything that was started in `dir` and what came of it. How many did run.
pub(super) fn stop(dir: &Path) -> Result<usize> {
    let mut count = 0;
    for (signal, patience) in [("TERM", POLITE), ("KILL", KILLED)] {
        let begun = Instant::now();
        // Searched again each time: a dying daemon may just have forked.
        loop {
            let living = family(dir);
            if living.is_empty() {
                return Ok(count);
            }
            count = count.max(living.len());
            proc::signal(signal, &living)?;
            // One that was stopped hears nothing before it goes on.
            proc::signal("CONT", &living)?;
            if !wait_for_end(&living, patience.saturating_sub(begun.elapsed())) {
                break;
            }
        }
    }
    bail!("could not end {}", describe(&family(dir)));
}

/// Returns the recorded daemons, their kin, and all that these have started.
fn family(dir: &Path) -> BTreeSet<Child> {
    // The names under /proc have no links in them.
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| PathBuf::from(dir));
    let kin = |child: &Child| {
        child.program().is_some_and(|program| KIN.iter().any(|name| program.starts_with(name)))
            && child.holds(&dir)
    };
    let ledger = fs::read_to_string(dir.join(LEDGER)).unwrap_or_default();
    let recorded = ledger.lines().filter_map(entry).map(|(_, child)| child);
    let heads: Vec<Child> =
        recorded.chain(proc::all().into_iter().filter(kin)).filter(|child| child.is_alive()).collect();
    let parents = proc::parents();
    let below = heads.iter().flat_map(|head| proc::descendants(head.pid, &parents));
    below.filter_map(Child::of).chain(heads.iter().copied()).filter(|child| child.is_alive()).collect()
}

fn wait_for_end(children: &BTreeSet<Child>, at_most: Duration) -> bool {
    let begun = Instant::now();
    while children.iter().any(|child| child.is_alive()) {
        if begun.elapsed() > at_most {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

fn describe(children: &BTreeSet<Child>) -> String {
    let one = |child: &Child| format!("{} (pid {})", child.program().unwrap_or_default(), child.pid);
    children.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(dir: &Path, command: &[&str]) {
        prepare(dir, &[]).unwrap();
        let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        start(dir, "it", &command).unwrap();
    }

    #[test]
    fn what_was_started_is_written_down_and_stopped_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        started(dir.path(), &["sh", "-c", "sleep 300 & sleep 300"]);
        let (name, child) = recorded(dir.path()).remove(0);
        assert_eq!((name.as_str(), child.is_alive()), ("it", true));
        assert!(stop(dir.path()).unwrap() >= 1);
        assert!(!child.is_alive());
        assert_eq!(stop(dir.path()).unwrap(), 0, "a second time is fine");
    }

    #[test]
    fn one_that_ignores_politeness_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        started(dir.path(), &["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
        stop(dir.path()).unwrap();
        assert!(!recorded(dir.path())[0].1.is_alive());
    }
}
