//! One poll for all jobs of a computer, or of one of its clusters: what the scheduler lists, and for the jobs it does not list, what
//! their markers say. Absent is not done: without an exit marker a second look must confirm it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use super::{Context, Event, gate::Seen, pace::Pace};
use crate::{
    calcjob,
    scheduler::{self, Bounds, JobFailure, JobRef, JobState, JobStatus, Marker},
    store::{Change, HostChange, Level, NodeId},
};
use ferry_plugin_proto::JobReport;

/// A job to be watched for a process that waits.
#[derive(Debug, Clone)]
pub struct JobWatch {
    /// Whose job it is.
    pub process: NodeId,
    /// Label of its computer.
    pub computer: String,
    /// The job.
    pub job: JobRef,
    /// The scheduler's word that is stored.
    pub shown: Option<String>,
    /// The words for it that are stored.
    pub status: Option<String>,
    /// How long until its monitors want to look at it; never if there are none.
    pub look_in: Option<Duration>,
}

/// What was found out about a watched job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Observation {
    /// It runs, and its monitors are due. It is watched on.
    Running,
    /// It has ended.
    Ended(Box<JobReport>),
    /// Another copy took the start gate: that one is the job.
    Adopt(JobRef),
    /// The scheduler has forgotten it before it began.
    Vanished,
    /// The scheduler has given it up before it began, and says so in this way.
    GivenUp(Box<JobReport>),
    /// It has ended, or was forgotten, and its work directory is gone.
    DirMissing,
    /// It may submit, under these bounds on all tickets of its queue.
    Granted(Bounds),
}

enum Word {
    Watch(JobWatch),
    Want { process: NodeId, refused: bool },
    Forget(NodeId),
}

/// A computer, and a cluster of it that is not its home cluster.
type Place = (String, Option<String>);

/// The pollers of all computers, one for each cluster in use; each begins with its first job. So a cluster that does
/// not answer holds up nobody's jobs but its own.
#[derive(Debug)]
pub(super) struct Pollers {
    cx: Arc<Context>,
    events: mpsc::UnboundedSender<Event>,
    queues: Mutex<BTreeMap<Place, mpsc::UnboundedSender<Word>>>,
    /// Ends the tasks with itself: they hold the profile.
    tasks: Mutex<JoinSet<()>>,
}

impl Pollers {
    pub(super) fn new(cx: Arc<Context>, events: mpsc::UnboundedSender<Event>) -> Self {
        Pollers { cx, events, queues: Mutex::default(), tasks: Mutex::default() }
    }

    pub(super) fn watch(&self, watch: JobWatch) {
        let cluster = watch.job.id.cluster().map(str::to_owned);
        if let Some(cluster) = &cluster {
            // Before anybody looks: a dead controller elsewhere is not this cluster's trouble.
            self.cx.clusters.set(&watch.computer, cluster, true);
        }
        self.send((watch.computer.clone(), cluster), Word::Watch(watch));
    }

    /// Asks the computer's gate for leave to submit; it comes as an observation.
    pub(super) fn want(&self, process: NodeId, computer: String, refused: bool) {
        self.send((computer, None), Word::Want { process, refused });
    }

    fn send(&self, place: Place, word: Word) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(place.clone()).or_insert_with(|| {
            let (sender, inbox) = mpsc::unbounded_channel();
            let poller = Poller {
                cx: self.cx.clone(),
                events: self.events.clone(),
                computer: place.0,
                cluster: place.1,
                watched: BTreeMap::new(),
                seen: None,
                is_asked: false,
                pace: Pace::default(),
                failures: 0,
            };
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(poller.serve(inbox));
            sender
        });
        // A poller ends only with the runner.
        let _ = queue.send(word);
    }

    pub(super) fn forget(&self, process: NodeId) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.values() {
            let _ = queue.send(Word::Forget(process));
        }
    }
}

struct Watched {
    watch: JobWatch,
    /// When its monitors are due.
    look_at: Option<Instant>,
    /// Looks that found neither the job nor an exit marker.
    missed: u32,
    /// When the first of them was.
    missing_since: Option<Instant>,
}

impl Watched {
    /// It was seen, or could not be looked for: absence is only what two looks in a row say. A scheduler in trouble
    /// answers half, then not at all, then half again.
    fn forget_absence(&mut self) {
        self.missed = 0;
        self.missing_since = None;
    }
}

struct Poller {
    cx: Arc<Context>,
    events: mpsc::UnboundedSender<Event>,
    computer: String,
    /// The cluster it asks about; `None`: the home cluster, which the gate belongs to.
    cluster: Option<String>,
    watched: BTreeMap<NodeId, Watched>,
    /// What the last look saw of the whole queue, and when.
    seen: Option<(Seen, Instant)>,
    /// Somebody has come to the gate since it last let anybody through.
    is_asked: bool,
    pace: Pace,
    failures: u32,
}

/// What one poll found.
#[derive(Default)]
struct Findings {
    listed: BTreeMap<JobRef, JobStatus>,
    /// Whether a job that is not listed is absent.
    proves_absence: bool,
    /// What the scheduler complained of beside its answer.
    notice: Option<String>,
    absent: BTreeMap<PathBuf, Marker>,
    /// Jobs that the scheduler ended for reasons of its own before they began.
    given_up: BTreeSet<JobRef>,
    /// Jobs of this user that are not ours: pending, and pending or running; `None` where nobody asked.
    foreign: Option<(u32, u32)>,
    has_queue: bool,
    /// Why nothing may be submitted yet: whose limits hold there is not known.
    held: Option<String>,
    /// How long a job must be missing before that counts.
    confirm_after: Duration,
}

/// How long a job must be missing from a listing that is not the whole truth.
const CONFIRM: Duration = Duration::from_secs(10);

impl Poller {
    async fn serve(mut self, mut inbox: mpsc::UnboundedReceiver<Word>) {
        let mut changes = self.cx.health.changes();
        while self.rest(&mut inbox, &mut changes).await && self.pause(&mut inbox).await {
            self.tell_use();
            if self.has_work() {
                self.look().await;
            }
        }
    }

    /// Lets the others know whether there are jobs in this cluster: where there are several, one that does not answer
    /// is no trouble of the computer.
    fn tell_use(&self) {
        if let Some(cluster) = &self.cluster {
            let is_other = self.other_cluster().is_some();
            self.cx.clusters.set(&self.computer, cluster, is_other && !self.watched.is_empty());
        }
    }

    /// The cluster to ask by its name. Which one is home may be known only since its ids were stored.
    fn other_cluster(&self) -> Option<&str> {
        let home = self.cx.home_cluster(&self.computer);
        self.cluster.as_deref().filter(|cluster| Some(*cluster) != home.as_deref())
    }

    /// Whether there is anything to ask the computer now. A disabled one is asked about its jobs alone, and
    /// one in trouble about nothing.
    fn has_work(&self) -> bool {
        let health = &self.cx.health;
        let gate = self.is_wanted() && !health.is_disabled(&self.computer);
        (gate || !self.watched.is_empty()) && health.admits(&self.computer)
    }

    /// Whether anybody waits at its gate: that of the computer is kept by the poller of its home cluster.
    fn is_wanted(&self) -> bool {
        self.cluster.is_none() && self.cx.gates.is_wanted(&self.computer)
    }

    /// Waits until there is something to ask. False: the runner has ended.
    async fn rest(
        &mut self,
        inbox: &mut mpsc::UnboundedReceiver<Word>,
        changes: &mut watch::Receiver<u64>,
    ) -> bool {
        while !self.has_work() {
            tokio::select! {
                biased;
                word = inbox.recv() => match word {
                    Some(word) => self.take(word),
                    None => return false,
                },
                changed = changes.changed() => if changed.is_err() { return false },
            }
        }
        true
    }

    fn take(&mut self, word: Word) {
        match word {
            Word::Watch(watch) => {
                let look_at = watch.look_in.map(|wait| Instant::now() + wait);
                if let Some(known) = self.watched.get_mut(&watch.process) {
                    // Its monitors have looked at it.
                    known.watch = watch;
                    known.look_at = look_at;
                    return;
                }
                self.pace.submitted();
                self.cx.gates.arrived(&self.computer, watch.process);
                let fresh = Watched { watch, look_at, missed: 0, missing_since: None };
                self.watched.insert(fresh.watch.process, fresh);
            }
            Word::Want { process, refused } => {
                self.pace.hurry();
                self.is_asked = true;
                self.cx.gates.want(&self.cx.store, &self.computer, process, refused);
            }
            Word::Forget(process) => {
                // All pollers hear of it, at times of their own; it may have come to its gate again meanwhile.
                if self.cluster.is_none() {
                    self.cx.gates.forget(&self.computer, process);
                }
                self.watched.remove(&process);
            }
        }
    }

    /// Waits for the next poll, taking in what comes meanwhile. False: the runner has ended.
    async fn pause(&mut self, inbox: &mut mpsc::UnboundedReceiver<Word>) -> bool {
        let floor = self.floor();
        loop {
            // All that has come by now belongs to one look.
            while let Ok(word) = inbox.try_recv() {
                self.take(word);
            }
            self.admit_meanwhile(floor).await;
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.pace.due(floor)) => return true,
                word = inbox.recv() => match word {
                    Some(word) => self.take(word),
                    None => return false,
                },
            }
        }
    }

    /// Lets through who has come to the gate since the last look, as far as that look left room: within the floor
    /// there is none fresher. Where the scheduler has refused jobs, only a look tells whether it takes more.
    async fn admit_meanwhile(&mut self, floor: Duration) {
        let fresh = self.seen.filter(|(_, at)| self.is_asked && at.elapsed() < floor);
        if let Some((seen, _)) = fresh
            && !self.cx.is_clamped(&self.computer).unwrap_or(true)
        {
            self.is_asked = false;
            self.cx.gates.admit(&self.cx, &self.computer, seen, &self.events).await;
        }
    }

    fn floor(&self) -> Duration {
        let computer = self.cx.store.computer(&self.computer).ok().map(|row| row.config);
        let scheduler = computer.as_ref().and_then(|config| self.cx.scheduler(&config.scheduler).ok());
        let own = scheduler.map_or(Duration::from_secs(10), |scheduler| scheduler.capabilities().poll_floor);
        computer.and_then(|config| config.poll_interval()).unwrap_or(own)
    }

    async fn look(&mut self) {
        let start = Instant::now();
        let floor = self.floor();
        let epoch = self.cx.health.epoch(&self.computer);
        match self.ask().await {
            Ok(findings) => {
                self.failures = 0;
                let held = findings.held.clone();
                self.note(findings.notice.clone()).await;
                let foreign = findings.foreign.unwrap_or_default();
                let seen = Seen { foreign, has_queue: findings.has_queue, listed: crate::clock::now() };
                let is_whole = findings.foreign.is_some() && held.is_none();
                self.seen = is_whole.then(|| (seen, Instant::now()));
                self.is_asked = false;
                let changed = self.settle(findings).await;
                if let Some(error) = held {
                    self.hold(&error).await;
                }
                let granted =
                    is_whole && self.cx.gates.admit(&self.cx, &self.computer, seen, &self.events).await;
                self.pace.looked(start, floor, changed || granted, self.is_wanted());
            }
            Err(error) => self.failed(&error, epoch, start).await,
        }
    }

    /// Lets `ferry status` show what the home cluster's scheduler complains of.
    async fn note(&self, notice: Option<String>) {
        let stored = self.cx.store.host(&self.computer);
        if self.cluster.is_some() || stored.is_ok_and(|host| host.notice == notice) {
            return;
        }
        if let Some(notice) = &notice {
            tracing::warn!(computer = self.computer, notice, "the scheduler complains beside its answer");
        }
        let change = HostChange::Notice(notice);
        let changes = vec![Change::Host { computer: self.computer.clone(), change }];
        if let Err(error) = self.cx.store.commit(changes).await {
            tracing::warn!(%error, "a complaint of the scheduler could not be stored");
        }
    }

    async fn ask(&self) -> scheduler::Result<Findings> {
        let failed = |text: String| {
            scheduler::Error::new(scheduler::ErrorKind::Unreadable, "poll").message(text).later()
        };
        let (row, via) = match self.cx.connect(Some(&self.computer)).await {
            Ok(connected) => connected,
            Err(error) => {
                let error = scheduler::Error::new(scheduler::ErrorKind::Unreachable, "poll").source(error);
                return Err(error.later());
            }
        };
        let scheduler = self.cx.scheduler(&row.config.scheduler).map_err(failed)?;
        let held = self.cx.learn_queue(&row.config, &via).await.err();
        let jobs: Vec<JobRef> = self.watched.values().map(|watched| watched.watch.job.clone()).collect();
        // Whatever their computers, our jobs are no others.
        let tokens = self.cx.store.tokens().map_err(|error| failed(error.to_string()))?;
        let survey = scheduler.survey(&*via, self.other_cluster(), &jobs, &tokens).await?;
        let (listed, proves_absence) = (survey.jobs, survey.proves_absence);
        let notice = (!survey.notices.is_empty()).then(|| survey.notices.join("; "));
        // The gate is the home cluster's.
        let foreign = self.cluster.is_none().then_some((survey.foreign_queued, survey.foreign_active));
        let capabilities = scheduler.capabilities();
        let confirm_after = if capabilities.listing_is_authoritative { Duration::ZERO } else { CONFIRM };
        let absent: Vec<&Path> = self
            .watched
            .values()
            .filter(|watched| {
                listed.get(&watched.watch.job).is_none_or(|status| status.state == JobState::Done)
            })
            .map(|watched| watched.watch.job.dir.as_path())
            .collect();
        // The markers are read after the listing: a job that ended in between has left one.
        let absent =
            if absent.is_empty() { BTreeMap::new() } else { scheduler.markers(&*via, &absent).await? };
        let ended_unbegun = |watched: &&Watched| {
            let is_unbegun =
                |marker: &Marker| marker.run.is_none() && marker.exit.is_none() && marker.sentinel.is_some();
            listed.contains_key(&watched.watch.job)
                && absent.get(&watched.watch.job.dir).is_some_and(is_unbegun)
        };
        let unbegun: Vec<JobRef> =
            self.watched.values().filter(ended_unbegun).map(|watched| watched.watch.job.clone()).collect();
        let given_up = scheduler.given_up(&*via, &unbegun).await;
        let has_queue = capabilities.has_queue;
        Ok(Findings {
            listed,
            proves_absence,
            notice,
            absent,
            given_up,
            foreign,
            has_queue,
            held,
            confirm_after,
        })
    }

    /// Tells the runner and the store what is new. Whether anything was.
    async fn settle(&mut self, findings: Findings) -> bool {
        let mut changes = Vec::new();
        let mut ended = Vec::new();
        let mut running = Vec::new();
        let home = self.cx.home_cluster(&self.computer);
        for (process, watched) in &mut self.watched {
            let status = findings.listed.get(&watched.watch.job);
            match findings.absent.get(&watched.watch.job.dir) {
                Some(marker) if status.is_none() && marker.exit.is_none() && !findings.proves_absence => {
                    watched.forget_absence();
                }
                Some(marker) => {
                    let given_up = findings.given_up.contains(&watched.watch.job);
                    let observation =
                        judge(watched, marker, status, given_up, findings.confirm_after, home.as_deref());
                    ended.extend(observation.map(|observation| (*process, observation)));
                }
                None => {
                    changes.extend(status.map(|status| observed(watched, status)).unwrap_or_default());
                    let runs = status.is_some_and(|status| status.state == JobState::Running);
                    if runs && watched.look_at.is_some_and(|due| due <= Instant::now()) {
                        watched.look_at = None;
                        running.push(*process);
                    }
                }
            }
        }
        let changed = !changes.is_empty() || !ended.is_empty();
        if !changes.is_empty()
            && let Err(error) = self.cx.store.commit(changes).await
        {
            tracing::warn!(%error, "the state of jobs could not be stored");
        }
        for process in running {
            let _ = self.events.send(Event::Observed(process, Observation::Running));
        }
        for (process, observation) in ended {
            self.watched.remove(&process);
            let _ = self.events.send(Event::Observed(process, observation));
        }
        changed
    }

    /// Whether the error is the trouble of the whole computer: its link is, and so is its scheduler unless jobs are
    /// in several clusters. Then each cluster is asked again by itself.
    fn is_of_computer(&self, error: &scheduler::Error) -> bool {
        use scheduler::ErrorKind::{Ambiguous, Unreachable};
        let is_down = matches!(error.kind(), Unreachable | Ambiguous);
        let is_shared = self.cluster.is_none() && !self.cx.clusters.any(&self.computer);
        is_down && (is_shared || scheduler::is_of_link(error))
    }

    /// What those at its gate are told while nobody is let through.
    fn held(&self, why: String) -> Vec<Change> {
        if self.cluster.is_none() { self.cx.gates.held(&self.computer, why) } else { Vec::new() }
    }

    /// Tells those at the gate that nobody is let through before it is known whose limits hold.
    async fn hold(&self, error: &str) {
        let changes = self.held(format!("whose host did not say yet which queue it is: {error}"));
        if !changes.is_empty()
            && let Err(error) = self.cx.store.commit(changes).await
        {
            tracing::warn!(%error, "the line at the gate could not be stored");
        }
    }

    /// A host in trouble is the breaker's to watch; an answer that can't be read is asked for again by us.
    async fn failed(&mut self, error: &scheduler::Error, epoch: u64, start: Instant) {
        self.seen = None;
        self.watched.values_mut().for_each(Watched::forget_absence);
        if self.is_of_computer(error) {
            self.pace.failed(start, Duration::ZERO);
            self.cx.host_failed(&self.computer, epoch, &error.explained()).await;
            return;
        }
        self.failures += 1;
        let wait = Duration::from_secs(1 << self.failures.min(6));
        self.pace.failed(start, wait);
        tracing::warn!(computer = self.computer, %error, "poll failed");
        let place = match &self.cluster {
            None => format!("computer `{}`", self.computer),
            Some(cluster) => format!("cluster `{cluster}` of computer `{}`", self.computer),
        };
        let status = format!(
            "the answer of {place} about its jobs can't be used: {error}; asked again in {} s",
            wait.as_secs()
        );
        let change = |(process, watched): (&NodeId, &Watched)| Change::Observed {
            process: *process,
            status: Some(status.clone()),
            scheduler_state: watched.watch.shown.clone(),
        };
        let mut changes: Vec<Change> = self.watched.iter().map(change).collect();
        changes.extend(self.held(format!("whose queue can't be listed: {error}")));
        self.watched.values_mut().for_each(|watched| watched.watch.shown = None);
        if let Err(error) = self.cx.store.commit(changes).await {
            tracing::warn!(%error, "the state of jobs could not be stored");
        }
    }
}

/// What a job that is not listed any more has come to; `None`: look again.
fn judge(
    watched: &mut Watched,
    marker: &Marker,
    status: Option<&JobStatus>,
    given_up: bool,
    confirm_after: Duration,
    home: Option<&str>,
) -> Option<Observation> {
    // Ids are forgotten and reused, and an earlier token may have won: only both together name the job.
    let watching = &watched.watch.job;
    let owner = marker.run.clone().map(|(token, id)| JobRef { id, token, dir: watching.dir.clone() });
    let is_it = |owner: &JobRef| owner.token == watching.token && owner.id.is_same(&watching.id, home);
    if let Some(owner) = owner.filter(|owner| !is_it(owner)) {
        return Some(Observation::Adopt(owner));
    }
    if marker.exit.is_none() {
        let since = *watched.missing_since.get_or_insert_with(Instant::now);
        watched.missed += 1;
        if watched.missed < 2 || since.elapsed() < confirm_after {
            return None;
        }
        // A controller that was killed forgets jobs that it had taken; one that never began can begin anew.
        let is_forgotten = status.is_none_or(|status| status.failure == Some(JobFailure::LostInReboot));
        if is_forgotten && marker.run.is_none() && marker.sentinel.is_some() {
            return Some(Observation::Vanished);
        }
        if marker.sentinel.is_none() && marker.run.is_none() {
            return Some(Observation::DirMissing);
        }
        // So does a machine that failed before the script began.
        let failed = status.is_some_and(|status| status.failure == Some(JobFailure::NodeFailure));
        if (given_up || failed) && marker.run.is_none() {
            let report = calcjob::report(marker, status, &watched.watch.computer);
            return Some(Observation::GivenUp(Box::new(report)));
        }
    }
    Some(Observation::Ended(Box::new(calcjob::report(marker, status, &watched.watch.computer))))
}

/// What a change of the scheduler's word, or of why a job does not begin yet, changes in the store.
fn observed(watched: &mut Watched, status: &JobStatus) -> Vec<Change> {
    watched.forget_absence();
    let reason = status.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let advice = status.advice.map(|advice| format!("; {advice}")).unwrap_or_default();
    let words = Some(format!("job {}{reason}{advice}", status.state.as_str()));
    let watch = &mut watched.watch;
    let is_queued = matches!(status.state, JobState::Pending | JobState::Held);
    if watch.shown.as_ref() == Some(&status.raw) && (!is_queued || watch.status == words) {
        return Vec::new();
    }
    watch.shown = Some(status.raw.clone());
    watch.status.clone_from(&words);
    let process = watch.process;
    // Who reads the report later sees that it waited for somebody.
    let report = status.advice.and(words.clone());
    let report = report.map(|message| Change::Log { process, level: Level::Warning, message });
    let shown = Change::Observed { process, status: words, scheduler_state: Some(status.raw.clone()) };
    // A requeued job takes its place in the queue back, even over the bound.
    let ticket = match status.state {
        JobState::Pending | JobState::Held => Some(true),
        JobState::Running | JobState::Suspended => Some(false),
        JobState::Done | JobState::Unknown => None,
    };
    let ticket = ticket.map(|queued| Change::TicketQueued { process, queued });
    [shown].into_iter().chain(report).chain(ticket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::JobId;

    fn watched(id: &str, token: &str) -> Watched {
        let watch = JobWatch {
            process: NodeId(1),
            computer: "far".into(),
            job: JobRef { id: JobId(id.into()), token: token.into(), dir: "/w".into() },
            shown: None,
            status: None,
            look_in: None,
        };
        Watched { watch, look_at: None, missed: 0, missing_since: None }
    }

    fn marker(run: Option<(&str, &str)>, exit: Option<i32>) -> Marker {
        let run = run.map(|(token, id)| (token.to_owned(), JobId(id.to_owned())));
        Marker { sentinel: Some("d".into()), run, exit, ..Marker::default() }
    }

    /// Looks twice, and again when the time of confirmation is over.
    fn look(watched: &mut Watched, marker: &Marker, raw: Option<&str>) -> Option<Observation> {
        let status = raw.map(|raw| JobStatus {
            state: JobState::Done,
            raw: raw.into(),
            reason: None,
            failure: (raw == "rebooted").then_some(JobFailure::LostInReboot),
            advice: None,
        });
        let once = |watched: &mut Watched| {
            judge(watched, marker, status.as_ref(), raw == Some("given up"), Duration::ZERO, None)
        };
        once(watched).or_else(|| once(watched))
    }

    #[test]
    fn whoever_took_the_gate_is_the_job() {
        // The same id with another token is another job: the controller has used it twice.
        for (token, id) in [("old", "7"), ("old", "6"), ("new", "8")] {
            let seen = look(&mut watched("7", "new"), &marker(Some((token, id)), None), None);
            let owner = JobRef { id: JobId(id.into()), token: token.into(), dir: "/w".into() };
            assert_eq!(seen, Some(Observation::Adopt(owner)));
        }
        let ended = look(&mut watched("7", "new"), &marker(Some(("new", "7")), Some(3)), None);
        assert!(matches!(ended, Some(Observation::Ended(report)) if report.exit_status == Some(3)));
    }

    #[test]
    fn absent_is_confirmed_before_it_counts() {
        let mut job = watched("7", "t");
        let gone = marker(None, None);
        assert_eq!(judge(&mut job, &gone, None, false, Duration::from_secs(10), None), None);
        assert_eq!(judge(&mut job, &gone, None, false, Duration::from_secs(10), None), None, "too soon");
        assert_eq!(look(&mut watched("7", "t"), &gone, None), Some(Observation::Vanished));
        let lost = look(&mut watched("7", "t"), &marker(Some(("t", "7")), None), None);
        assert!(matches!(lost, Some(Observation::Ended(report)) if report.engine_exit.is_some()));
    }

    #[test]
    fn a_reboot_is_an_end_only_of_what_had_begun() {
        let begun = look(&mut watched("7", "t"), &marker(Some(("t", "7")), None), Some("rebooted"));
        assert!(
            matches!(begun, Some(Observation::Ended(report)) if report.engine_exit.as_ref().unwrap().status == 141)
        );
        let not_begun = look(&mut watched("7", "t"), &marker(None, None), Some("rebooted"));
        assert_eq!(not_begun, Some(Observation::Vanished));
        let at_its_end = look(&mut watched("7", "t"), &marker(Some(("t", "7")), Some(0)), Some("rebooted"));
        assert!(matches!(at_its_end, Some(Observation::Ended(report)) if report.engine_exit.is_none()));
    }

    #[test]
    fn what_was_given_up_before_it_began_can_begin_anew() {
        let fresh = || watched("7", "t");
        let given_up = look(&mut fresh(), &marker(None, None), Some("given up"));
        assert!(matches!(given_up, Some(Observation::GivenUp(report)) if report.engine_exit.is_some()));
        let begun = look(&mut fresh(), &marker(Some(("t", "7")), None), Some("given up"));
        assert!(matches!(begun, Some(Observation::Ended(_))));
        let by_its_user = look(&mut fresh(), &marker(None, None), Some("cancelled"));
        assert!(matches!(by_its_user, Some(Observation::Ended(_))));
    }

    #[test]
    fn a_new_reason_of_a_queued_job_is_told_once() {
        let mut job = watched("7", "t");
        let mut told = |state: JobState, raw: &str, reason: &str| {
            let reason = Some(reason.to_owned());
            let changes = observed(
                &mut job,
                &JobStatus { state, raw: raw.into(), reason, failure: None, advice: None },
            );
            changes.into_iter().find_map(|change| match change {
                Change::Observed { status, .. } => status,
                _ => None,
            })
        };
        let pending = |words: &str| Some(format!("job {}: {words}", JobState::Pending.as_str()));
        assert_eq!(told(JobState::Pending, "PENDING", "Dependency"), pending("Dependency"));
        assert_eq!(told(JobState::Pending, "PENDING", "Dependency"), None);
        let never = "DependencyNeverSatisfied";
        assert_eq!(told(JobState::Pending, "PENDING", never), pending(never));
        assert!(told(JobState::Running, "RUNNING", "None").is_some());
        assert_eq!(told(JobState::Running, "RUNNING", "other"), None);
    }

    #[test]
    fn a_job_that_waits_for_a_person_says_what_to_do() {
        let held = JobStatus {
            state: JobState::Held,
            raw: "PENDING".into(),
            reason: Some("PartitionTimeLimit".into()),
            failure: None,
            advice: Some("make it shorter"),
        };
        let mut job = watched("7", "t");
        let words = "job held: PartitionTimeLimit; make it shorter";
        let changes = observed(&mut job, &held);
        let told = |change: &Change| matches!(change, Change::Observed { status: Some(status), .. } if status == words);
        let reported = |change: &Change| matches!(change, Change::Log { message, .. } if message == words);
        assert!(changes.iter().any(told) && changes.iter().any(reported), "{changes:?}");
        assert!(observed(&mut job, &held).is_empty(), "told once");
    }

    #[test]
    fn a_missing_directory_is_no_end() {
        let seen = look(&mut watched("7", "t"), &Marker::default(), Some("COMPLETED"));
        assert_eq!(seen, Some(Observation::DirMissing));
    }
}
