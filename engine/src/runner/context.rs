//! What every step works with: the open store, plugin hosts, transports, schedulers and settings.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use ferry_plugin_proto::{Check, StepReply, StepRequest, Validate, Validated, Work, WorkReply};

use tokio::sync::Notify;

use super::{
    Health, RetryPlan, board::Board, clusters::Clusters, gate::Gates, holds::Holds, keep_at::Tried,
    queues::Queues, settings::Settings,
};
use crate::{
    calcjob::{self, StepError, StepResult},
    computer::Computer,
    plugin::{self, Digest, HostSettings, Hosts, Library, Plugins},
    profile::Paths,
    scheduler::{Demand, InUse, Scheduler},
    store::{ComputerRow, Error, ErrorKind, Lock, Objects, Process, Result, Sharing, SqliteStore, Store},
    transport::{self, Transport, Transports, Trouble},
};

/// Schedulers by name.
pub type Schedulers = BTreeMap<&'static str, Arc<dyn Scheduler>>;

/// What a program brings along to own a profile: implementations, and where things are.
#[derive(Debug, Clone)]
pub struct Builder {
    /// The profile.
    pub paths: Paths,
    /// Known transports.
    pub transports: Vec<Arc<dyn transport::Factory>>,
    /// Known schedulers.
    pub schedulers: Schedulers,
    /// The executable that answers `plugin-host PATH`.
    pub host_exe: PathBuf,
    /// Directories that hold bundled plugin files.
    pub bundled: Vec<PathBuf>,
}

/// A profile whose lock is held, but whose store is not open yet.
#[derive(Debug)]
pub struct Owner {
    builder: Builder,
    lock: Lock,
}

impl Builder {
    /// Takes the profile's lock.
    ///
    /// # Errors
    /// `Owned`, and the disk's.
    pub fn own(&self, role: &str) -> Result<Owner> {
        self.paths.create().map_err(|error| {
            let error = Error::from_io("open profile", self.paths.root(), error);
            let known = error.help_text().map(str::to_owned);
            error.help(
                known
                    .as_deref()
                    .unwrap_or("FERRY_HOME must be a directory on a local disk that you can write"),
            )
        })?;
        let lock = Lock::take(&self.paths.lock(), role)?;
        Ok(Owner { builder: self.clone(), lock })
    }
}

impl Owner {
    /// Opens the store, brings it up to date, and sets up what a new profile has: the computer `localhost` and
    /// the bundled plugins.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(self) -> Result<Context> {
        let Owner { builder, lock } = self;
        let paths = builder.paths;
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&paths.store(), Objects::new(paths.objects()))?);
        let library = Library::new(&paths.plugins())
            .map_err(|error| Error::new(ErrorKind::Other, "open plugins").message(error.to_string()))?;
        let settings = Settings::read(&store)?;
        let health = Health::load(&store)?;
        let mut hosts = HostSettings::new(builder.host_exe.clone());
        if let Some(max) = settings.plugin_max_hosts {
            hosts.max_hosts = max;
        }
        let context = Context {
            hosts: Arc::new(Hosts::new(hosts, library.clone())),
            transports: Transports::new(builder.transports),
            schedulers: builder.schedulers,
            host_exe: builder.host_exe,
            bundled: builder.bundled,
            paths,
            library,
            settings,
            health,
            store,
            gates: Gates::default(),
            holds: Holds::default(),
            queues: Queues::default(),
            clusters: Clusters::default(),
            orphaned: Notify::new(),
            cleanings: Notify::new(),
            board: Board::default(),
            _lock: Some(lock),
        };
        super::setup::first_time(&context).await?;
        Ok(context)
    }
}

/// What every step works with. One for each owner; dropping it lets the profile go.
#[derive(Debug)]
pub struct Context {
    /// The profile's paths.
    pub paths: Paths,
    /// Its store.
    pub store: Arc<dyn Store>,
    /// Its plugin files.
    pub library: Library,
    /// The children that run plugins.
    pub hosts: Arc<dyn Plugins>,
    /// Connections to computers.
    pub transports: Transports,
    /// Known schedulers.
    pub schedulers: Schedulers,
    /// Settings, as they were at the start.
    pub settings: Settings,
    /// How the hosts of computers are.
    pub health: Health,
    pub(super) host_exe: PathBuf,
    pub(super) bundled: Vec<PathBuf>,
    /// Who waits for leave to submit.
    pub(crate) gates: Gates,
    /// Who was told "not now" by a scheduler.
    pub(crate) holds: Holds,
    /// What their hosts were asked about the queues of computers.
    pub(super) queues: Queues,
    /// Clusters with jobs, beside the home clusters of computers.
    pub(super) clusters: Clusters,
    /// Told when a process ended whose job could not be cancelled.
    pub(super) orphaned: Notify,
    /// Told when a work directory is to be removed.
    pub(super) cleanings: Notify,
    /// Who waits in this program for the end of a process.
    pub(super) board: Board,
    // Last, so that everything else is closed before the profile is free.
    pub(super) _lock: Option<Lock>,
}

impl Context {
    /// Asks a plugin to judge inputs.
    ///
    /// # Errors
    /// The plugin's host's.
    pub async fn validate(&self, digest: &str, request: &Validate) -> plugin::Result<Validated> {
        self.hosts
            .validate(&parse(digest)?, request, Duration::from_secs(20).min(self.settings.plugin_timeout))
            .await
    }

    /// Asks a plugin to judge data nodes.
    ///
    /// # Errors
    /// The plugin's host's.
    pub async fn check_data(&self, digest: &str, request: &Check) -> plugin::Result<Validated> {
        let deadline = Duration::from_secs(20).min(self.settings.plugin_timeout);
        self.hosts.check(&parse(digest)?, request, deadline).await
    }

    /// Lets a plugin work.
    ///
    /// # Errors
    /// The plugin's host's.
    pub async fn work(&self, digest: &str, request: &Work) -> plugin::Result<WorkReply> {
        self.hosts.work(&parse(digest)?, request, self.settings.plugin_timeout).await
    }

    /// Lets a monitor look at a job: quick, and one that is not is ended.
    ///
    /// # Errors
    /// The plugin's host's.
    pub async fn look(&self, digest: &str, request: &Work) -> plugin::Result<WorkReply> {
        let deadline = Duration::from_secs(20).min(self.settings.plugin_timeout);
        self.hosts.work(&parse(digest)?, request, deadline).await
    }

    /// Lets a plugin take one step. Steps are quick; one that is not is ended.
    ///
    /// # Errors
    /// The plugin's host's.
    pub async fn step(&self, digest: &str, request: &StepRequest) -> plugin::Result<StepReply> {
        let deadline = Duration::from_secs(20).min(self.settings.plugin_timeout);
        self.hosts.step(&parse(digest)?, request, deadline).await
    }

    /// A computer and an open connection to it.
    ///
    /// # Errors
    /// `Config` for a computer that is gone; `CircuitOpen` while its host is in trouble, or when this very
    /// call found out: nobody else tries then.
    pub async fn connect(
        &self,
        computer: Option<&str>,
    ) -> transport::Result<(ComputerRow, Arc<dyn Transport>)> {
        let gone =
            |error: Error| transport::Error::new(transport::ErrorKind::Config, "connect").source(error);
        let label = computer.unwrap_or("localhost");
        let row = self.store.computer(label).map_err(gone)?;
        if let Some(via) = self.transports.opened(&row.config).await
            && self.health.admits(label)
        {
            return Ok((row, via));
        }
        let turn = self.health.turn(label);
        let _turn = turn.lock().await;
        if !self.health.admits(label) {
            return Err(circuit_open(label));
        }
        match self.transports.get(&row.config).await {
            Ok(via) => Ok((row, via)),
            Err(error) => {
                self.transports.forget(label).await;
                let trouble = Trouble::of(&error).unwrap_or(Trouble::Passing);
                tracing::warn!(computer = label, %error, "the computer can't be reached");
                self.health.failed(label, None, trouble, &error.explained(), row.config.probe_pace());
                Err(circuit_open(label))
            }
        }
    }

    /// Takes note that a ticket was given back: there may be room at a gate.
    pub(crate) fn ticket_freed(&self) {
        self.gates.free();
    }

    /// Takes note that a connection was lost, or a scheduler does not answer, during work that began under
    /// this epoch of the computer's breaker.
    pub(crate) async fn host_failed(&self, computer: &str, epoch: u64, error: &str) {
        let pace = self.store.computer(computer).map(|row| row.config.probe_pace()).unwrap_or_default();
        if self.health.failed(computer, Some(epoch), Trouble::Passing, error, pace) {
            tracing::warn!(computer, error, "the computer is in trouble");
            self.transports.forget(computer).await;
        }
    }

    /// What came of work that no process waits for, in words. The host's trouble is taken note of as it is for a
    /// process: whoever comes next gets a new connection, where nobody else would have asked for one.
    pub(super) async fn tell_host<T>(
        &self,
        computer: &str,
        epoch: u64,
        done: StepResult<T>,
    ) -> Result<T, (String, Tried)> {
        match done {
            Ok(done) => Ok(done),
            Err(StepError::Host(text) | StepError::Scheduler(text)) => {
                self.host_failed(computer, epoch, &text).await;
                Err((text, Tried::Failed))
            }
            Err(error @ StepError::Parked) => Err((error.to_string(), Tried::Barred)),
            Err(error) => Err((error.to_string(), Tried::Failed)),
        }
    }

    /// The scheduler of a name, `core.` in front or not.
    ///
    /// # Errors
    /// A text that lists the known ones.
    pub fn scheduler(&self, name: &str) -> Result<&Arc<dyn Scheduler>, String> {
        self.schedulers.get(name.strip_prefix("core.").unwrap_or(name)).ok_or_else(|| {
            let known: Vec<_> = self.schedulers.keys().copied().collect();
            format!("no scheduler is called `{name}`; this ferry has: {}", known.join(", "))
        })
    }

    /// What a process waits for, with what is known about its computer.
    pub(crate) fn status(&self, process: &Process) -> Option<String> {
        let label = process.computer.as_deref().unwrap_or_default();
        let host = self.store.host(label).unwrap_or_default();
        // Attempts are not told here.
        let told = calcjob::explain(process, &host, &RetryPlan::of(&self.settings, None));
        told.map_or_else(|| process.status.clone(), |told| told.waiting_for)
    }

    /// Whether listings and the start gate of a computer may be relied on: always where jobs are children of the
    /// host that answers, elsewhere once a test job has shown it.
    pub(crate) fn is_proven(&self, computer: &Computer) -> Result<bool> {
        let scheduler = self.scheduler(&computer.scheduler);
        let is_obvious = scheduler.is_ok_and(|scheduler| scheduler.capabilities().listing_is_authoritative);
        Ok(is_obvious || self.store.host(&computer.label)?.is_proven(computer))
    }

    /// There may be a work directory to be removed.
    pub(crate) fn hurry_cleaner(&self) {
        self.cleanings.notify_one();
    }

    /// Whether the scheduler of a computer has refused jobs for want of room, its own or those of another that shares its
    /// queue.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn is_clamped(&self, computer: &str) -> Result<bool> {
        Ok(self.gates.is_clamped(&self.store.sharing(computer)?))
    }

    /// Whether submissions to a computer need leave: it has limits, or one that shares its queue, or the scheduler has
    /// refused jobs for want of room.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn is_bounded(&self, computer: &str) -> Result<bool> {
        let sharing = self.store.sharing(computer)?;
        Ok(sharing.limits().any() || self.gates.is_clamped(&sharing))
    }

    /// Returns whether jobs of a computer run beside each other on the host that answers, and share what it has.
    pub(crate) fn shares_host(&self, computer: &Computer) -> bool {
        self.scheduler(&computer.scheduler).is_ok_and(|scheduler| scheduler.capabilities().shares_host)
    }

    /// Returns whether somebody waits already for room on the machine that a job wants a share of.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn is_crowded(&self, computer: &str, demand: &Demand) -> Result<bool> {
        let sharing = self.store.sharing(computer)?;
        let Some(capacity) = sharing.capacity(computer) else { return Ok(false) };
        // One that can never have what it asks for is told so at once.
        let waits_in_turn = capacity.bounds(demand) && capacity.never(demand).is_none();
        Ok(waits_in_turn && self.gates.is_any_wanted(&sharing))
    }

    /// Returns what the jobs of computers that share a machine have of it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn in_use(&self, sharing: &Sharing) -> Result<InUse> {
        let mut used = InUse::default();
        for label in sharing.labels() {
            self.store.tickets(label)?.iter().for_each(|ticket| ticket.add_to(&mut used));
        }
        Ok(used)
    }

    /// The cluster that the scheduler of a computer speaks to by itself, once that is known.
    pub(crate) fn home_cluster(&self, computer: &str) -> Option<String> {
        let row = self.store.computer(computer).ok()?;
        let scheduler = self.scheduler(&row.config.scheduler).ok()?;
        let names = scheduler.capabilities().has_clusters;
        names.then(|| self.home_queue(&row.config).ok().flatten())?.map(|key| key.queue)
    }

    /// Learns the home cluster of a computer, if that is not known yet: ids are stored in their normal form, which needs
    /// it. Where it can't be learned now, the poller compares again.
    pub(crate) async fn learn_home(&self, computer: &Computer, via: &Arc<dyn Transport>) {
        let scheduler = self.scheduler(&computer.scheduler);
        let names = scheduler.is_ok_and(|scheduler| scheduler.capabilities().has_clusters);
        if names && self.home_cluster(&computer.label).is_none() {
            let _ = self.learn_queue(computer, via).await;
        }
    }

    /// Whether jobs of a computer are in several clusters.
    pub(crate) fn has_other_clusters(&self, computer: &str) -> bool {
        self.clusters.any(computer)
    }

    /// A scratch directory that a store error can speak of.
    pub(crate) fn scratch(&self, what: &str) -> Result<tempfile::TempDir> {
        self.paths
            .scratch(what)
            .map_err(|error: io::Error| Error::from_io("scratch", &self.paths.scratch_dir(), error))
    }
}

fn circuit_open(computer: &str) -> transport::Error {
    transport::Error::new(transport::ErrorKind::CircuitOpen, "connect")
        .message(format!("computer `{computer}` is in trouble, and waited for"))
        .later()
}

fn parse(digest: &str) -> plugin::Result<Digest> {
    digest.parse().map_err(|_| {
        plugin::Error::new(plugin::ErrorKind::Changed, "plugin").message(format!("`{digest}` is no digest"))
    })
}
