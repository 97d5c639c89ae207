//! Command-line schedulers: a pure [`Dialect`] says the words, [`CliScheduler`] does the I/O.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    time::Duration,
};

use async_trait::async_trait;

use super::{
    Capabilities, Error, ErrorKind, JobId, JobRef, JobState, JobStatus, JobTemplate, Listed, QueueKey,
    Recovery, Result, Scheduler, Submission, Survey,
    claim::{self, Answer, Found},
    nameless,
    template::script,
};
use crate::{
    error::Effect,
    transport::{Command, Output, Transport},
};

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

/// The words of a command-line scheduler. Pure: builds commands and reads their output.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// What the scheduler can do.
    fn capabilities(&self) -> Capabilities;

    /// The scheduler's own lines of the job script, before those of the user.
    ///
    /// # Errors
    /// `Permanent` for what it can't express, and for directives of the user that would make more or less than one job.
    fn header(&self, job: &JobTemplate) -> Result<Vec<String>>;

    /// Shell text, part of the job script, that sets `ferry_job` to the job's id and `ferry_restart` to how
    /// often the scheduler started it again. Must not print.
    fn identity(&self) -> &'static str;

    /// Shell text, part of the job script once its gate is taken, that keeps limits which the scheduler does not keep.
    /// A child that it leaves in the background is named by `ferry_guard`, and ended with the script.
    fn guard(&self, job: &JobTemplate) -> Vec<String> {
        let _ = job;
        Vec::new()
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

    /// Shell text that submits the job, run by the wrapper in the work directory with the token as `$1`.
    /// Its output and exit status are recorded, and read by [`Dialect::parse_submit`].
    fn submit_text(&self, job: &Submission) -> String;

    /// Reads a recorded answer. An id beside a non-zero status counts.
    ///
    /// # Errors
    /// `Permanent`, `Busy`, or `Ambiguous` when the job may be in all the same.
    fn parse_submit(&self, recorded: &Recorded) -> Result<JobId>;

    /// A command that looks for a token among the scheduler's jobs.
    fn find_command(&self, job: &Submission) -> Command;

    /// Reads its output.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`; never `Absent` from a failed command.
    fn parse_find(&self, job: &Submission, output: &Output) -> Result<Listing>;

    /// How long after the first look a second one must confirm an absence.
    fn grace(&self) -> Duration;

    /// One command that asks for the state of all these jobs.
    fn status_command(&self, jobs: &[JobRef]) -> Command;

    /// Reads its output; a job without an entry is absent.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`; a failed listing is never an empty queue.
    fn parse_status(&self, jobs: &[JobRef], output: &Output) -> Result<BTreeMap<JobRef, JobStatus>>;

    /// One command that lists all jobs of this user, ended ones as far as the scheduler remembers them;
    /// `None` where jobs can't be told apart from anything else.
    fn survey_command(&self) -> Option<Command> {
        None
    }

    /// Reads its output.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`; a failed listing is never an empty queue.
    fn parse_survey(&self, output: &Output) -> Result<Vec<Listed>> {
        let _ = output;
        Ok(Vec::new())
    }

    /// One command that asks what became of jobs that no listing shows any more; `None` where nobody remembers.
    fn history_command(&self, jobs: &[JobRef]) -> Option<Command> {
        let _ = jobs;
        None
    }

    /// Reads its output: only jobs that are known to have ended. What can't be read is no entry, since this
    /// only adds to a listing that has answered.
    fn parse_history(&self, jobs: &[JobRef], output: &Output) -> BTreeMap<JobRef, JobStatus> {
        let _ = (jobs, output);
        BTreeMap::new()
    }

    /// One command that asks which of these jobs, that ended before their script began, the scheduler gave up by
    /// itself; `None` where it never does so.
    fn given_up_command(&self, jobs: &[JobRef]) -> Option<Command> {
        let _ = jobs;
        None
    }

    /// Reads its output. What can't be read is none of them.
    fn parse_given_up(&self, jobs: &[JobRef], output: &Output) -> BTreeSet<JobRef> {
        let _ = (jobs, output);
        BTreeSet::new()
    }

    /// One command that ends all these jobs.
    fn cancel_command(&self, jobs: &[JobRef]) -> Command;

    /// Reads its output: one result for each job, in order.
    fn parse_cancel(&self, jobs: &[JobRef], output: &Output) -> Vec<Result<()>>;

    /// A command that lists this user's jobs.
    fn list_command(&self) -> Command;

    /// Reads its output: how many there are.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`.
    fn parse_list(&self, output: &Output) -> Result<usize>;
}

/// A [`Scheduler`] made of a [`Dialect`] and the claim protocol.
#[derive(Debug, Clone, Default)]
pub struct CliScheduler<D> {
    dialect: D,
}

impl<D: Dialect> CliScheduler<D> {
    /// Speaks this dialect.
    pub fn new(dialect: D) -> Self {
        CliScheduler { dialect }
    }

    fn submitted(&self, answer: &Answer) -> Result<JobId> {
        match answer {
            Answer::Runs(id) => Ok(id.clone()),
            Answer::Recorded(recorded) => self.dialect.parse_submit(recorded),
            Answer::Nothing => Err(ambiguous("the submission recorded no answer")),
            Answer::NoSentinel => Err(ambiguous("the work directory or its sentinel is missing")),
        }
    }

    /// The claim is taken, no copy runs, and no answer is recorded or none that tells: asks the scheduler,
    /// twice. `has_ended`: the wrapper is known to have come to its end.
    async fn ask_by_token(&self, via: &dyn Transport, job: &Submission, has_ended: bool) -> Result<Recovery> {
        let command = self.dialect.find_command(job);
        for look in 0..2 {
            let output = via.exec(&command).await.map_err(|error| claim::unreachable("recover", error))?;
            match self.dialect.parse_find(job, &output)? {
                Listing::Job(id) => return Ok(Recovery::Found(id)),
                Listing::Busy(reason) | Listing::Blind(reason) => return Ok(Recovery::Unclear(reason)),
                Listing::Absent if look == 0 && !has_ended => {
                    return Ok(Recovery::Unclear("the submission may still be under way".into()));
                }
                Listing::Absent => {}
            }
            // A copy may have taken the gate meanwhile.
            match claim::investigate(via, job).await? {
                Found::Owner(id) => return Ok(Recovery::Found(id)),
                Found::Recorded(recorded) => {
                    if let Some(recovery) = self.read_record(&recorded) {
                        return Ok(recovery);
                    }
                }
                Found::Missing => return Ok(missing(job)),
                Found::Unclaimed(reason) => return Ok(unclaimed(&reason)),
                Found::Claimed | Found::Claim { .. } => {}
            }
            if look == 0 {
                tokio::time::sleep(self.dialect.grace()).await;
            }
        }
        if !job.proven && !self.dialect.capabilities().listing_is_authoritative {
            return Ok(Recovery::Unclear(UNPROVEN.into()));
        }
        claim::seal(via, job).await?;
        Ok(Recovery::NeverSubmitted)
    }

    /// A find that sees wrappers (an authoritative listing) has just not seen this one; any other must wait
    /// until the wrapper's deadline is past.
    fn wrapper_is_dead(&self, age: Duration, elsewhere: Option<&str>) -> bool {
        (self.dialect.capabilities().listing_is_authoritative && elsewhere.is_none())
            || age > claim::WRAPPER_DEADLINE + Duration::from_secs(10)
    }

    /// What a recorded answer settles; `None` if it leaves the truth open.
    fn read_record(&self, recorded: &Recorded) -> Option<Recovery> {
        match self.dialect.parse_submit(recorded) {
            Ok(id) => Some(Recovery::Found(id)),
            Err(error) if error.effect() == Effect::None => Some(Recovery::NeverSubmitted),
            Err(_) => None,
        }
    }

    /// Adds the ends of jobs that the listing lacks.
    async fn add_history(
        &self,
        via: &dyn Transport,
        jobs: &[JobRef],
        mut listed: BTreeMap<JobRef, JobStatus>,
    ) -> BTreeMap<JobRef, JobStatus> {
        let absent: Vec<JobRef> = jobs.iter().filter(|job| !listed.contains_key(job)).cloned().collect();
        let command = if absent.is_empty() { None } else { self.dialect.history_command(&absent) };
        if let Some(command) = command
            && let Ok(output) = via.exec(&command).await
        {
            listed.extend(self.dialect.parse_history(&absent, &output));
        }
        listed
    }
}

/// Why two listings without the job are not enough.
const UNPROVEN: &str = "the scheduler does not list it, but this computer was not seen yet to share work directories \
                        with its jobs and to keep their names: `ferry computer test --job` shows that";

fn missing(job: &Submission) -> Recovery {
    Recovery::Unclear(format!("the work directory {} or its sentinel is missing", job.dir.display()))
}

fn unclaimed(reason: &str) -> Recovery {
    Recovery::Unclear(format!("the work directory takes no mark of ours: {reason}"))
}

fn ambiguous(message: &str) -> Error {
    Error::new(ErrorKind::Ambiguous, "submit").message(message).later().effect_unknown()
}

#[async_trait]
impl<D: Dialect> Scheduler for CliScheduler<D> {
    fn capabilities(&self) -> Capabilities {
        self.dialect.capabilities()
    }

    fn script(&self, job: &JobTemplate) -> Result<String> {
        let dialect = &self.dialect;
        let directives = dialect.capabilities().directives;
        Ok(script(job, &dialect.header(job)?, &directives, dialect.identity(), &dialect.guard(job)))
    }

    async fn queue_key(&self, via: &dyn Transport) -> Result<QueueKey> {
        let command = self.dialect.queue_key_command().ok_or_else(nameless)?;
        let output = via.exec(&command).await.map_err(|error| claim::unreachable("queue key", error))?;
        self.dialect.parse_queue_key(&output)
    }

    async fn submit(&self, via: &dyn Transport, jobs: &[Submission]) -> Vec<Result<JobId>> {
        let mut results = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(claim::BATCH) {
            let texts: Vec<_> = batch.iter().map(|job| (job, self.dialect.submit_text(job))).collect();
            match via.exec(&claim::submit_command(&texts)).await {
                Ok(output) => {
                    let answers = claim::parse_submit(&output.text(), batch.len());
                    results.extend(answers.iter().map(|answer| self.submitted(answer)));
                }
                // Whether anything of it was sent can't be told from here: the markers will.
                Err(error) => {
                    let text = error.to_string();
                    results.extend(batch.iter().map(|_| Err(ambiguous(&text))));
                }
            }
        }
        results
    }

    async fn recover(&self, via: &dyn Transport, job: &Submission) -> Result<Recovery> {
        match claim::investigate(via, job).await? {
            Found::Owner(id) => Ok(Recovery::Found(id)),
            Found::Claimed => Ok(Recovery::NeverSubmitted),
            Found::Recorded(recorded) => match self.read_record(&recorded) {
                Some(recovery) => Ok(recovery),
                None => self.ask_by_token(via, job, true).await,
            },
            Found::Missing => Ok(missing(job)),
            Found::Unclaimed(reason) => Ok(unclaimed(&reason)),
            Found::Claim { age, elsewhere } => {
                let is_dead = self.wrapper_is_dead(age, elsewhere.as_deref());
                self.ask_by_token(via, job, is_dead).await
            }
        }
    }

    async fn status(&self, via: &dyn Transport, jobs: &[JobRef]) -> Result<BTreeMap<JobRef, JobStatus>> {
        if jobs.is_empty() {
            return Ok(BTreeMap::new());
        }
        let command = self.dialect.status_command(jobs);
        let output = via.exec(&command).await.map_err(|error| claim::unreachable("status", error))?;
        let listed = self.dialect.parse_status(jobs, &output)?;
        Ok(self.add_history(via, jobs, listed).await)
    }

    async fn survey(&self, via: &dyn Transport, jobs: &[JobRef], tokens: &HashSet<String>) -> Result<Survey> {
        let Some(command) = self.dialect.survey_command() else {
            return Ok(Survey { jobs: self.status(via, jobs).await?, ..Survey::default() });
        };
        let output = via.exec(&command).await.map_err(|error| claim::unreachable("survey", error))?;
        let mut survey = Survey::default();
        let wanted: BTreeSet<&JobRef> = jobs.iter().collect();
        for listed in self.dialect.parse_survey(&output)? {
            if tokens.contains(&listed.name) {
                // Ids are forgotten and reused: only the same token is the same job.
                let job = JobRef { id: listed.id, token: listed.name };
                if wanted.contains(&job) {
                    survey.jobs.insert(job, listed.status);
                }
                continue;
            }
            let state = listed.status.state;
            survey.foreign_queued += u32::from(matches!(state, JobState::Pending | JobState::Held));
            survey.foreign_active += u32::from(state != JobState::Done);
        }
        survey.jobs = self.add_history(via, jobs, survey.jobs).await;
        Ok(survey)
    }

    async fn given_up(&self, via: &dyn Transport, jobs: &[JobRef]) -> BTreeSet<JobRef> {
        let command = if jobs.is_empty() { None } else { self.dialect.given_up_command(jobs) };
        match command {
            Some(command) => via
                .exec(&command)
                .await
                .map_or_else(|_| BTreeSet::new(), |output| self.dialect.parse_given_up(jobs, &output)),
            None => BTreeSet::new(),
        }
    }

    async fn cancel(&self, via: &dyn Transport, jobs: &[JobRef]) -> Vec<Result<()>> {
        if jobs.is_empty() {
            return Vec::new();
        }
        match via.exec(&self.dialect.cancel_command(jobs)).await {
            Ok(output) => self.dialect.parse_cancel(jobs, &output),
            Err(error) => {
                let text = error.to_string();
                let failed = || Error::new(ErrorKind::Unreachable, "cancel").message(text.clone()).later();
                jobs.iter().map(|_| Err(failed())).collect()
            }
        }
    }

    async fn list(&self, via: &dyn Transport) -> Result<usize> {
        let output = via
            .exec(&self.dialect.list_command())
            .await
            .map_err(|error| claim::unreachable("list", error))?;
        self.dialect.parse_list(&output)
    }
}
