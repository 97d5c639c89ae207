//! The end of a daemon's worker, and whether the work that it was doing may have caused it.

use std::{fmt, fs, os::unix::process::ExitStatusExt, process::ExitStatus};

use jiff::Timestamp;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::{child::Child, plugin::signal_words};

/// The exit status of a worker that could not start, and logged the reason. Nothing was stepped.
pub const NOT_STARTED: i32 = 69;

/// The unrequested end of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// The worker that died.
    pub worker: Child,
    /// Time at which it was noticed.
    pub time: Timestamp,
    /// The signal that ended it.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Its exit status, if no signal ended it.
    #[serde(default)]
    pub code: Option<i32>,
    /// True if the kernel killed it for want of memory.
    #[serde(default)]
    pub out_of_memory: bool,
}

impl Death {
    pub(crate) fn new(worker: Child, status: ExitStatus, oom_kills_before: Option<u64>) -> Death {
        let signal = status.signal();
        let killed = signal == Some(Signal::KILL.as_raw());
        let more = oom_kills() > oom_kills_before && oom_kills_before.is_some();
        Death {
            worker,
            time: crate::clock::now(),
            signal,
            code: status.code(),
            out_of_memory: killed && more,
        }
    }

    /// Returns whether the worker's own work may have caused its end. SIGKILL, SIGTERM and the like come from
    /// outside. The exception is a SIGKILL that the kernel sends for want of memory.
    pub fn is_crash(&self) -> bool {
        const FAULTS: [Signal; 8] = [
            Signal::SEGV,
            Signal::ABORT,
            Signal::BUS,
            Signal::ILL,
            Signal::FPE,
            Signal::SYS,
            Signal::TRAP,
            Signal::XFSZ,
        ];
        let fault = self.signal.is_some_and(|raw| FAULTS.iter().any(|fault| fault.as_raw() == raw));
        let failed = self.code.is_some_and(|code| code != 0 && code != NOT_STARTED);
        self.out_of_memory || fault || failed
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.signal, self.code) {
            (Some(_), _) if self.out_of_memory => f.write_str("killed by the kernel: out of memory"),
            (Some(signal), _) => f.write_str(&signal_words(signal)),
            (None, Some(NOT_STARTED)) => f.write_str("it could not start"),
            (None, Some(code)) => write!(f, "exit status {code}"),
            (None, None) => f.write_str("an unknown cause"),
        }
    }
}

/// Returns the number of processes that the kernel has killed for want of memory. It counts those in our own
/// control group if that is available, else those on this machine.
pub(crate) fn oom_kills() -> Option<u64> {
    let group = fs::read_to_string("/proc/self/cgroup").ok();
    let group = group.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("0::")));
    let events = group.and_then(|group| {
        fs::read_to_string(format!("/sys/fs/cgroup{}/memory.events", group.trim_end_matches('/'))).ok()
    });
    events
        .as_deref()
        .and_then(oom_line)
        .or_else(|| oom_line(&fs::read_to_string("/proc/vmstat").unwrap_or_default()))
}

fn oom_line(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: i32, out_of_memory: bool, expect: (&str, bool)) {
        let worker = Child { pid: 7, started: 1 };
        let status = ExitStatus::from_raw(raw);
        let death = Death { out_of_memory, ..Death::new(worker, status, None) };
        assert_eq!((death.to_string().as_str(), death.is_crash()), expect);
    }

    #[test]
    fn faults_are_crashes_and_signals_from_others_are_not() {
        check(11, false, ("signal 11 (SIGSEGV)", true));
        check(6, false, ("signal 6 (SIGABRT)", true));
        check(9, false, ("signal 9 (SIGKILL)", false));
        check(9, true, ("killed by the kernel: out of memory", true));
        check(15, false, ("signal 15 (SIGTERM)", false));
        check(101 << 8, false, ("exit status 101", true));
        check(NOT_STARTED << 8, false, ("it could not start", false));
    }

    #[test]
    fn kills_for_want_of_memory_are_counted_by_the_kernel() {
        assert_eq!(oom_line("low 0\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(oom_line("oom_kill_disable 0\n"), None);
    }
}
