//! Memory of the idle daemon and of its plugin hosts, as the kernel counts it.
//!
//! RSS counts every page. PSS divides the pages that others map too (the binary's own, between the daemon and
//! its hosts), so the sum of PSS is the memory that they really cost.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::table::{Aim, Table};
use crate::ferry::Ferry;
use crate::proc;

/// Time for which the daemon is left alone before its memory is measured.
const SETTLE: Duration = Duration::from_secs(3);

/// Memory of one child, or the sum of several, in kB, as the kernel reports it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Memory {
    rss: u64,
    pss: u64,
}

/// The daemon at rest.
#[derive(Debug)]
pub(super) struct Idle {
    daemon: Memory,
    with_hosts: Memory,
    hosts: usize,
}

/// Waits a moment and looks at the daemon and its children.
pub(super) fn idle(ferry: &Ferry) -> Result<Idle> {
    std::thread::sleep(SETTLE);
    let daemon = ferry.daemon().context("no daemon runs, so its memory can't be read")?;
    let hosts = proc::descendants(daemon, &proc::parents());
    let own =
        read(daemon).with_context(|| format!("could not read the memory of the daemon (pid {daemon})"))?;
    let with_hosts = hosts
        .iter()
        .filter_map(|&pid| read(pid))
        .fold(own, |sum, one| Memory { rss: sum.rss + one.rss, pss: sum.pss + one.pss });
    Ok(Idle { daemon: own, with_hosts, hosts: hosts.len() })
}

/// Returns the resident memory of a child in MB.
pub(super) fn resident(pid: u32) -> Option<f64> {
    read(pid).map(|memory| megabytes(memory.rss))
}

/// Returns the daemon's resident memory, and the memory that a machine gives up for it and its hosts, while
/// they work.
pub(super) fn of_all(ferry: &Ferry) -> Result<Memory> {
    let daemon = ferry.daemon().context("no daemon runs, so its memory can't be read")?;
    let own = read(daemon).with_context(|| format!("could not read the memory of pid {daemon}"))?;
    let hosts = proc::descendants(daemon, &proc::parents());
    let pss = hosts.iter().filter_map(|&pid| read(pid)).fold(own.pss, |sum, one| sum + one.pss);
    Ok(Memory { rss: own.rss, pss })
}

impl Memory {
    /// Returns the size of all resident pages in MB.
    pub(super) fn rss_megabytes(self) -> f64 {
        megabytes(self.rss)
    }

    /// Pages shared out, MB.
    pub(super) fn pss_megabytes(self) -> f64 {
        megabytes(self.pss)
    }
}

/// Adds the figures of a fresh daemon and of one that has worked.
pub(super) fn report(fresh: &Idle, worked: &Idle, table: &mut Table) {
    for (when, idle) in [("fresh", fresh), ("after the jobs", worked)] {
        let daemon = format!("idle daemon, {when}");
        table.judge(&daemon, megabytes(idle.daemon.rss), " MB", &pss(idle.daemon), Aim::Under(25.0));
        let hosts = format!("idle daemon and {} plugin hosts, {when}", idle.hosts);
        table.judge(&hosts, megabytes(idle.with_hosts.rss), " MB", &pss(idle.with_hosts), Aim::Under(35.0));
    }
}

fn pss(memory: Memory) -> String {
    format!("PSS {:.2} MB", megabytes(memory.pss))
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn read(pid: u32) -> Option<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some(Memory { rss: field(&text, "Rss:")?, pss: field(&text, "Pss:")? })
}

fn field(smaps: &str, name: &str) -> Option<u64> {
    smaps.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_words_are_read() {
        let smaps = "55-7f ---p 0 00:00 0 [rollup]\nRss:    4096 kB\nPss:    2048 kB\nPss_Dirty:  1 kB\n";
        assert_eq!((field(smaps, "Rss:"), field(smaps, "Pss:")), (Some(4096), Some(2048)));
    }
}
