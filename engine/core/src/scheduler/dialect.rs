//! The words of a command-line scheduler: the pure trait [`Dialect`], and what goes in and out of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::{
    Capabilities, Extras, JobId, JobRef, JobStatus, JobTemplate, Listed, Machine, QueueKey, Result,
    Submission, WatchEnd, nameless,
};
use crate::transport::{Command, Output};

/// What the wrapper recorded of the scheduler's answer to a submission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit status; `None` if it did not come to one.
    pub status: Option<i32>,
}

/// What a dialect says at the head of a job script, and beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Lines below the first one.
    pub lines: Vec<String>,
    /// What the submit command needs beside the script.
    pub extras: Extras,
}

/// What looking for a token in the scheduler brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// A job with this token.
    Job(JobId),
    /// Something still acts for this token, so it is too early to tell.
    Busy(String),
    /// Nothing has this token.
    Absent,
    /// This host can't tell.
    Blind(String),
}

/// Which jobs a listing is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// In which cluster; `None`: the home cluster.
    pub cluster: Option<&'a str>,
    /// The jobs that somebody waits for; all of them are in that cluster.
    pub jobs: &'a [JobRef],
    /// Ask for these jobs alone, each by its id, whosever the id is now. Otherwise all jobs of this user are listed,
    /// where the scheduler can tell them from anything else.
    pub by_id: bool,
}

/// What a listing shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    /// The jobs. Their ids need not name the cluster that was asked.
    pub listed: Vec<Listed>,
    /// Whether a job that it lacks is absent.
    pub proves_absence: bool,
    /// What the command complained of, beside an answer that counts.
    pub notices: Vec<String>,
}

/// The words of a command-line scheduler. Pure: builds commands and reads their output.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// What the scheduler can do.
    fn capabilities(&self) -> Capabilities;

    /// The scheduler's own lines of the job script, before those of the user, and what its submission needs beside them.
    ///
    /// # Errors
    /// `Permanent` for what it can't express, and for directives of the user that would make more or less than one job.
    fn header(&self, job: &JobTemplate) -> Result<Header>;

    /// Shell text, part of the job script, that sets `ferry_job` to the job's id and `ferry_restart` to how
    /// often the scheduler started it again. Must not print.
    fn identity(&self) -> &'static str;

    /// Returns shell text for the job script, read once its gate is taken and before anything is started, that does what
    /// the scheduler does not: it keeps limits, and ends what a job leaves. A child that it leaves in the background is
    /// named in `ferry_guard`, and killed with the script. It may define these functions anew:
    ///
    /// | function | called | by default |
    /// |---|---|---|
    /// | `ferry_start WORDS` | in the child that becomes the user's part; ends in an `exec` of the words | `ferry_fresh WORDS`, which undoes ignored signals |
    /// | `ferry_started` | once that child runs; `ferry_child` is its pid | nothing |
    /// | `ferry_pass SIGNAL` | when the script's shell was signalled | signals `ferry_child` |
    /// | `ferry_sweep` | when the child has ended, before the exit marker is written | nothing |
    /// | `ferry_told` | when the exit marker is written | nothing |
    fn guard(&self, job: &JobTemplate) -> Vec<String> {
        let _ = job;
        Vec::new()
    }

    /// Shell text before the user's own texts and commands, which keeps a limit on them alone that the scheduler does not
    /// keep.
    fn limits(&self, job: &JobTemplate) -> Option<String> {
        let _ = job;
        None
    }

    /// One command that ends as soon as one of these jobs, or of those submitted later, may have ended, and after half a
    /// minute in any case; `None` where nobody tells of ends. See [`Command::spare`].
    fn watch_command(&self, jobs: &[JobRef]) -> Option<Command> {
        let _ = jobs;
        None
    }

    /// Reads its output.
    fn parse_watch(&self, output: &Output) -> WatchEnd {
        let _ = output;
        WatchEnd::Unable
    }

    /// One command that asks which queue plain submissions go to, and as which user; `None` where queues have no names.
    fn queue_key_command(&self) -> Option<Command> {
        None
    }

    /// Reads its output.
    ///
    /// # Errors
    /// `Unreachable` where asking again may help; `Permanent` or `Unreadable` from a host that can't say.
    fn parse_queue_key(&self, output: &Output) -> Result<QueueKey> {
        let _ = output;
        Err(nameless())
    }

    /// One command that asks what the machine has that jobs share; `None` where they share none.
    fn machine_command(&self) -> Option<Command> {
        None
    }

    /// Reads its output. What it does not say is not known.
    ///
    /// # Errors
    /// `Unreachable` where asking again may help; `Permanent` or `Unreadable` from a host that can't say.
    fn parse_machine(&self, output: &Output) -> Result<Machine> {
        let _ = output;
        Ok(Machine::default())
    }

    /// Returns shell text that a wrapper runs once, before it submits any of these jobs. What it sets, each
    /// [`Dialect::submit_text`] sees.
    fn prelude(&self, jobs: &[&Submission]) -> String {
        let _ = jobs;
        String::new()
    }

    /// Shell text that submits the job, run by the wrapper in the work directory with the token as `$1`.
    /// Its output and exit status are recorded, and read by [`Dialect::parse_submit`]. Where the environment may send
    /// the job to other clusters, it writes their names, one a line, to `.ferry/submit-TOKEN/clusters` first.
    fn submit_text(&self, job: &Submission) -> String;

    /// Reads a recorded answer. An id beside a non-zero status counts.
    ///
    /// # Errors
    /// `Permanent` only for words that are known to be final; `Busy` for "not now", `Full` and
    /// `Quota` for a limit on the number of jobs; `Unreachable` for the scheduler's own
    /// trouble; `Ambiguous` for a lost answer, and `Unrecognized` for words that nobody knows, both with an unknown
    /// effect, since the job may be in all the same.
    fn parse_submit(&self, recorded: &Recorded) -> Result<JobId>;

    /// A command that looks for the token of a submission among the jobs of a cluster.
    fn find_command(&self, job: &Submission, cluster: Option<&str>) -> Command;

    /// Reads its output.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`; never `Absent` from a failed command.
    fn parse_find(&self, job: &Submission, cluster: Option<&str>, output: &Output) -> Result<Listing>;

    /// How long after the first look a second one must confirm an absence.
    fn grace(&self) -> Duration;

    /// One command that lists jobs, ended ones as far as the scheduler remembers them.
    fn queue_command(&self, query: &Query<'_>) -> Command;

    /// Reads its output.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`; a failed listing is never an empty queue.
    fn parse_queue(&self, query: &Query<'_>, output: &Output) -> Result<Queue>;

    /// One command that asks what became of jobs of a cluster that no listing shows any more; `None` where nobody
    /// remembers.
    fn history_command(&self, cluster: Option<&str>, jobs: &[JobRef]) -> Option<Command> {
        let _ = (cluster, jobs);
        None
    }

    /// Reads its output: only jobs that are known to have ended. What can't be read is no entry, since this
    /// only adds to a listing that has answered.
    fn parse_history(&self, jobs: &[JobRef], output: &Output) -> BTreeMap<JobRef, JobStatus> {
        let _ = (jobs, output);
        BTreeMap::new()
    }

    /// One command that asks which of these jobs of a cluster, that ended before their script began, the scheduler
    /// gave up by itself; `None` where it never does so.
    fn given_up_command(&self, cluster: Option<&str>, jobs: &[JobRef]) -> Option<Command> {
        let _ = (cluster, jobs);
        None
    }

    /// Reads its output. What can't be read is none of them.
    fn parse_given_up(&self, jobs: &[JobRef], output: &Output) -> BTreeSet<JobRef> {
        let _ = (jobs, output);
        BTreeSet::new()
    }

    /// One command that ends all these jobs of a cluster, whose ids were just seen to be theirs.
    fn cancel_command(&self, cluster: Option<&str>, jobs: &[JobRef]) -> Command;

    /// Reads its output: one result for each job, in order.
    fn parse_cancel(&self, jobs: &[JobRef], output: &Output) -> Vec<Result<()>>;
}
