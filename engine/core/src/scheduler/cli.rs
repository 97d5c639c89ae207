//! Command-line schedulers: a pure [`Dialect`] builds and reads the commands, [`CliScheduler`] does the I/O.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    Cancelled, Capabilities, Dialect, Error, ErrorKind, Header, JobId, JobRef, JobScript, JobState,
    JobStatus, JobTemplate, Listing, Machine, Presence, Query, Queue, QueueKey, Recorded, Recovery, Result,
    Scheduler, Submission, Survey, WatchEnd, by_cluster,
    claim::{self, Answer, Found, Walks},
    job_script::script,
    login::{Start, starts_by_login},
    nameless,
    witness::{Tokens, Wanted},
};
use crate::{
    error::Effect,
    transport::{self, Transport},
};

/// A [`Scheduler`] made of a [`Dialect`] and the claim protocol.
#[derive(Debug, Clone, Default)]
pub struct CliScheduler<D> {
    dialect: D,
}

impl<D: Dialect> CliScheduler<D> {
    /// Makes a scheduler of this dialect.
    pub fn new(dialect: D) -> Self {
        CliScheduler { dialect }
    }

    fn start<'a>(&self, via: &dyn Transport, jobs: &'a [Submission]) -> Start<'a> {
        let is_local = via.capabilities().is_local;
        let wish = jobs.iter().find_map(|job| job.login_shell);
        let is_login = starts_by_login(wish, &self.dialect.capabilities(), is_local);
        let allocations = jobs.first().map_or(&[][..], |job| &job.allocations);
        Start { is_login, is_local, allocations }
    }

    fn submitted(&self, answer: &Answer) -> Result<JobId> {
        match answer {
            Answer::Runs(id) => Ok(id.clone()),
            Answer::Recorded(recorded) => self.dialect.parse_submit(recorded),
            Answer::Nothing => Err(ambiguous("the submission recorded no answer")),
            Answer::NoSentinel => Err(ambiguous("the work directory or its sentinel is missing")),
        }
    }

    /// Finds out what markers and scheduler say about a submission.
    async fn look_up(&self, via: &dyn Transport, job: &Submission) -> Result<Recovery> {
        let claim::Investigated { found, clusters } = claim::investigate(via, job).await?;
        match found {
            Found::Owner(id) => Ok(Recovery::Found(id)),
            Found::Claimed => Ok(Recovery::NeverSubmitted),
            Found::Recorded(recorded) => match self.read_record(&recorded) {
                Some(recovery) => Ok(recovery),
                None => self.ask_by_token(via, job, true, &clusters).await,
            },
            Found::Missing => Ok(missing(job)),
            Found::Unclaimed(reason) => Ok(unclaimed(&reason)),
            Found::Claim { age, elsewhere } => {
                let is_dead = self.wrapper_is_dead(age, elsewhere.as_deref());
                self.ask_by_token(via, job, is_dead, &clusters).await
            }
        }
    }

    /// Asks the scheduler, twice, about a submission whose claim is taken. No copy runs, and no recorded answer
    /// settles it. `has_ended`: the wrapper is known to have ended.
    async fn ask_by_token(
        &self,
        via: &dyn Transport,
        job: &Submission,
        has_ended: bool,
        clusters: &[String],
    ) -> Result<Recovery> {
        for look in 0..2 {
            match self.find(via, job, clusters).await? {
                Listing::Job(id) => return Ok(Recovery::Found(id)),
                Listing::Busy(reason) | Listing::Blind(reason) => return Ok(Recovery::Unclear(reason)),
                Listing::Absent if look == 0 && !has_ended => {
                    return Ok(Recovery::Unclear("the submission may still be under way".into()));
                }
                Listing::Absent => {}
            }
            // A copy may have taken the gate meanwhile.
            match claim::investigate(via, job).await?.found {
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

    /// Looks for a token in every cluster that could have its job: the home cluster, those that the job's own
    /// lines name, and those that the wrapper's environment named.
    async fn find(&self, via: &dyn Transport, job: &Submission, clusters: &[String]) -> Result<Listing> {
        let named: BTreeSet<&str> = job.extras.clusters.iter().chain(clusters).map(String::as_str).collect();
        let home = job.home.as_deref();
        let others = named.into_iter().filter(|cluster| Some(*cluster) != home).map(Some);
        let mut unanswered = None;
        for cluster in std::iter::once(None).chain(others) {
            let command = self.dialect.find_command(job, cluster);
            let output = via.exec(&command).await.map_err(|error| claim::unreachable("recover", error))?;
            match self.dialect.parse_find(job, cluster, &output) {
                Ok(Listing::Absent) => {}
                Ok(found) => return Ok(found),
                // Another cluster may have it.
                Err(error) => unanswered = Some(error),
            }
        }
        unanswered.map_or(Ok(Listing::Absent), Err)
    }

    /// Returns whether a wrapper can no longer submit. An authoritative listing shows wrappers, and has just not
    /// shown this one. With any other, its deadline must have passed.
    fn wrapper_is_dead(&self, age: Duration, elsewhere: Option<&str>) -> bool {
        (self.dialect.capabilities().listing_is_authoritative && elsewhere.is_none())
            || age > claim::WRAPPER_DEADLINE + Duration::from_secs(10)
    }

    /// Returns what a recorded answer settles; `None` if it leaves the outcome open.
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
        query: &Query<'_>,
        mut listed: BTreeMap<JobRef, JobStatus>,
    ) -> BTreeMap<JobRef, JobStatus> {
        let absent: Vec<JobRef> =
            query.jobs.iter().filter(|job| !listed.contains_key(job)).cloned().collect();
        let command =
            if absent.is_empty() { None } else { self.dialect.history_command(query.cluster, &absent) };
        if let Some(command) = command
            && let Ok(output) = via.exec(&command).await
        {
            listed.extend(self.dialect.parse_history(&absent, &output));
        }
        listed
    }

    async fn queue(&self, via: &dyn Transport, operation: &'static str, query: &Query<'_>) -> Result<Queue> {
        let command = self.dialect.queue_command(query);
        let output = via.exec(&command).await.map_err(|error| claim::unreachable(operation, error))?;
        self.dialect.parse_queue(query, &output)
    }

    /// Asks the scheduler about jobs of one cluster, each by its id.
    async fn present(
        &self,
        via: &dyn Transport,
        cluster: Option<&str>,
        jobs: &[JobRef],
    ) -> Result<BTreeMap<JobRef, Presence>> {
        let queue = self.queue(via, "ask", &Query { cluster, jobs, by_id: true }).await?;
        let taken: BTreeSet<String> = queue.listed.iter().map(|one| one.id.number().to_owned()).collect();
        let ours = Wanted::new(jobs).states(queue.listed);
        let presence = |job: &JobRef| match ours.get(job) {
            Some(status) => Ok(Presence::Ours(status.clone())),
            None if taken.contains(job.id.number()) => Ok(Presence::Reused),
            None if queue.proves_absence => Ok(Presence::Gone),
            None => Err(Error::new(ErrorKind::Unreadable, "ask")
                .message(format!("the scheduler's answer about job {} can't be relied on", job.id))
                .later()),
        };
        jobs.iter().map(|job| Ok((job.clone(), presence(job)?))).collect()
    }

    /// Cancels those jobs of one cluster that are still alive, and looks again.
    async fn end(
        &self,
        via: &dyn Transport,
        cluster: Option<&str>,
        jobs: &[JobRef],
    ) -> Result<BTreeMap<JobRef, Result<Cancelled>>> {
        let before = self.present(via, cluster, jobs).await?;
        let alive: Vec<JobRef> =
            before.iter().filter(|(_, presence)| !presence.is_over()).map(|(job, _)| job.clone()).collect();
        let mut results: BTreeMap<JobRef, Result<Cancelled>> =
            jobs.iter().map(|job| (job.clone(), Ok(Cancelled::Over))).collect();
        if alive.is_empty() {
            return Ok(results);
        }
        let command = self.dialect.cancel_command(cluster, &alive);
        let output = via.exec(&command).await.map_err(|error| unknown_cancel(&error.to_string()))?;
        let told = self.dialect.parse_cancel(&alive, &output);
        let after = self.present(via, cluster, &alive).await?;
        for (job, told) in alive.into_iter().zip(told) {
            let result = match (told, after.get(&job)) {
                (_, Some(presence)) if presence.is_over() => Ok(Cancelled::Over),
                (Ok(()), Some(Presence::Ours(status))) => {
                    Ok(Cancelled::Ending(status.reason.as_ref().unwrap_or(&status.raw).clone()))
                }
                (Ok(()), _) => Err(unknown_cancel("the scheduler did not answer about the job")),
                (Err(error), _) => Err(error),
            };
            results.insert(job, result);
        }
        Ok(results)
    }
}

fn unknown_cancel(text: &str) -> Error {
    Error::new(ErrorKind::Unreachable, "cancel").message(text).later()
}

/// The results of all clusters, by job; returned as one for each job, in order.
struct Results<T>(BTreeMap<JobRef, Result<T>>);

impl<T> Results<T> {
    /// Adds the results of one cluster. If the cluster did not answer, each of its jobs gets that error.
    fn add(&mut self, jobs: &[JobRef], results: Result<BTreeMap<JobRef, Result<T>>>) {
        match results {
            Ok(results) => self.0.extend(results),
            Err(error) => {
                let (kind, text) = (*error.kind(), error.explained());
                let copy = || Error::new(kind, "ask").message(text.clone()).later();
                self.0.extend(jobs.iter().map(|job| (job.clone(), Err(copy()))));
            }
        }
    }

    fn in_order(mut self, jobs: &[JobRef]) -> Vec<Result<T>> {
        let missing = || Error::new(ErrorKind::Unreadable, "ask").message("no answer about the job").later();
        jobs.iter().map(|job| self.0.remove(job).unwrap_or_else(|| Err(missing()))).collect()
    }
}

/// The reason why two listings without the job are not enough.
const UNPROVEN: &str = "the scheduler does not list it, but no test job has shown yet that jobs of this computer see \
     their work directories and keep their names: run `ferry computer test --job`";

fn missing(job: &Submission) -> Recovery {
    Recovery::Unclear(format!("the work directory {} or its sentinel is missing", job.dir.display()))
}

fn unclaimed(reason: &str) -> Recovery {
    Recovery::Unclear(format!("cannot write to the work directory: {reason}"))
}

fn ambiguous(message: &str) -> Error {
    Error::new(ErrorKind::Ambiguous, "submit").message(message).later().effect_unknown()
}

#[async_trait]
impl<D: Dialect> Scheduler for CliScheduler<D> {
    fn capabilities(&self) -> Capabilities {
        self.dialect.capabilities()
    }

    fn script(&self, job: &JobTemplate) -> Result<JobScript> {
        let dialect = &self.dialect;
        let directives = dialect.capabilities().directives;
        let Header { lines, extras } = dialect.header(job)?;
        let limited = dialect.limits(job).map(|limits| JobTemplate {
            prepend: std::iter::once(limits).chain(job.prepend.iter().cloned()).collect(),
            ..job.clone()
        });
        let guard = dialect.guard(job);
        let text = script(limited.as_ref().unwrap_or(job), &lines, &directives, dialect.identity(), &guard);
        Ok(JobScript { text, extras })
    }

    async fn queue_key(&self, via: &dyn Transport) -> Result<QueueKey> {
        let command = self.dialect.queue_key_command().ok_or_else(nameless)?;
        let output = via.exec(&command).await.map_err(|error| claim::unreachable("queue key", error))?;
        self.dialect.parse_queue_key(&output)
    }

    async fn machine(&self, via: &dyn Transport) -> Result<Machine> {
        let Some(command) = self.dialect.machine_command() else { return Ok(Machine::default()) };
        let output = via.exec(&command).await.map_err(|error| claim::unreachable("machine", error))?;
        self.dialect.parse_machine(&output)
    }

    async fn submit(&self, via: &dyn Transport, jobs: &[Submission], at_once: usize) -> Vec<Result<JobId>> {
        let mut results = Vec::with_capacity(jobs.len());
        let Capabilities { has_queue, passes_arguments, .. } = self.capabilities();
        let walks = if has_queue { Walks::AtOnce(at_once) } else { Walks::Quick };
        let token = if passes_arguments { claim::Tokens::Argument } else { claim::Tokens::Copy };
        for batch in jobs.chunks(claim::BATCH) {
            let texts: Vec<_> = batch.iter().map(|job| (job, self.dialect.submit_text(job))).collect();
            let start = self.start(via, batch);
            let prelude = self.dialect.prelude(&batch.iter().collect::<Vec<_>>());
            match via.exec(&claim::submit_command(&prelude, &texts, start, walks, token)).await {
                Ok(output) => {
                    let answers = claim::parse_submit(&output.text(), batch.len());
                    let jobs = batch.iter().zip(&answers);
                    // A script names its cluster; the normal form does so only where that is not home.
                    let normal = |(job, answer): (&Submission, _)| {
                        self.submitted(answer).map(|id| id.normal(job.home.as_deref()))
                    };
                    results.extend(jobs.map(normal));
                }
                // It is not known here whether anything was sent: the markers will show.
                Err(error) => {
                    let text = error.to_string();
                    results.extend(batch.iter().map(|_| Err(ambiguous(&text))));
                }
            }
        }
        results
    }

    async fn recover(&self, via: &dyn Transport, job: &Submission) -> Result<Recovery> {
        Ok(match self.look_up(via, job).await? {
            Recovery::Found(id) => Recovery::Found(id.normal(job.home.as_deref())),
            other => other,
        })
    }

    async fn survey(
        &self,
        via: &dyn Transport,
        cluster: Option<&str>,
        jobs: &[JobRef],
        tokens: &HashSet<String>,
    ) -> Result<Survey> {
        let query = Query { cluster, jobs, by_id: false };
        let Queue { listed, proves_absence, notices } = self.queue(via, "survey", &query).await?;
        let (wanted, tokens) = (Wanted::new(jobs), Tokens::new(tokens));
        let mut survey = Survey { proves_absence, notices, ..Survey::default() };
        for listed in listed {
            if let Some(job) = wanted.find(&listed) {
                survey.jobs.insert(job.clone(), listed.status);
            } else if !tokens.is_borne_by(&listed) {
                let state = listed.status.state;
                survey.foreign_queued += u32::from(matches!(state, JobState::Pending | JobState::Held));
                survey.foreign_active += u32::from(state != JobState::Done);
            }
        }
        survey.jobs = self.add_history(via, &query, survey.jobs).await;
        Ok(survey)
    }

    async fn watch(&self, via: &dyn Transport, jobs: &[JobRef]) -> Result<WatchEnd> {
        let Some(command) = self.dialect.watch_command(jobs) else { return Ok(WatchEnd::Unable) };
        match via.exec(&command).await {
            Ok(output) => Ok(self.dialect.parse_watch(&output)),
            // The computer has no session to spare for it.
            Err(error) if *error.kind() == transport::ErrorKind::Unsupported => Ok(WatchEnd::Unable),
            Err(error) => Err(claim::unreachable("watch", error)),
        }
    }

    async fn ask(&self, via: &dyn Transport, jobs: &[JobRef]) -> Vec<Result<Presence>> {
        let mut results = Results(BTreeMap::new());
        for (cluster, jobs) in by_cluster(jobs) {
            let found = self.present(via, cluster, &jobs).await;
            results.add(&jobs, found.map(|all| all.into_iter().map(|(job, one)| (job, Ok(one))).collect()));
        }
        results.in_order(jobs)
    }

    async fn given_up(&self, via: &dyn Transport, jobs: &[JobRef]) -> BTreeSet<JobRef> {
        let mut given_up = BTreeSet::new();
        for (cluster, jobs) in by_cluster(jobs) {
            if let Some(command) = self.dialect.given_up_command(cluster, &jobs)
                && let Ok(output) = via.exec(&command).await
            {
                given_up.extend(self.dialect.parse_given_up(&jobs, &output));
            }
        }
        given_up
    }

    async fn cancel(&self, via: &dyn Transport, jobs: &[JobRef]) -> Vec<Result<Cancelled>> {
        let mut results = Results(BTreeMap::new());
        for (cluster, jobs) in by_cluster(jobs) {
            results.add(&jobs, self.end(via, cluster, &jobs).await);
        }
        results.in_order(jobs)
    }

    async fn list(&self, via: &dyn Transport) -> Result<usize> {
        let queue = self.queue(via, "list", &Query { cluster: None, jobs: &[], by_id: false }).await?;
        Ok(queue.listed.iter().filter(|job| job.status.state != JobState::Done).count())
    }
}
