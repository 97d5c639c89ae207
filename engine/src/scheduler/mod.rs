//! Who runs jobs on a computer: the [`Scheduler`] trait, and for command-line schedulers the pure
//! [`Dialect`] that [`CliScheduler`] drives through the claim protocol.
//!
//! A [`Dialect`] builds commands and reads their output; it runs nothing. The promise "a job runs exactly
//! once" is kept in one place, `claim.rs`, for all of them.

mod claim;
mod cli;
mod failure;
mod header;
mod limits;
mod template;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use claim::{Fenced, Marker, Markers, fence, markers};
pub use cli::{CliScheduler, Dialect, Listing, Recorded};
pub use failure::JobFailure;
pub(crate) use header::unread_of_job;
pub use header::{Directives, Texts};
pub(crate) use limits::Bucket;
pub use limits::{Bounds, Limits, Rate, Usage};
pub use template::{CommandLine, JobTemplate, Resources, script};

use crate::{error, transport::Transport};

/// Kinds of scheduler error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bad partition, account, resources or settings: the job fails at once, with the scheduler's words.
    Permanent,
    /// A limit is reached or the scheduler is busy: back-pressure, costs no attempt.
    Busy,
    /// The request may have been taken: look it up, never repeat it blindly.
    Ambiguous,
    /// The host or the scheduler's daemon can't be reached: not the job's fault.
    Unreachable,
    /// The scheduler answered in a way that we can't read.
    Unreadable,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Permanent => "refused by the scheduler",
            ErrorKind::Busy => "the scheduler is busy",
            ErrorKind::Ambiguous => "outcome unknown",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Unreadable => "unreadable answer",
        })
    }
}

/// A scheduler's error.
pub type Error = error::Error<ErrorKind>;
/// A scheduler's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A job's name in its scheduler. The direct scheduler's holds host, boot, pid and start time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub String);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A submission try: what must be on disk before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Fresh for every try; job name and comment where the scheduler has them. Only `[0-9a-z-]`.
    pub token: String,
    /// Absolute work directory, published by the upload.
    pub dir: PathBuf,
    /// Name of the job script in it.
    pub script: String,
    /// What the sentinel in the directory must say.
    pub digest: String,
    /// The interpreter of the script, from its first line.
    pub interpreter: Vec<String>,
    /// Names of the files for the script's standard output and error.
    pub stdout: String,
    /// As above.
    pub stderr: String,
    /// The scheduler may start the job again by itself.
    #[serde(default)]
    pub rerunnable: bool,
    /// A test job has shown that jobs of this computer see its directory and keep their names, so that what two
    /// listings do not show was never submitted. Looked up anew for each recovery.
    #[serde(skip)]
    pub proven: bool,
}

/// A job to ask about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobRef {
    /// Its id.
    pub id: JobId,
    /// The token it was submitted with: ids are forgotten and reused, so the two are matched together.
    pub token: String,
}

/// What recovery found out about a submission whose outcome was not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// It happened; this is the job.
    Found(JobId),
    /// It did not happen and can't happen any more.
    NeverSubmitted,
    /// The truth can't be known yet; ask again later.
    Unclear(String),
}

/// A job's state, the field's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for resources.
    Pending,
    /// Waits for somebody.
    Held,
    /// Runs.
    Running,
    /// Was stopped for a while.
    Suspended,
    /// Ended, one way or another.
    Done,
    /// A word that we don't know, or no answer about it.
    Unknown,
}

impl JobState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Pending => "pending",
            JobState::Held => "held",
            JobState::Running => "running",
            JobState::Suspended => "suspended",
            JobState::Done => "done",
            JobState::Unknown => "unknown",
        }
    }
}

/// What a scheduler says about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStatus {
    /// In our words.
    pub state: JobState,
    /// In the scheduler's words.
    pub raw: String,
    /// Why it waits, if it says.
    pub reason: Option<String>,
    /// Why it failed, if it says.
    pub failure: Option<JobFailure>,
}

/// One job of this user, whoever submitted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: JobId,
    /// Its name; ours bear their token.
    pub name: String,
    /// What the scheduler says about it.
    pub status: JobStatus,
}

/// The state of our jobs, and how many others this user has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// As [`Scheduler::status`] gives it.
    pub jobs: BTreeMap<JobRef, JobStatus>,
    /// Pending jobs that bear none of our tokens.
    pub foreign_queued: u32,
    /// Pending or running jobs that bear none of our tokens.
    pub foreign_active: u32,
}

/// Names a queue as its own host does, for one user of it. Computers with the same key share a queue, and so their
/// limits, whatever their labels and addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueKey {
    /// The scheduler's own name for it: Slurm's `ClusterName`; without a scheduler the id of the host's boot.
    pub queue: String,
    /// The user's number there.
    pub uid: u32,
}

impl fmt::Display for QueueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, uid {}", self.queue, self.uid)
    }
}

/// What a scheduler can do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Capabilities {
    /// Jobs may wait in the queue.
    pub has_queue: bool,
    /// A listing that answers is the truth of this moment, so a job it lacks has ended.
    pub listing_is_authoritative: bool,
    /// Shortest sensible time between two listings.
    pub poll_floor: Duration,
    /// Lines of a job script that it reads as orders.
    pub directives: Directives,
}

/// Runs jobs on one computer. Object-safe; the transport is an argument, so it holds no connection.
#[async_trait]
pub trait Scheduler: fmt::Debug + Send + Sync + 'static {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The job script for a template, start gate and exit marker included.
    ///
    /// # Errors
    /// `Permanent` for resources or options that it can't express.
    fn script(&self, job: &JobTemplate) -> Result<String>;

    /// Asks the host which queue a plain submission goes to, and as which user. The same queue answers with the same key
    /// over any connection, until the host is set up anew or, without a scheduler, started again. By default nothing
    /// is known of it.
    ///
    /// # Errors
    /// `Unreachable` where asking again may help; `Permanent` or `Unreadable` from a host that can't say.
    ///
    /// # Cancel safety
    /// It only reads.
    async fn queue_key(&self, via: &dyn Transport) -> Result<QueueKey> {
        let _ = via;
        Err(nameless())
    }

    /// Submits jobs; one result for each, in order. The claim protocol runs around each, so a job whose
    /// result is `Ambiguous` or `Unreachable` must go through [`Scheduler::recover`] before anything else.
    ///
    /// # Cancel safety
    /// A dropped call may have submitted: treat it as `Ambiguous`.
    async fn submit(&self, via: &dyn Transport, jobs: &[Submission]) -> Vec<Result<JobId>>;

    /// Answers "did that submission happen, and can it still?". Idempotent; may take the claim itself.
    async fn recover(&self, via: &dyn Transport, job: &Submission) -> Result<Recovery>;

    /// One entry for each job that the scheduler still knows, by id and token: of two jobs that were given the same
    /// id, it knows at most one. A job without an entry is *absent*, which is
    /// not the same as done: read its marker.
    async fn status(&self, via: &dyn Transport, jobs: &[JobRef]) -> Result<BTreeMap<JobRef, JobStatus>>;

    /// [`Scheduler::status`], and a count of this user's other jobs: those that bear none of `tokens`. One
    /// request for both where the scheduler can; where it has no queue of its own, nobody else counts.
    async fn survey(&self, via: &dyn Transport, jobs: &[JobRef], tokens: &HashSet<String>) -> Result<Survey> {
        let _ = tokens;
        Ok(Survey { jobs: self.status(via, jobs).await?, ..Survey::default() })
    }

    /// What the markers of work directories say; without an entry, a directory was not answered for.
    ///
    /// # Errors
    /// `Unreachable`; `Unreadable` for an answer that was cut.
    async fn markers(&self, via: &dyn Transport, dirs: &[&Path]) -> Result<Markers> {
        claim::markers(via, dirs).await
    }

    /// Fences off a submission whose outcome stays unclear, when the user has decided to submit anew.
    ///
    /// # Errors
    /// `Unreachable`; `Unreadable` where the mark can't be left.
    async fn fence(&self, via: &dyn Transport, job: &Submission) -> Result<Fenced> {
        claim::fence(via, job).await
    }

    /// Which of these jobs, that ended before their script began, the scheduler gave up by itself, as after a crash
    /// of its controller: nobody wished for their end, and they may be submitted anew. A host that does not answer
    /// knows of none.
    async fn given_up(&self, via: &dyn Transport, jobs: &[JobRef]) -> BTreeSet<JobRef> {
        let _ = (via, jobs);
        BTreeSet::new()
    }

    /// Ends jobs; one result for each, in order. A job that is gone already is fine.
    async fn cancel(&self, via: &dyn Transport, jobs: &[JobRef]) -> Vec<Result<()>>;

    /// Lists this user's jobs, as `computer test` does; the number of them.
    async fn list(&self, via: &dyn Transport) -> Result<usize>;
}

/// The error of a scheduler that has no name for its queue.
fn nameless() -> Error {
    Error::new(ErrorKind::Permanent, "queue key").message("this scheduler does not name its queue")
}
