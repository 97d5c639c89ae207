//! The process group of a command: ended whole, first with TERM, and only while its number is ours.
//!
//! The group's number is its leader's pid, which can't be given to another process before the leader is reaped. So
//! the number is dropped right after the reaping.

use std::{io, process::ExitStatus, time::Duration};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process_group, test_kill_process_group},
};
use tokio::{
    process::Child,
    runtime::Handle,
    time::{Instant, sleep, timeout, timeout_at},
};

/// Time that a group has to end itself after TERM.
const GRACE: Duration = Duration::from_secs(2);
/// Time between two checks whether a group is gone.
const LOOK: Duration = Duration::from_millis(20);
/// Time to wait for a killed leader. One that hangs in the kernel is left to the runtime's reaper.
const REAP: Duration = Duration::from_secs(1);

/// A group and its leader. If it is dropped before the leader's end, it is ended in the background.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Option<Child>,
    id: Option<Pid>,
    is_ending: bool,
}

impl Group {
    /// Makes the group whose leader `leader` was started as.
    pub(crate) fn of(leader: Child) -> Self {
        let id = leader.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Group { leader: Some(leader), id, is_ending: false }
    }

    /// Waits for the leader's end. From then on, the other members are left alone.
    ///
    /// # Cancel safety
    /// May be called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let gone = || io::Error::other("the leader was given away");
        let status = self.leader.as_mut().ok_or_else(gone)?.wait().await?;
        self.id = None;
        Ok(status)
    }

    /// Ends the group: TERM, a short grace for all members, KILL.
    pub(crate) async fn end(&mut self) {
        self.is_ending = true;
        let Some(id) = self.id else { return };
        signal(id, Signal::TERM);
        let deadline = Instant::now() + GRACE;
        if let Some(leader) = &mut self.leader {
            let _ = timeout_at(deadline, leader.wait()).await;
        }
        // Members keep the number reserved, and none are left when this loop ends early.
        while exists(id) && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        signal(id, Signal::KILL);
        self.id = None;
        let _ = timeout(REAP, self.wait()).await;
    }
}

impl Drop for Group {
    /// Gives the group the same time to clean up as a time-out does. Without a runtime, or when one shuts down
    /// meanwhile, the group is killed at once.
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        match Handle::try_current() {
            Ok(runtime) if !self.is_ending => {
                let mut group = Group { leader: self.leader.take(), id: Some(id), is_ending: true };
                runtime.spawn(async move { group.end().await });
            }
            _ => signal(id, Signal::KILL),
        }
    }
}

fn exists(id: Pid) -> bool {
    test_kill_process_group(id) != Err(Errno::SRCH)
}

fn signal(id: Pid, signal: Signal) {
    // The only likely failure is that no member is left, which is the aim.
    let _ = kill_process_group(id, signal);
}
