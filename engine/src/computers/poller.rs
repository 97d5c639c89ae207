//! Polls all jobs of a computer, or of one of its clusters, at once. It reads the scheduler's listing, and the
//! markers of jobs that are not listed. Absent does not mean done: without an exit marker a second poll must
//! confirm it.

mod judge;
mod wait;
mod watcher;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use judge::{Watched, judge, observed, odd};
use watcher::Watcher;

use crate::back_off::BackOff;
use crate::{
    admission::Seen,
    calcjob::{JobWatch, Observation},
    computers::{Event, admit::admit, pace::Pace},
    owner::Context,
    scheduler::{self, JobRef, JobState, JobStatus, Marker, Scheduler},
    store::{Change, HostChange, Level, NodeId},
    transport::Transport,
};

enum Word {
    Watch(JobWatch),
    Want { process: NodeId, refused: bool },
    Forget(NodeId),
}

/// A computer, and a cluster of it that is not its home cluster.
type Place = (String, Option<String>);

/// The pollers of all computers, one for each cluster in use. Each starts with its first job. So a cluster that
/// does not answer delays only its own jobs.
#[derive(Debug)]
pub(crate) struct Pollers {
    cx: Arc<Context>,
    events: mpsc::UnboundedSender<Event>,
    queues: Mutex<BTreeMap<Place, mpsc::UnboundedSender<Word>>>,
    /// The poller tasks. They hold the profile, so they end when this is dropped.
    tasks: Mutex<JoinSet<()>>,
}

impl Pollers {
    pub(crate) fn new(cx: Arc<Context>, events: mpsc::UnboundedSender<Event>) -> Self {
        Pollers { cx, events, queues: Mutex::default(), tasks: Mutex::default() }
    }

    pub(crate) fn watch(&self, watch: JobWatch) {
        let cluster = watch.job.id.cluster().map(str::to_owned);
        if let Some(cluster) = &cluster {
            // Before the first poll: a dead controller elsewhere is not this cluster's trouble.
            self.cx.clusters.set(&watch.computer, cluster, true);
        }
        self.send((watch.computer.clone(), cluster), Word::Watch(watch));
    }

    /// Asks the computer's gate for permission to submit; it arrives as an observation.
    pub(crate) fn want(&self, process: NodeId, computer: String, refused: bool) {
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
                watcher: Watcher::default(),
                freed: self.cx.gates.freed(),
                failures: 0,
            };
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(poller.serve(inbox));
            sender
        });
        // A poller ends only with the executor.
        let _ = queue.send(word);
    }

    pub(crate) fn forget(&self, process: NodeId) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.values() {
            let _ = queue.send(Word::Forget(process));
        }
    }
}

struct Poller {
    cx: Arc<Context>,
    events: mpsc::UnboundedSender<Event>,
    computer: String,
    /// The cluster it polls; `None`: the home cluster, which the gate belongs to.
    cluster: Option<String>,
    watched: BTreeMap<NodeId, Watched>,
    /// The state of the whole queue at the last poll, and the time of that poll.
    seen: Option<(Seen, Instant)>,
    /// True if a process has come to the gate since the last admission.
    is_asked: bool,
    pace: Pace,
    watcher: Watcher,
    /// Notified when tickets are returned.
    freed: Arc<Notify>,
    failures: u32,
}

/// The results of one poll.
#[derive(Default)]
struct Findings {
    listed: BTreeMap<JobRef, JobStatus>,
    /// True if a job that is not listed is absent.
    proves_absence: bool,
    /// Warnings of the scheduler beside its answer.
    notice: Option<String>,
    absent: BTreeMap<PathBuf, Marker>,
    /// Jobs that the scheduler itself ended before they began.
    given_up: BTreeSet<JobRef>,
    /// Jobs of this user that are not ours: pending, and pending or running; `None` where they were not asked for.
    foreign: Option<(u32, u32)>,
    has_queue: bool,
    /// The reason why nothing may be submitted yet: it is not known whose limits hold there.
    held: Option<String>,
    /// Time that a job must be missing before it counts as absent.
    confirm_after: Duration,
}

/// The waits before a scheduler whose answer could not be used is asked again.
const ASKED_AGAIN: BackOff = BackOff { first: Duration::from_secs(2), longest: Duration::from_secs(64) };

/// Time that a job must be missing from a listing that may be incomplete.
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

    /// Records whether there are jobs in this cluster. If a computer has jobs in several clusters, one that does
    /// not answer is not the trouble of the whole computer.
    fn tell_use(&self) {
        if let Some(cluster) = &self.cluster {
            let is_other = self.other_cluster().is_some();
            self.cx.clusters.set(&self.computer, cluster, is_other && !self.watched.is_empty());
        }
    }

    /// Returns the name of the cluster to ask; `None` for the home cluster. The home cluster may have become known
    /// only after the job ids were stored.
    fn other_cluster(&self) -> Option<&str> {
        let home = self.cx.home_cluster(&self.computer);
        self.cluster.as_deref().filter(|cluster| Some(*cluster) != home.as_deref())
    }

    /// Returns whether there is anything to ask the computer now. A disabled computer is asked about its jobs
    /// alone, and one in trouble about nothing.
    fn has_work(&self) -> bool {
        let health = &self.cx.health;
        let gate = self.is_wanted() && !health.is_disabled(&self.computer);
        (gate || !self.watched.is_empty()) && health.admits(&self.computer)
    }

    /// Returns whether a process waits at the gate. The poller of the home cluster keeps the computer's gate.
    fn is_wanted(&self) -> bool {
        self.cluster.is_none() && self.cx.gates.is_wanted(&self.computer)
    }

    /// Waits until there is something to ask. Returns false if the executor has ended.
    async fn rest(
        &mut self,
        inbox: &mut mpsc::UnboundedReceiver<Word>,
        changes: &mut watch::Receiver<u64>,
    ) -> bool {
        while !self.has_work() {
            if !self.cx.health.admits(&self.computer) {
                // It would keep a connection that is given up.
                self.watcher.stop();
            }
            // A cluster that is not asked is not reported as silent.
            self.cx.clusters.answered(&self.computer, self.cluster.as_deref());
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
                self.pace.submitted(self.watcher.is_watching());
                self.cx.gates.arrived(&self.computer, watch.process);
                let fresh = Watched { watch, look_at, missed: 0, missing_since: None, is_left: false };
                self.watched.insert(fresh.watch.process, fresh);
            }
            Word::Want { process, refused } => {
                self.pace.hurry();
                self.is_asked = true;
                self.cx.gates.want(&self.cx.store, &self.computer, process, refused);
            }
            Word::Forget(process) => {
                // All pollers receive this, at different times; the process may have come to its gate again
                // meanwhile.
                if self.cluster.is_none() {
                    self.cx.gates.forget(&self.computer, process);
                }
                self.watched.remove(&process);
            }
        }
    }

    async fn look(&mut self) {
        let start = Instant::now();
        let floor = self.floor();
        let epoch = self.cx.health.epoch(&self.computer);
        match self.ask().await {
            Ok(findings) => {
                self.failures = 0;
                self.cx.clusters.answered(&self.computer, self.cluster.as_deref());
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
                let granted = is_whole && admit(&self.cx, &self.computer, seen, &self.events).await;
                self.pace.looked(start, floor, changed || granted, self.is_wanted());
            }
            Err(error) => self.failed(&error, epoch, start).await,
        }
    }

    /// Stores the warnings of the home cluster's scheduler for `ferry status`.
    async fn note(&self, notice: Option<String>) {
        let stored = self.cx.store.host(&self.computer);
        if self.cluster.is_some() || stored.is_ok_and(|host| host.notice == notice) {
            return;
        }
        if let Some(notice) = &notice {
            tracing::warn!(computer = self.computer, notice, "the scheduler answers with a warning");
        }
        let change = HostChange::Notice(notice);
        let changes = vec![Change::Host { computer: self.computer.clone(), change }];
        if let Err(error) = self.cx.store.commit(changes).await {
            tracing::warn!(%error, "a warning of the scheduler could not be stored");
        }
    }

    async fn ask(&self) -> scheduler::Result<Findings> {
        let failed = |text: String| {
            scheduler::Error::new(scheduler::ErrorKind::Unreadable, "poll").message(text).later()
        };
        let (row, via) = match self.cx.connect(&self.computer).await {
            Ok(connected) => connected,
            Err(error) => {
                let error = scheduler::Error::new(scheduler::ErrorKind::Unreachable, "poll").source(error);
                return Err(error.later());
            }
        };
        let scheduler = self.cx.scheduler(&row.config).map_err(failed)?;
        let held = self.cx.learn_queue(&row.config, &via).await.err();
        let jobs: Vec<JobRef> = self.watched.values().map(|watched| watched.watch.job.clone()).collect();
        // Our jobs are not foreign, whichever computer they belong to.
        let tokens = self.cx.store.tokens().map_err(|error| failed(error.to_string()))?;
        let survey = scheduler.survey(&*via, self.other_cluster(), &jobs, &tokens).await?;
        self.sweep(&*scheduler, &*via, &survey.jobs).await;
        let (listed, proves_absence) = (survey.jobs, survey.proves_absence);
        let notice = (!survey.notices.is_empty()).then(|| survey.notices.join("; "));
        // The gate belongs to the home cluster.
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

    /// Ends what remains of jobs whose script has ended. Until nothing remains, they are watched and keep their
    /// place.
    async fn sweep(
        &self,
        scheduler: &dyn Scheduler,
        via: &dyn Transport,
        listed: &BTreeMap<JobRef, JobStatus>,
    ) {
        let is_left = |(_, status): &(&JobRef, &JobStatus)| status.state == JobState::Left;
        let left: Vec<JobRef> = listed.iter().filter(is_left).map(|(job, _)| job.clone()).collect();
        if left.is_empty() {
            return;
        }
        for (job, result) in left.iter().zip(scheduler.cancel(via, &left).await) {
            if let Err(error) = result {
                tracing::warn!(computer = self.computer, job = %job.id, %error, "processes that a job left behind \
                     could not be ended");
            }
        }
    }

    /// Sends news to the executor and the store. Returns whether there was any.
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
                    if matches!(observation, Some(Observation::Ended(_))) {
                        let odd = odd(marker, status);
                        let log = |message| Change::Log { process: *process, level: Level::Warning, message };
                        changes.extend(odd.map(log));
                    }
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

    /// Returns whether the error concerns the whole computer. A failed link does; so does a failed scheduler,
    /// unless jobs are in several clusters. In that case each cluster is asked again by itself.
    fn is_of_computer(&self, error: &scheduler::Error) -> bool {
        use scheduler::ErrorKind::{Ambiguous, Unreachable};
        let is_down = matches!(error.kind(), Unreachable | Ambiguous);
        let is_shared = self.cluster.is_none() && !self.cx.clusters.any(&self.computer);
        is_down && (is_shared || scheduler::is_of_link(error))
    }

    /// Returns the status changes for the processes at its gate while none is admitted.
    fn held(&self, why: String) -> Vec<Change> {
        if self.cluster.is_none() { self.cx.gates.held(&self.computer, why) } else { Vec::new() }
    }

    /// Stores for the processes at the gate that none is admitted until it is known whose limits hold.
    async fn hold(&self, error: &str) {
        let changes = self.held(format!("whose host has not reported its queue yet: {error}"));
        if !changes.is_empty()
            && let Err(error) = self.cx.store.commit(changes).await
        {
            tracing::warn!(%error, "the state of the waiting processes could not be stored");
        }
    }

    /// Handles a failed poll. The breaker watches a host in trouble; a poll with an unreadable answer is repeated.
    async fn failed(&mut self, error: &scheduler::Error, epoch: u64, start: Instant) {
        self.seen = None;
        self.watched.values_mut().for_each(Watched::forget_absence);
        if self.is_of_computer(error) {
            self.cx.clusters.answered(&self.computer, self.cluster.as_deref());
            self.pace.failed(start, Duration::ZERO);
            self.cx.host_failed(&self.computer, epoch, &error.explained()).await;
            return;
        }
        self.cx.clusters.failed(&self.computer, self.cluster.as_deref(), error.to_string());
        self.failures += 1;
        let wait = ASKED_AGAIN.wait(self.failures);
        self.pace.failed(start, wait);
        tracing::warn!(computer = self.computer, %error, "poll failed");
        let place = match &self.cluster {
            None => format!("computer `{}`", self.computer),
            Some(cluster) => format!("cluster `{cluster}` of computer `{}`", self.computer),
        };
        let status =
            format!("the job list of {place} can't be used: {error}; asking again in {} s", wait.as_secs());
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
