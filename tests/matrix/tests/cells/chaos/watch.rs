//! A look at the real jobs, again and again: how many each trial has at once.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::{breaking::Ground, plan::Bound};
use crate::limits::job_dirs;

/// Interval between two looks.
const LOOK: Duration = Duration::from_millis(70);

/// Trials by the directory that their jobs work below, with the most jobs seen at once.
#[derive(Default)]
pub(super) struct Watch {
    trials: Mutex<BTreeMap<PathBuf, Seen>>,
}

struct Seen {
    queued: bool,
    most: usize,
}

/// A job as the queue shows it.
struct Job {
    dir: PathBuf,
    pending: bool,
}

impl Watch {
    /// Counts a trial's jobs from now on.
    pub(super) fn begin(&self, root: &Path, bound: Option<Bound>) {
        let queued = bound.is_some_and(|bound| bound.queued);
        let mut trials = self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        trials.insert(root.to_owned(), Seen { queued, most: 0 });
    }

    /// Returns the largest number that was seen at once.
    pub(super) fn end(&self, root: &Path) -> usize {
        let mut trials = self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        trials.remove(root).map_or(0, |seen| seen.most)
    }

    /// Looks until the trials are over.
    pub(super) fn run(&self, ground: &Ground) {
        let queue = ground.cell.has_queue();
        while !ground.is_over() {
            // A queue that does not answer shows nothing; it is no empty one.
            if let Some(jobs) = if queue { listed() } else { Some(running()) } {
                self.count(&jobs, queue);
            }
            thread::sleep(LOOK);
        }
    }

    fn count(&self, jobs: &[Job], queue: bool) {
        let mut trials = self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        for (root, seen) in trials.iter_mut() {
            // Where nothing is ever pending, that limit counts all.
            let counts = |job: &&Job| job.dir.starts_with(root) && (job.pending || !seen.queued || !queue);
            seen.most = seen.most.max(jobs.iter().filter(counts).count());
        }
    }
}

fn listed() -> Option<Vec<Job>> {
    let mut squeue = Command::new("squeue");
    squeue.args(["-h", "-t", "PD,CF,R", "-o", "%t %Z"]).stderr(Stdio::null());
    let output = squeue.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let job = |line: &str| {
        let (state, dir) = line.split_once(' ')?;
        Some(Job { dir: dir.into(), pending: state != "R" })
    };
    Some(text.lines().filter_map(job).collect())
}

fn running() -> Vec<Job> {
    job_dirs().into_iter().map(|dir| Job { dir, pending: false }).collect()
}
