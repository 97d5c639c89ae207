//! Who runs jobs on a computer: the [`Scheduler`] trait, and for command-line schedulers the pure
//! [`Dialect`] that [`CliScheduler`] drives through the claim protocol.
//!
//! A [`Dialect`] builds commands and reads their output; it runs nothing. The promise "a job runs exactly
//! once" is kept in one place, `claim.rs`, for all of them.

mod claim;
mod cli;
mod dialect;
mod failure;
mod header;
mod job;
mod job_script;
mod limits;
mod login;
mod machine;
mod refusals;
mod resources;
mod template;
mod watch;
mod witness;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use claim::WRAPPER_DEADLINE;
pub use claim::{Fenced, Marker, Markers, fence, markers};
pub use cli::CliScheduler;
pub use dialect::{Dialect, Header, Listing, Query, Queue, Recorded};
pub use failure::JobFailure;
pub use header::unread_of_job;
pub use header::{Directives, Texts};
pub use job::{JobId, JobRef};
pub use job_script::{script, without_login};
pub use limits::Bucket;
pub use limits::{Bounds, Limits, Rate, Usage};
pub use login::starts_by_login;
pub use machine::{Capacity, Cores, Demand, GPU_VARIABLES, InUse, Lack, Machine, gpu_environment};
pub use refusals::{Refusal, Refusals};
pub use resources::{ResourceKey, ResourceKind};
pub use template::{CommandLine, JobTemplate, Resources};
pub use watch::WatchEnd;

use crate::{error, transport::Transport};

/// Kinds of scheduler error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bad partition, account, resources or settings: the job fails at once, with the scheduler's words.
    Permanent,
    /// Not now, for a reason of this job or of the moment: it waits alone, and costs no attempt. Like the next two with
    /// an unknown effect, it was cut off while it tried again by itself, and is looked up first.
    Busy,
    /// The queue has as many jobs as it takes: back-pressure on all who want to submit to it, costs no attempt.
    Full,
    /// A limit on the number of jobs of some account, partition or quality of service is reached: those with the same
    /// ones wait, others do not. Costs no attempt.
    Quota,
    /// The request may have been taken: look it up, never repeat it blindly.
    Ambiguous,
    /// The host or the scheduler's daemon can't be reached: not the job's fault.
    Unreachable,
    /// The scheduler refused in words that nobody here knows: look it up, try it a few times, then ask a person.
    Unrecognized,
    /// The scheduler answered in a way that we can't read.
    Unreadable,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Permanent => "refused by the scheduler",
            ErrorKind::Busy => "the scheduler is busy",
            ErrorKind::Full => "the queue is full",
            ErrorKind::Quota => "a limit on the number of jobs is reached",
            ErrorKind::Ambiguous => "outcome unknown",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Unrecognized => "refused in unknown words",
            ErrorKind::Unreadable => "unreadable answer",
        })
    }
}

/// A scheduler's error.
pub type Error = error::Error<ErrorKind>;
/// A scheduler's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A submission try: what must be on disk before anything is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Fresh for every try; the end of the job's name, and part of its comment. Only `[0-9a-z-]`.
    pub token: String,
    /// For people: what the job's name begins with. Empty in what was stored before there were such names.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
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
    #[serde(default, skip_serializing_if = "is_default")]
    pub rerunnable: bool,
    /// What the submit command needs beside the script.
    #[serde(default, skip_serializing_if = "is_default")]
    pub extras: Extras,
    /// The cluster that the scheduler's commands spoke to when this was written; jobs whose id names no cluster are
    /// there. `None`: not known, or the scheduler has no clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Jobs of earlier tries, in what is left to be cancelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<JobRef>,
    /// Variables that are set for the job beside those of its script: what it was given of the machine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Whether a login shell submits it; `None`: as the scheduler and the way to its computer want it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_shell: Option<bool>,
    /// A test job has shown that jobs of this computer see its directory and keep their names, so that what two
    /// listings do not show was never submitted. Looked up anew for each recovery.
    #[serde(skip)]
    pub proven: bool,
}

impl Submission {
    /// The job that this submission brought about, to ask about it.
    pub fn job(&self, id: JobId) -> JobRef {
        JobRef { id, token: self.token.clone(), dir: self.dir.clone() }
    }

    /// What is known of a submission when only its job is: enough to ask about it and to cancel it.
    pub fn of_job(job: &JobRef) -> Submission {
        Submission { token: job.token.clone(), dir: job.dir.clone(), ..Submission::default() }
    }

    /// The job's name: the label, then the whole token, so that both people and recovery can tell it.
    pub fn name(&self) -> String {
        if self.label.is_empty() { self.token.clone() } else { format!("{}-{}", self.label, self.token) }
    }
}

/// What a submit command needs beside the script. Made with the script, and kept with the intent to submit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    /// The comment that the user's own lines set; ours is appended to it.
    pub comment: String,
    /// Clusters that the user's own lines name: where the job may be after a lost answer.
    pub clusters: Vec<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A job script, and what its submission needs beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobScript {
    /// The script.
    pub text: String,
    /// See there.
    pub extras: Extras,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Its script has ended, and processes that it started have not. They are to be ended.
    Left,
    /// Ended, one way or another.
    Done,
    /// A word that we don't know, or no answer about it.
    #[default]
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
            JobState::Left => "ending",
            JobState::Done => "done",
            JobState::Unknown => "unknown",
        }
    }
}

/// What a scheduler says about a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobStatus {
    /// In our words.
    pub state: JobState,
    /// In the scheduler's words.
    pub raw: String,
    /// Why it waits, if it says.
    pub reason: Option<String>,
    /// Why it failed, if it says.
    pub failure: Option<JobFailure>,
    /// What a person can do about a job that waits for one.
    pub advice: Option<&'static str>,
    /// Whether the scheduler says that its script came to its end with exit status 0.
    pub is_completed: bool,
}

/// One job of this user, whoever submitted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: JobId,
    /// Its name; ours bear their token, unless somebody has renamed them.
    pub name: String,
    /// Its comment, likewise; empty if it has none.
    pub comment: String,
    /// Its work directory, if the scheduler shows it.
    pub dir: Option<PathBuf>,
    /// What the scheduler says about it.
    pub status: JobStatus,
}

/// What a listing of one cluster's queue shows: the state of our jobs there, and how many others this user has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// Those of the jobs asked about that the scheduler still knows.
    pub jobs: BTreeMap<JobRef, JobStatus>,
    /// Whether a job without an entry is absent. Otherwise the listing says nothing about it.
    pub proves_absence: bool,
    /// What the scheduler's command complained of, beside an answer that counts.
    pub notices: Vec<String>,
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

/// What the scheduler says when it is asked about one job by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// The id is still our job's.
    Ours(JobStatus),
    /// The id is another job's now: ours has ended and was forgotten.
    Reused,
    /// The scheduler knows no job of this id.
    Gone,
}

impl Presence {
    /// Whether the job is known to be over, or was never there.
    pub fn is_over(&self) -> bool {
        match self {
            Presence::Ours(status) => status.state == JobState::Done,
            Presence::Reused | Presence::Gone => true,
        }
    }
}

/// What became of a job that was cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// It is over, as the scheduler itself says.
    Over,
    /// The scheduler was told to end it, and it has not ended yet. Its present state, in the scheduler's words.
    Ending(String),
}

/// What a scheduler can do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Capabilities {
    /// Jobs may wait in the queue.
    pub has_queue: bool,
    /// A listing that answers is the truth of this moment, so a job it lacks has ended.
    pub listing_is_authoritative: bool,
    /// Ids may name a cluster, see [`JobId`].
    pub has_clusters: bool,
    /// Jobs run on the host that answers, beside each other: no more of them run than fit there.
    pub shares_host: bool,
    /// Shortest sensible time between two listings.
    pub poll_floor: Duration,
    /// Its jobs tell of their ends, so that [`Scheduler::watch`] waits for them; a listing costs nobody else anything.
    pub tells_of_ends: bool,
    /// Lines of a job script that it reads as orders.
    pub directives: Directives,
    /// What a job may ask for in `resources` beside machines, processes and cores.
    pub resources: &'static [ResourceKey],
}

/// Whether an error is the trouble of the link to the host, and not of its scheduler.
pub fn is_of_link(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<crate::transport::Error>())
}

/// Jobs by their cluster, in the order of ids.
pub fn by_cluster(jobs: &[JobRef]) -> BTreeMap<Option<&str>, Vec<JobRef>> {
    let mut clusters = BTreeMap::<_, Vec<_>>::new();
    for job in jobs {
        clusters.entry(job.id.cluster()).or_default().push(job.clone());
    }
    clusters
}

/// Runs jobs on one computer. Object-safe; the transport is an argument, so it holds no connection.
#[async_trait]
pub trait Scheduler: fmt::Debug + Send + Sync + 'static {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The job script for a template, start gate and exit marker included, and what its submission needs beside it.
    ///
    /// # Errors
    /// `Permanent` for resources or options that it can't express.
    fn script(&self, job: &JobTemplate) -> Result<JobScript>;

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

    /// Asks the host what its machine has, where jobs share it ([`Capabilities::shares_host`]). By default nothing is
    /// known of it, and nothing bounds them.
    ///
    /// # Errors
    /// As [`Scheduler::queue_key`].
    ///
    /// # Cancel safety
    /// It only reads.
    async fn machine(&self, via: &dyn Transport) -> Result<Machine> {
        let _ = via;
        Ok(Machine::default())
    }

    /// Submits jobs, at most `at_once` of them at the same time; one result for each, in order. The claim protocol runs
    /// around each, so a job whose result is `Ambiguous` or `Unreachable` must go through [`Scheduler::recover`]
    /// before anything else.
    ///
    /// # Cancel safety
    /// A dropped call may have submitted: treat it as `Ambiguous`.
    async fn submit(&self, via: &dyn Transport, jobs: &[Submission], at_once: usize) -> Vec<Result<JobId>>;

    /// Answers "did that submission happen, and can it still?". Idempotent; may take the claim itself.
    async fn recover(&self, via: &dyn Transport, job: &Submission) -> Result<Recovery>;

    /// Lists this user's jobs in one cluster (`None`: the home cluster), in one request: the state of `jobs`, which
    /// are in that cluster, and a count of those that bear none of `tokens`. Where there is no queue, nobody else
    /// counts.
    ///
    /// A job is known by its id beside a witness (see [`JobRef`]): of two jobs that were given the same id, at most
    /// one has an entry. A job without one is *absent*, if the listing proves absence; that is not the same as done:
    /// read its marker.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`; a failed listing is never an empty queue.
    async fn survey(
        &self,
        via: &dyn Transport,
        cluster: Option<&str>,
        jobs: &[JobRef],
        tokens: &HashSet<String>,
    ) -> Result<Survey>;

    /// The state of jobs in any cluster, by one [`Scheduler::survey`] for each.
    ///
    /// # Errors
    /// As there, if any of them fails.
    async fn status(&self, via: &dyn Transport, jobs: &[JobRef]) -> Result<BTreeMap<JobRef, JobStatus>> {
        let mut states = BTreeMap::new();
        for (cluster, jobs) in by_cluster(jobs) {
            states.extend(self.survey(via, cluster, &jobs, &HashSet::new()).await?.jobs);
        }
        Ok(states)
    }

    /// Waits until one of these jobs may have ended, or some other that was submitted meanwhile; or for half a minute.
    /// Needs a session for itself, and is refused where there is none to spare. By default nobody tells of ends.
    ///
    /// # Errors
    /// The transport's. No reason to doubt the computer: looking at the jobs goes on as before.
    ///
    /// # Cancel safety
    /// It changes nothing but its own name on the computer, which counts for nothing once it has ended.
    async fn watch(&self, via: &dyn Transport, jobs: &[JobRef]) -> Result<WatchEnd> {
        let _ = (via, jobs);
        Ok(WatchEnd::Unable)
    }

    /// Asks about each job by its id; one result for each, in order. Surer than a listing, and dearer: for jobs that
    /// are about to be submitted anew, called killed or given up.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`: nothing is known.
    async fn ask(&self, via: &dyn Transport, jobs: &[JobRef]) -> Vec<Result<Presence>>;

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

    /// Ends jobs; one result for each, in order. A job that is over already is fine, and one whose id is another's
    /// now is left alone. Repeat it until the job is over: only then may it be called killed.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable` if nothing is known; the scheduler's refusal to end it.
    async fn cancel(&self, via: &dyn Transport, jobs: &[JobRef]) -> Vec<Result<Cancelled>>;

    /// Lists this user's jobs, as `computer test` does; the number of them.
    async fn list(&self, via: &dyn Transport) -> Result<usize>;
}

/// The error of a scheduler that has no name for its queue.
fn nameless() -> Error {
    Error::new(ErrorKind::Permanent, "queue key").message("this scheduler does not name its queue")
}
