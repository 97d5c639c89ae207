//! Transitions: the only places where a process changes its state.
//!
//! Each is a method of [`Process`] that changes the row in memory and returns what is to be committed with it, as
//! the line of the report. [`Process::update`] gives the change of the row itself, and belongs to the same commit.
//! The texts of an end exist here alone, so an exit reads the same for a calcjob, a function and a workflow.
//!
//! ```text
//!               start            wait, pause
//!   created ------------> running <--------> waiting
//!      |                     |        run       |
//!      +---------------------+------------------+
//!      | except, kill        | finish, except, kill
//!      v                     v
//!   excepted, killed      finished, excepted, killed
//! ```

use ferry_engine_core::{clock, process::State};
use ferry_plugin_proto::{Exit, Kind};
use jiff::Timestamp;

use crate::{
    attempts::Attempts,
    change::Change,
    records::{Body, End, Level, Process},
};

/// The one who wishes for a kill, as [`Process::kill`] says it.
pub const BY_USER: &str = "the user";

impl Process {
    /// Returns the change that stores this row as it stands now. For a function or a workflow each commit is progress;
    /// a calcjob may commit in the middle of a step.
    pub fn update(&self) -> Change {
        let mut row = self.clone();
        if row.kind != Kind::CalcJob {
            row.crashes = 0;
        }
        Change::Update(Box::new(row))
    }

    /// Forgets the failures of the step before: it has got on.
    pub fn progress(&mut self) {
        self.attempts = Attempts::default();
        self.crashes = 0;
    }

    /// Returns a line for its report.
    pub fn log(&self, level: Level, message: impl Into<String>) -> Change {
        Change::Log { process: self.id, level, message: message.into() }
    }

    /// Starts a created process. Returns the update that says so, which comes before all others of its commit;
    /// `None` if it was started before.
    #[must_use = "a created process can't wait or finish before this update"]
    pub fn start(&mut self) -> Option<Change> {
        if self.state != State::Created {
            return None;
        }
        self.enter(State::Running);
        let started = self.update();
        self.version += 1;
        Some(started)
    }

    /// Goes on: a step is running, or is the next thing to do.
    pub fn run(&mut self, status: Option<String>) {
        self.enter(State::Running);
        self.status = status;
    }

    /// Waits, with the reason in words.
    pub fn wait(&mut self, status: impl Into<String>) {
        self.enter(State::Waiting);
        self.status = Some(status.into());
    }

    /// Waits for a time. The next owner finds it by its timer, as it finds other waiting processes.
    pub fn wait_until(&mut self, time: Timestamp) {
        self.enter(State::Waiting);
        if let Some(flow) = self.flow_mut() {
            flow.wake = Some(time);
        }
    }

    /// Waits for its next try after a failure, with the attempts up to this one. Returns the line of the report. A
    /// calcjob without a new status is about to try again, and stays as it is.
    #[must_use]
    pub fn retry(&mut self, attempts: Attempts, status: Option<String>, line: String) -> Change {
        if self.kind != Kind::CalcJob {
            self.wait_until(attempts.next_try.unwrap_or_else(clock::now));
        }
        self.attempts = attempts;
        if let Some(status) = status {
            self.wait(status);
        }
        self.log(Level::Warning, line)
    }

    /// Pauses until a user lets it continue. Returns the line of the report.
    #[must_use]
    pub fn pause(&mut self, level: Level, reason: impl Into<String>) -> Change {
        let reason = reason.into();
        let line = self.log(level, format!("paused: {reason}"));
        self.wishes.paused = true;
        self.status = Some(reason);
        line
    }

    /// Finishes: with success, or with an exit code.
    #[must_use]
    pub fn finish(&mut self, exit: Option<&Exit>) -> Vec<Change> {
        let Some(exit) = exit else {
            return self.close(State::Finished, End { status: Some(0), message: None }, None);
        };
        let text = match exit.label.as_str() {
            "" => exit.message.clone(),
            label => format!("{label}: {}", exit.message),
        };
        let line = self.log(Level::Error, format!("finished with exit code {}: {text}", exit.status));
        self.close(State::Finished, End { status: Some(exit.status), message: Some(text) }, Some(line))
    }

    /// Finishes as another process did, whose results it takes over.
    #[must_use]
    pub fn finish_like(&mut self, source: &Process) -> Vec<Change> {
        if let (Body::Calcjob(job), Body::Calcjob(of_source)) = (&mut self.body, &source.body) {
            job.work_dir.clone_from(&of_source.work_dir);
        }
        self.close(State::Finished, source.end.clone(), None)
    }

    /// Ends by an error that it can't recover from. Its checkpoint stays, for `process resume`.
    #[must_use]
    pub fn except(&mut self, text: impl Into<String>) -> Vec<Change> {
        let text = text.into();
        let line = self.log(Level::Error, format!("excepted: {text}"));
        self.close(State::Excepted, End { status: None, message: Some(text) }, Some(line))
    }

    /// Ends as killed; `by` says who wished for it.
    #[must_use]
    pub fn kill(&mut self, by: &str) -> Vec<Change> {
        let text = format!("killed by {by}");
        let line = self.log(Level::Report, text.clone());
        self.close(State::Killed, End { status: None, message: Some(text) }, Some(line))
    }

    /// Returns whether it has ended for good: its checkpoint is needed no more. An excepted process may be resumed.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Finished | State::Killed)
    }

    /// Ends: nothing is waited for, and a job gives its ticket back.
    fn close(&mut self, state: State, end: End, line: Option<Change>) -> Vec<Change> {
        self.enter(state);
        self.status = None;
        self.end = end;
        if self.is_over() {
            self.attempts = Attempts::default();
        }
        let is_over = self.is_over();
        match &mut self.body {
            Body::Calcjob(job) => job.checkpoint = job.checkpoint.take().filter(|_| !is_over),
            Body::Workflow(flow) => {
                (flow.wake, flow.since) = (None, None);
                flow.checkpoint = flow.checkpoint.take().filter(|_| !is_over);
            }
            Body::Function => {}
        }
        let ticket = (self.kind == Kind::CalcJob).then_some(Change::DropTicket(self.id));
        line.into_iter().chain(ticket).collect()
    }

    /// Enters a state. The commit checks the rule once more, against the row on disk.
    fn enter(&mut self, next: State) {
        let is_legal = self.state == next || self.state.may_become(next);
        debug_assert!(is_legal, "process {} is {:?} and can't become {next:?}", self.id, self.state);
        if self.state != next {
            self.crashes = 0;
        }
        self.state = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{NodeId, Wishes};

    fn row(kind: Kind, state: State) -> Process {
        Process {
            id: NodeId(12),
            uuid: uuid::Uuid::nil(),
            process_type: "t.type".into(),
            kind,
            label: String::new(),
            description: String::new(),
            state,
            wishes: Wishes::default(),
            plugin: "d".into(),
            status: None,
            end: End::default(),
            caller: None,
            call: None,
            root: NodeId(12),
            attempts: Attempts::default(),
            crashes: 0,
            version: 0,
            created: Timestamp::UNIX_EPOCH,
            modified: Timestamp::UNIX_EPOCH,
            body: Body::of(kind),
        }
    }

    fn save(process: &mut Process) {
        match &mut process.body {
            Body::Calcjob(job) => job.checkpoint = Some("{}".into()),
            Body::Workflow(flow) => flow.checkpoint = Some("{}".into()),
            Body::Function => {}
        }
    }

    fn lines(changes: &[Change]) -> Vec<(Level, &str)> {
        let line = |change: &'_ Change| match change {
            Change::Log { level, message, .. } => Some((*level, message.clone())),
            _ => None,
        };
        changes.iter().filter_map(line).map(|(level, text)| (level, &*text.leak())).collect()
    }

    #[test]
    fn an_exit_reads_the_same_for_each_kind() {
        let exit = Exit { status: 310, label: "ERROR_X".into(), message: "why".into() };
        for kind in [Kind::CalcJob, Kind::CalcFunction, Kind::WorkChain] {
            let mut process = row(kind, State::Running);
            process.status = Some("parse".into());
            save(&mut process);
            let changes = process.finish(Some(&exit));
            assert_eq!(lines(&changes), [(Level::Error, "finished with exit code 310: ERROR_X: why")]);
            assert_eq!((process.state, process.end.status), (State::Finished, Some(310)));
            assert_eq!(process.end.message.as_deref(), Some("ERROR_X: why"));
            assert_eq!((process.status.as_deref(), process.checkpoint()), (None, None));
            let frees = changes.iter().any(|change| matches!(change, Change::DropTicket(_)));
            assert_eq!(frees, kind == Kind::CalcJob, "only a job holds a ticket");
        }
    }

    #[test]
    fn the_other_ends_have_no_exit_status() {
        let mut process = row(Kind::WorkChain, State::Waiting);
        save(&mut process);
        process.wait_until(Timestamp::UNIX_EPOCH);
        assert_eq!(lines(&process.except("a bug")), [(Level::Error, "excepted: a bug")]);
        assert_eq!((process.state, process.end.status), (State::Excepted, None));
        assert_eq!((process.end.message.as_deref(), process.flow().unwrap().wake), (Some("a bug"), None));
        assert!(process.checkpoint().is_some(), "it may be resumed");

        let mut process = row(Kind::CalcFunction, State::Created);
        assert_eq!(lines(&process.kill("the user")), [(Level::Report, "killed by the user")]);
        assert_eq!(
            (process.state, process.end.message.as_deref()),
            (State::Killed, Some("killed by the user"))
        );

        let mut process = row(Kind::CalcFunction, State::Running);
        assert_eq!(lines(&process.finish(None)), []);
        assert_eq!((process.end.status, process.end.message), (Some(0), None));
    }

    #[test]
    fn a_created_process_starts_once_and_before_all_else() {
        let mut process = row(Kind::CalcFunction, State::Created);
        let version = process.version;
        assert!(matches!(process.start(), Some(Change::Update(row)) if row.state == State::Running));
        assert_eq!((process.state, process.version), (State::Running, version + 1));
        assert!(process.start().is_none());
    }

    #[test]
    fn a_pause_leaves_the_state_alone() {
        let mut process = row(Kind::WorkChain, State::Running);
        assert_eq!(
            lines(&[process.pause(Level::Report, "look at it")]),
            [(Level::Report, "paused: look at it")]
        );
        assert_eq!((process.wishes.paused, process.status.as_deref()), (true, Some("look at it")));
        process.run(None);
        process.wait("waits until tomorrow");
        assert_eq!(
            (process.state, process.status.as_deref()),
            (State::Waiting, Some("waits until tomorrow"))
        );
    }

    #[test]
    #[should_panic(expected = "can't become")]
    fn nothing_follows_an_end() {
        row(Kind::CalcFunction, State::Finished).run(None);
    }
}
