//! The steps of a calcjob, one file a step: prepare, upload, submit, update, stash, retrieve, parse.
//!
//! Each step is safe to run again: before it acts, it looks at what an earlier attempt left. It ends with one
//! commit that holds its outcome and the name of the next step.

mod checkpoint;
mod dry_run;
mod end;
mod explain;
mod import;
mod monitor;
mod outcome;
mod parse;
mod prepare;
mod submission;
mod transfer;
mod update;
mod watch;
mod work_dir;

pub use crate::spec::import::IMPORTED;
pub use checkpoint::{Checkpoint, Step, VERSION};
pub use dry_run::DryRun;
pub(crate) use dry_run::checked_launch::check_launch;
pub(crate) use dry_run::dry_run;
pub(crate) use end::{end_excepted, end_killed, report};
pub(crate) use explain::waiting_reason;
pub use explain::{Explanation, explain};
pub(crate) use submission::cancel::{all_jobs, cancel_jobs, cancel_submission, find_alive};
pub(crate) use submission::resubmit::request_resubmit;
pub(crate) use submission::submit::{adopt, find_job, recovery_delay};
pub use submission::submit_batch::Submitters;
pub(crate) use transfer::stash::discard as discard_stash;
pub use watch::JobWatch;
pub(crate) use watch::Observation;
pub use work_dir::location::is_its_own;

use std::sync::Arc;

use jiff::Timestamp;

use self::{
    submission::{resubmit, submit},
    transfer::{retrieve, stash, upload},
};
use crate::{
    clock,
    owner::Context,
    scheduler::Bounds,
    spec::Options,
    step::{StepError, StepResult},
    store::{Body, Change, JobRow, Level, Process},
};

/// A calcjob that is being worked on: its row, its saved state, and the context for its steps.
pub(crate) struct Calcjob<'a> {
    pub(crate) cx: &'a Arc<Context>,
    pub(crate) submitters: &'a Submitters,
    /// The head of its row; the body is `row`.
    pub(crate) process: Process,
    pub(crate) row: JobRow,
    pub(crate) state: Checkpoint,
    /// The epoch of its computer's breaker when work on it began.
    pub(crate) epoch: u64,
    /// The gate's permission to submit, with the bounds under which it was given.
    pub(crate) grant: Option<Bounds>,
    /// True if the poller has just seen its job running.
    pub(crate) is_running: bool,
}

/// The next action of a calcjob after a step.
pub(crate) enum Next {
    /// The next step.
    Step,
    /// Wait until its job has ended.
    Watch(JobWatch),
    /// Wait until its computer's gate lets it through.
    Gate {
        /// True if the scheduler has just refused it since its queue is full.
        refused: bool,
    },
    /// Wait until it is its turn to try again.
    Hold,
    /// Nothing: it has ended.
    Ended,
}

impl<'a> Calcjob<'a> {
    /// Starts work on a process.
    ///
    /// # Errors
    /// `Except` for a saved state that can't be read.
    pub(crate) fn new(
        cx: &'a Arc<Context>,
        submitters: &'a Submitters,
        mut process: Process,
    ) -> StepResult<Self> {
        let Body::Calcjob(row) = std::mem::replace(&mut process.body, Body::Function) else {
            return Err(StepError::Except("it is not a calcjob".into()));
        };
        let state = Checkpoint::read(row.checkpoint.as_deref()).map_err(StepError::Except)?;
        let epoch = cx.health.epoch(&row.computer);
        Ok(Calcjob { cx, submitters, process, row, state, epoch, grant: None, is_running: false })
    }

    /// Runs the step that is due.
    ///
    /// # Cancel safety
    /// May be dropped at any time, like a crash: its effects are looked up when it runs again.
    pub(crate) async fn step(&mut self) -> StepResult<Next> {
        if self.is_new_work() && self.cx.health.is_disabled(self.computer()) {
            return Err(StepError::Parked);
        }
        if self.state.resubmit {
            return resubmit::run(self).await;
        }
        match self.state.step {
            Step::Prepare => prepare::run(self).await,
            Step::Upload => upload::run(self).await,
            Step::Submit => submit::run(self).await,
            Step::Update => update::run(self).await.map(Next::Watch),
            Step::Stash => stash::run(self).await,
            Step::Retrieve => retrieve::run(self).await,
            Step::Parse => parse::run(self).await,
        }
    }

    /// Returns the label of its computer.
    pub(crate) fn computer(&self) -> &str {
        &self.row.computer
    }

    /// Returns whether its next step would bring new work to its computer. A submission that may have happened is
    /// not new.
    pub(crate) fn is_new_work(&self) -> bool {
        match self.state.step {
            Step::Upload => true,
            Step::Submit => self.state.submission.is_none(),
            _ => false,
        }
    }

    /// Returns the process's options, as they were stored at its launch.
    pub(crate) fn options(&self) -> StepResult<Options> {
        let node = self.cx.store.node(self.process.id)?;
        let options = node.body.get("options").cloned().unwrap_or_default();
        ferry_plugin_proto::from_value(&options)
            .map_err(|error| StepError::Except(format!("the stored options can't be read: {error}")))
    }

    /// Commits the process as it stands now, with the other changes of the step.
    pub(crate) async fn commit(&mut self, mut changes: Vec<Change>) -> StepResult {
        let json =
            serde_json::to_string(&self.state).map_err(|error| StepError::Except(error.to_string()))?;
        let previous = self.row.checkpoint.replace(json);
        // An excepted process may be resumed.
        if self.process.is_over() {
            self.row.checkpoint = None;
        }
        let is_ticket_freed = changes.iter().any(|change| matches!(change, Change::DropTicket(_)));
        let body = Body::Calcjob(self.row.clone());
        changes.push(Process { body, ..self.process.clone() }.update());
        match self.cx.store.commit(changes).await {
            Ok(_) => {
                self.process.version += 1;
                if is_ticket_freed {
                    self.cx.ticket_freed();
                }
                Ok(())
            }
            Err(error) => {
                self.row.checkpoint = previous;
                Err(error.into())
            }
        }
    }

    /// Moves to a step: the process is running, and waits for nothing.
    pub(crate) fn go(&mut self, step: Step) {
        self.enter(step);
        self.process.run(Some(step.as_str().to_owned()));
    }

    /// Moves to a step, and forgets the failures of the last one.
    pub(crate) fn enter(&mut self, step: Step) {
        self.state.go(step);
        self.process.progress();
    }

    /// Returns the change that drops files excluded from the provenance. Use it once no upload can come any more.
    pub(crate) fn forget_excluded(&self) -> Option<Change> {
        let paths = &self.state.job.as_ref()?.provenance_exclude;
        (!paths.is_empty()).then(|| Change::DropFiles { process: self.process.id, paths: paths.clone() })
    }

    /// Moves to the step after the end of its job: *stash* or *retrieve*.
    ///
    /// # Errors
    /// Returns the errors of the store.
    pub(crate) fn go_after_job(&mut self) -> StepResult {
        let stashes = self.options()?.stash.is_some();
        self.go(if stashes { Step::Stash } else { Step::Retrieve });
        Ok(())
    }

    /// Returns a line for the process's report.
    pub(crate) fn log(&self, level: Level, message: impl Into<String>) -> Change {
        self.process.log(level, message)
    }

    /// Notes that the outcome of the submission is unclear. Returns since when.
    pub(crate) fn mark_unclear(&mut self) -> Timestamp {
        *self.state.unclear_since.get_or_insert_with(clock::now)
    }
}
