//! Running jobs on a computer: the [`Scheduler`] trait, and for command-line schedulers the pure [`Dialect`] that
//! [`CliScheduler`] drives through the claim protocol.
//!
//! A [`Dialect`] builds commands and reads their output; it runs nothing. The promise "a job runs exactly once" is
//! kept in one place for all of them, `claim.rs`.

mod allocation;
mod claim;
mod cli;
mod dialect;
mod factory;
mod failure;
mod header;
mod job;
mod job_script;
mod limits;
mod login;
mod machine;
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

pub use crate::computer::{Cores, Refusal, Refusals};
pub use allocation::Allocation;
pub use claim::WRAPPER_DEADLINE;
pub use claim::{Fenced, Marker, Markers, fence, markers};
pub use cli::CliScheduler;
pub use dialect::{Dialect, Header, Listing, Query, Queue, Recorded};
pub use factory::{Factory, Ready, Schedulers, setting};
pub use failure::JobFailure;
pub use header::unread_of_job;
pub use header::{Directives, Texts};
pub use job::{JobId, JobRef};
pub use job_script::{script, without_login};
pub use limits::Bucket;
pub use limits::{Bounds, Limits, Rate, Usage};
pub use login::starts_by_login;
pub use machine::{Capacity, Demand, GPU_VARIABLES, InUse, Lack, Machine, gpu_environment};
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
    /// The account does not exist, or may not be used there: likewise.
    InvalidAccount,
    /// Not now, for a reason of this job or of the moment. The job waits alone, and it costs no attempt. If its
    /// effect is unknown, the submission was cut off while the scheduler's client retried: look it up first. The
    /// same holds for the next two.
    Busy,
    /// The queue has as many jobs as it takes. All submissions to it wait; it costs no attempt.
    Full,
    /// A limit on the number of jobs of some account, partition or quality of service is reached. Jobs with the
    /// same ones wait, others do not. It costs no attempt.
    Quota,
    /// The request may have been accepted: look it up, never repeat it blindly.
    Ambiguous,
    /// The host or the scheduler's daemon can't be reached: not the job's fault.
    Unreachable,
    /// The scheduler refused with an unknown message: look it up, try it a few times, then ask a person.
    Unrecognized,
    /// The scheduler's answer can't be read.
    Unreadable,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Permanent => "refused by the scheduler",
            ErrorKind::InvalidAccount => "account refused by the scheduler",
            ErrorKind::Busy => "the scheduler is busy",
            ErrorKind::Full => "the queue is full",
            ErrorKind::Quota => "a limit on the number of jobs is reached",
            ErrorKind::Ambiguous => "outcome unknown",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Unrecognized => "refused with an unknown message",
            ErrorKind::Unreadable => "unreadable answer",
        })
    }
}

/// A scheduler's error.
pub type Error = error::Error<ErrorKind>;
/// A scheduler's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A submission attempt: what must be on disk before anything is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Fresh for every attempt ([`ids::token`](crate::ids::token)); the end of the job's name, and part of its
    /// comment. Only `[0-9a-z-]`: a letter and 14 letters or digits, or a uuid in what was stored before.
    pub token: String,
    /// The beginning of the job's name, for people. Empty in what was stored before there were such names.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Absolute work directory, published by the upload.
    pub dir: PathBuf,
    /// Name of the job script in it.
    pub script: String,
    /// The text that the sentinel in the directory must have.
    pub digest: String,
    /// The interpreter of the script, from its first line.
    pub interpreter: Vec<String>,
    /// Names of the files for the script's standard output and error.
    pub stdout: String,
    /// See `stdout`.
    pub stderr: String,
    /// True if the scheduler may start the job again without a new submission.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rerunnable: bool,
    /// Input of the submit command beside the script.
    #[serde(default, skip_serializing_if = "is_default")]
    pub extras: Extras,
    /// The cluster that the scheduler's commands addressed when this was written. Jobs whose id names no cluster
    /// are there. `None`: not known, or the scheduler has no clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Jobs of earlier attempts, in a submission that is left to be cancelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<JobRef>,
    /// Variables that are set for the job beside those of its script: its share of the machine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// True if a login shell submits it; `None`: as the scheduler and the transport prefer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_shell: Option<bool>,
    /// True if a test job has shown that jobs of this computer see its directory and keep their names. Then a job
    /// that two listings do not show was never submitted. Looked up again for each recovery.
    #[serde(skip)]
    pub proven: bool,
    /// The allocations in which ferry itself may run, which the submission leaves first
    /// ([`Schedulers::allocations`]).
    #[serde(skip)]
    pub allocations: Vec<Allocation>,
}

impl Submission {
    /// Returns the job that this submission created, to ask about it.
    pub fn job(&self, id: JobId) -> JobRef {
        JobRef { id, token: self.token.clone(), dir: self.dir.clone() }
    }

    /// Makes a submission of which only the job is known: enough to ask about it and to cancel it.
    pub fn of_job(job: &JobRef) -> Submission {
        Submission { token: job.token.clone(), dir: job.dir.clone(), ..Submission::default() }
    }

    /// Returns the job's name: the label, then the whole token, so that both people and recovery can identify it.
    pub fn name(&self) -> String {
        if self.label.is_empty() { self.token.clone() } else { format!("{}-{}", self.label, self.token) }
    }
}

/// Input of a submit command beside the script. Made with the script, and kept with the intent to submit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    /// The comment that the user's own lines set; ours is appended to it.
    pub comment: String,
    /// Clusters that the user's own lines name. After a lost answer, the job may be in any of them.
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
    /// The input of the submit command beside it.
    pub extras: Extras,
}

/// The result of recovering a submission whose outcome was not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// It happened; this is the job.
    Found(JobId),
    /// It did not happen and can't happen any more.
    NeverSubmitted,
    /// The truth can't be known yet; ask again later.
    Unclear(String),
}

/// The state of a job, in the field's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// The job waits for resources.
    Pending,
    /// The job waits for a person.
    Held,
    /// The job runs.
    Running,
    /// The job is stopped for a while.
    Suspended,
    /// The job's script has ended, but processes that it started have not. They are to be ended.
    Left,
    /// The job has ended, one way or another.
    Done,
    /// The scheduler's word is unknown, or it did not answer about the job.
    #[default]
    Unknown,
}

impl JobState {
    /// Returns the word for it.
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

/// The scheduler's answer about a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobStatus {
    /// The state, in ferry's words.
    pub state: JobState,
    /// The state, in the scheduler's words.
    pub raw: String,
    /// The reason why it waits, if the scheduler says.
    pub reason: Option<String>,
    /// The reason why it failed, if the scheduler says.
    pub failure: Option<JobFailure>,
    /// Advice to the user about a job that waits for a person.
    pub advice: Option<&'static str>,
    /// True if the scheduler says that its script ended with exit status 0.
    pub is_completed: bool,
}

/// One job of this user, ours or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: JobId,
    /// Its name; ours bear their token, unless a user or a site has renamed them.
    pub name: String,
    /// Its comment, likewise; empty if it has none.
    pub comment: String,
    /// Its work directory, if the scheduler shows it.
    pub dir: Option<PathBuf>,
    /// The scheduler's answer about it.
    pub status: JobStatus,
}

/// The result of listing one cluster's queue: the state of our jobs there, and the number of others that this user
/// has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// The jobs asked about that the scheduler still knows.
    pub jobs: BTreeMap<JobRef, JobStatus>,
    /// True if a job without an entry is absent. Otherwise the listing says nothing about it.
    pub proves_absence: bool,
    /// Complaints of the scheduler's command, beside an answer that counts.
    pub notices: Vec<String>,
    /// Pending jobs that bear none of our tokens.
    pub foreign_queued: u32,
    /// Pending or running jobs that bear none of our tokens.
    pub foreign_active: u32,
}

/// The name of a queue as its own host gives it, for one user of it. Computers with the same key share a queue,
/// and so its limits, whatever their labels and addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueKey {
    /// The scheduler's own name for it, such as Slurm's `ClusterName`; without a scheduler, the id of the host's
    /// boot.
    pub queue: String,
    /// The user's number there.
    pub uid: u32,
}

impl fmt::Display for QueueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, uid {}", self.queue, self.uid)
    }
}

/// The scheduler's answer about one job that it was asked for by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// The id is still our job's.
    Ours(JobStatus),
    /// The id belongs to another job now: ours has ended and was forgotten.
    Reused,
    /// The scheduler knows no job of this id.
    Gone,
}

impl Presence {
    /// Returns whether the job is known to be over, or never existed.
    pub fn is_over(&self) -> bool {
        match self {
            Presence::Ours(status) => status.state == JobState::Done,
            Presence::Reused | Presence::Gone => true,
        }
    }
}

/// The result of cancelling a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// It is over, as the scheduler itself says.
    Over,
    /// The scheduler was told to end it, and it has not ended yet. Holds its present state, in the scheduler's
    /// words.
    Ending(String),
}

/// The features of a scheduler.
#[derive(Debug, Clone, Copy, Default)]
pub struct Capabilities {
    /// True if jobs may wait in the queue.
    pub has_queue: bool,
    /// True if a listing that answers is up to date, so that a job which it lacks has ended.
    pub listing_is_authoritative: bool,
    /// True if ids may name a cluster, see [`JobId`].
    pub has_clusters: bool,
    /// True if jobs run beside each other on the host that answers: no more of them run than fit there.
    pub shares_host: bool,
    /// Shortest sensible time between two listings.
    pub poll_floor: Duration,
    /// True if its jobs report their ends, so that [`Scheduler::watch`] can wait for them. A listing disturbs no
    /// other user.
    pub tells_of_ends: bool,
    /// True if a submission can give its script the token as an argument. Otherwise each submission gets a copy of
    /// the script, see [`Dialect`].
    pub passes_arguments: bool,
    /// Lines of a job script that it reads as directives.
    pub directives: Directives,
    /// Resources that a job may ask for in `resources` beside machines, processes and cores.
    pub resources: &'static [ResourceKey],
    /// Environment variables that its commands depend on. `ferry status` warns if one has changed since the daemon
    /// started.
    pub environment: &'static [&'static str],
}

/// Returns whether an error is one of the link to the host, and not of its scheduler.
pub fn is_of_link(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<crate::transport::Error>())
}

/// Groups jobs by their cluster, in the order of ids.
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
    /// Returns what it can do.
    fn capabilities(&self) -> Capabilities;

    /// Returns the job script for a template, start gate and exit marker included, and what its submission needs
    /// beside it.
    ///
    /// # Errors
    /// `Permanent` for resources or options that it can't express.
    fn script(&self, job: &JobTemplate) -> Result<JobScript>;

    /// Asks the host which queue a plain submission goes to, and as which user. The same queue answers with the
    /// same key over any connection, until the host is set up anew or, without a scheduler, rebooted. By default
    /// the key is not known.
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

    /// Asks the host for the resources of its machine, where jobs share it ([`Capabilities::shares_host`]). By
    /// default they are not known, and do not bound the jobs.
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

    /// Submits jobs, at most `at_once` of them at the same time; returns one result for each, in order. The claim
    /// protocol runs around each. A job whose result is `Ambiguous` or `Unreachable` must go through
    /// [`Scheduler::recover`] before anything else.
    ///
    /// # Cancel safety
    /// A dropped call may have submitted: treat it as `Ambiguous`.
    async fn submit(&self, via: &dyn Transport, jobs: &[Submission], at_once: usize) -> Vec<Result<JobId>>;

    /// Finds out whether that submission happened, and whether it still can. Idempotent; may take the claim
    /// itself.
    async fn recover(&self, via: &dyn Transport, job: &Submission) -> Result<Recovery>;

    /// Lists this user's jobs in one cluster (`None`: the home cluster), in one request. Returns the state of
    /// `jobs`, which are in that cluster, and a count of those that bear none of `tokens`. Where there is no
    /// queue, only our own jobs count.
    ///
    /// A job is identified by its id beside a witness (see [`JobRef`]). Of two jobs that were given the same id,
    /// at most one has an entry. A job without an entry is *absent*, if the listing proves absence. That is not
    /// the same as done: read its marker.
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

    /// Returns the state of jobs in any cluster, by one [`Scheduler::survey`] for each.
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

    /// Waits until one of these jobs, or some other that was submitted meanwhile, may have ended; at most half a
    /// minute. Needs a session of its own, and is refused where there is none to spare. By default ends can't be
    /// watched.
    ///
    /// # Errors
    /// The transport's. They are no reason to doubt the computer: looking at the jobs goes on as before.
    ///
    /// # Cancel safety
    /// It changes nothing but its own name on the computer, which has no effect once the watch has ended.
    async fn watch(&self, via: &dyn Transport, jobs: &[JobRef]) -> Result<WatchEnd> {
        let _ = (via, jobs);
        Ok(WatchEnd::Unable)
    }

    /// Asks about each job by its id; returns one result for each, in order. More reliable than a listing, and
    /// more expensive. Use it for jobs that are about to be submitted again, reported as killed or given up.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`: nothing is known.
    async fn ask(&self, via: &dyn Transport, jobs: &[JobRef]) -> Vec<Result<Presence>>;

    /// Reads the markers of work directories. A directory without an entry was not answered for.
    ///
    /// # Errors
    /// `Unreachable`; `Unreadable` for an answer that was cut.
    async fn markers(&self, via: &dyn Transport, dirs: &[&Path]) -> Result<Markers> {
        claim::markers(via, dirs).await
    }

    /// Fences off a submission whose outcome stays unclear, when the user has decided to submit again.
    ///
    /// # Errors
    /// `Unreachable`; `Unreadable` where the mark can't be left.
    async fn fence(&self, via: &dyn Transport, job: &Submission) -> Result<Fenced> {
        claim::fence(via, job).await
    }

    /// Returns the jobs that the scheduler itself cancelled before their script started, as after a crash of its
    /// controller. They may be submitted again. A host that does not answer yields none.
    async fn given_up(&self, via: &dyn Transport, jobs: &[JobRef]) -> BTreeSet<JobRef> {
        let _ = (via, jobs);
        BTreeSet::new()
    }

    /// Cancels jobs; returns one result for each, in order. A job that is over already is fine, and one whose id
    /// belongs to another job now is left alone. Repeat the call until the job is over: only then may it be
    /// reported as killed.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable` if nothing is known; the scheduler's refusal to cancel it.
    async fn cancel(&self, via: &dyn Transport, jobs: &[JobRef]) -> Vec<Result<Cancelled>>;

    /// Lists this user's jobs, as `computer test` does; returns the number of those that have not ended.
    async fn list(&self, via: &dyn Transport) -> Result<usize>;
}

/// Returns the error of a scheduler that has no name for its queue.
fn nameless() -> Error {
    Error::new(ErrorKind::Permanent, "queue key").message("this scheduler does not name its queue")
}
