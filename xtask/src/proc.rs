//! Processes of this machine as `/proc` shows them. A pid may be used again, so a process is identified by
//! its pid together with the time it started.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// One child of the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Child {
    /// Its pid.
    pub(crate) pid: u32,
    /// When it started, in the kernel's ticks since boot.
    pub(crate) start: u64,
}

/// The fields that we read from `/proc/PID/stat`.
struct Stat {
    state: char,
    parent: u32,
    start: u64,
}

impl Child {
    /// Returns the process that has this pid now; `None` if there is none.
    pub(crate) fn of(pid: u32) -> Option<Child> {
        Some(Child { pid, start: stat(pid)?.start })
    }

    /// Returns whether it still runs. A zombie does not: its parent may take minutes to reap it.
    pub(crate) fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start && !matches!(stat.state, 'Z' | 'X'))
    }

    /// Returns the name of its program's file.
    pub(crate) fn program(self) -> Option<String> {
        Some(fs::read_link(format!("/proc/{}/exe", self.pid)).ok()?.file_name()?.to_str()?.to_owned())
    }

    /// Returns whether it has a file below `dir` open.
    pub(crate) fn holds(self, dir: &Path) -> bool {
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", self.pid)) else { return false };
        entries.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|file| file.starts_with(dir)))
    }
}

/// Returns all processes of this machine.
pub(crate) fn all() -> Vec<Child> {
    pids().filter_map(Child::of).collect()
}

/// Sends a signal, named as `kill` names it, to the processes that still run.
pub(crate) fn signal(name: &str, children: &BTreeSet<Child>) -> Result<()> {
    let pids: Vec<String> =
        children.iter().filter(|child| child.is_alive()).map(|child| child.pid.to_string()).collect();
    if pids.is_empty() {
        return Ok(());
    }
    let mut command = std::process::Command::new("sh");
    // Some may end by themselves meanwhile, which is no failure.
    command.args(["-c", "kill -s \"$@\" 2> /dev/null; true", "sh", name]).args(pids);
    command.status().context("could not start sh to send a signal")?;
    Ok(())
}

/// Returns every pid with its parent's.
pub(crate) fn parents() -> BTreeMap<u32, u32> {
    pids().filter_map(|pid| Some((pid, stat(pid)?.parent))).collect()
}

/// Returns the children of a pid, their children, and so on.
pub(crate) fn descendants(of: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let children = parents.iter().filter(|&(_, &parent)| parent == of).map(|(&pid, _)| pid);
    children.flat_map(|pid| std::iter::once(pid).chain(descendants(pid, parents))).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn stat(pid: u32) -> Option<Stat> {
    read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 3, 4 and 22, see proc(5). The second, a name, may hold spaces and brackets.
fn read(line: &str) -> Option<Stat> {
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Stat { state, parent, start: fields.nth(17)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let stat = read("42 (a) b) S 7 42 42 0 -1 4 0 0 0 0 1 2 3 4 20 0 1 0 777 0 0").unwrap();
        assert_eq!((stat.state, stat.parent, stat.start), ('S', 7, 777));
    }

    #[test]
    fn children_of_children_count() {
        assert_eq!(descendants(1, &BTreeMap::from([(2, 1), (3, 2), (4, 9)])), [2, 3]);
    }

    #[test]
    fn a_child_is_alive_until_it_ends_and_another_start_is_another_child() {
        let me = Child::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!Child { start: me.start + 1, ..me }.is_alive());
    }
}
