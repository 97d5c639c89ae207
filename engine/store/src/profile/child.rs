//! Operating-system processes that may be met again later. A pid alone may name another program after a while; a
//! pid with its start time does not. So no other program is ever signalled.

use std::{fs, io};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A program of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Child {
    /// Its pid.
    pub pid: u32,
    /// Start time, in the kernel's ticks since the boot.
    pub started: u64,
}

impl Child {
    /// Returns the program that has this pid now, if any.
    pub fn of(pid: u32) -> Option<Child> {
        Some(Child { pid, started: Stat::read(pid)?.started })
    }

    /// Returns this program.
    pub fn me() -> Option<Child> {
        Child::of(std::process::id())
    }

    /// Returns whether it still runs. A zombie does not.
    pub fn is_alive(&self) -> bool {
        self.stat().is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
    }

    /// Returns whether SIGSTOP has stopped it, so that it neither answers nor handles SIGTERM.
    pub fn is_stopped(&self) -> bool {
        self.stat().is_some_and(|stat| stat.state == 'T')
    }

    /// Sends a signal to this very program. Returns false if it is gone and nothing was sent.
    ///
    /// # Errors
    /// Returns the errors of `pidfd_send_signal`, such as a program of another user.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
        // The descriptor is opened before the start time is checked, so it can't refer to another program.
        let target = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            other => other?,
        };
        if !self.is_alive() {
            return Ok(false);
        }
        match pidfd_send_signal(target, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    fn stat(&self) -> Option<Stat> {
        Stat::read(self.pid).filter(|stat| stat.started == self.started)
    }
}

/// The fields of `/proc/PID/stat` that are used.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    started: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads the state, the third field, and the start time, the 22nd, see `proc(5)`. The second field, a name in
    /// parentheses, may hold any characters.
    fn parse(text: &str) -> Option<Stat> {
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?.chars().next()?;
        Some(Stat { state, started: fields.nth(18)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_and_spaces_do_not_confuse() {
        let text = "17 (a) b (c)) T 1 17 17 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 2 3";
        assert_eq!(Stat::parse(text), Some(Stat { state: 'T', started: 4711 }));
        assert_eq!(Stat::parse("17 (cut"), None);
    }

    #[test]
    fn only_the_very_program_is_signalled() {
        let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let child = Child::of(sleeper.id()).unwrap();
        let stranger = Child { started: child.started + 1, ..child };
        assert!(!stranger.signal(Signal::KILL).unwrap() && !stranger.is_alive());
        assert!(child.is_alive());
        assert!(child.signal(Signal::KILL).unwrap());
        sleeper.wait().unwrap();
        assert!(!child.is_alive() && !child.signal(Signal::KILL).unwrap());
    }
}
