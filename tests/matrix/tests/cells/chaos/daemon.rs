//! The daemon of a trial: killed in every way, and started again.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, kill};

use super::plan::Fault;

/// Maximum time of a start.
const START: Duration = Duration::from_secs(240);

/// The daemon, and the point at which it must die.
#[derive(Debug, Default)]
pub(super) struct Daemon {
    armed: Option<(String, i32)>,
    /// Places where one died, and how often.
    pub(super) died_at: BTreeMap<String, u64>,
}

impl Daemon {
    /// Breaks it, and sees to it that one runs again.
    pub(super) fn break_it(&mut self, ferry: &Profile, fault: &Fault) -> Result {
        match fault {
            Fault::Worker(pause) => {
                kill_all(ferry.daemon().ok().map(|(worker, _)| worker));
                thread::sleep(*pause);
            }
            Fault::Hosts => kill_all(ferry.daemon().ok().into_iter().flat_map(|(_, hosts)| hosts)),
            Fault::All => kill_whole(ferry),
            Fault::Point(place) => return self.arm(ferry, place),
            // It may find none, or one that dies; what counts is that one runs in the end.
            Fault::Restart => drop(ferry.ferry(&["daemon", "restart"])?),
            _ => {}
        }
        self.run(ferry)
    }

    /// Replaces it by one that dies at a place.
    fn arm(&mut self, ferry: &Profile, place: &str) -> Result {
        self.note_death();
        kill_whole(ferry);
        let mut start = ferry.command(&["daemon", "start"]);
        start.env("FERRY_CRASH_AT", place);
        // It may die before it has started.
        let answer = Profile::run(start)?;
        match ferry.daemon() {
            Ok((pid, _)) => self.armed = Some((place.to_owned(), pid)),
            Err(_) if answer.status != 0 => *self.died_at.entry(name(place)).or_default() += 1,
            Err(_) => {}
        }
        Ok(())
    }

    /// Sees to it that one runs.
    pub(super) fn run(&mut self, ferry: &Profile) -> Result {
        self.note_death();
        let begun = Instant::now();
        loop {
            let answer = ferry.ferry(&["daemon", "start"])?;
            if answer.status == 0 {
                return Ok(());
            }
            check(begun.elapsed() < START, || format!("the daemon does not start: {}", answer.stderr))?;
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Counts the death of a daemon at its point.
    pub(super) fn note_death(&mut self) {
        if let Some((place, pid)) = &self.armed
            && !is_alive(*pid)
        {
            *self.died_at.entry(name(place)).or_default() += 1;
            self.armed = None;
        }
    }

    /// Replaces one that may still die, so that the trial can end.
    pub(super) fn disarm(&mut self, ferry: &Profile) -> Result {
        self.note_death();
        if self.armed.take().is_some() {
            kill_whole(ferry);
        }
        self.run(ferry)
    }
}

fn name(place: &str) -> String {
    place.split(':').next().unwrap_or_default().to_owned()
}

/// Returns whether this child is alive.
pub(crate) fn is_alive(pid: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie counts as dead.
    state.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// Kills worker, plugin hosts and, where there is one, the supervisor that would start them again.
fn kill_whole(ferry: &Profile) {
    let supervisor =
        ferry.json(&["daemon", "status"]).ok().and_then(|status| status["supervisor"]["pid"].as_i64());
    // All are looked up before any is killed: a worker that misses its supervisor ends by itself, and does not
    // answer while it does.
    let worker_and_hosts = ferry.daemon().ok();
    let others = worker_and_hosts.into_iter().flat_map(|(worker, hosts)| hosts.into_iter().chain([worker]));
    kill_all(supervisor.map(|pid| pid as i32).into_iter().chain(others));
}

fn kill_all(pids: impl IntoIterator<Item = i32>) {
    for pid in pids {
        kill(pid, 9);
    }
}
