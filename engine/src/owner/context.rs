//! The context of every step: the open store, plugin hosts, transports, schedulers and settings.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use ferry_plugin_proto::{Check, StepReply, StepRequest, Validate, Validated, Work, WorkReply};

use tokio::sync::Notify;

use crate::{
    admission::{Clusters, Gates, Holds},
    computer::Computer,
    owner::{Health, Settings, learn_queue::Queues, logins::Logins, retry_until_done::Tried, waiters::Board},
    plugin::{self, Digest, Hosts, Library, PluginHostSettings, Plugins},
    profile::Paths,
    scheduler::{self, Demand, InUse, Scheduler, Schedulers},
    step::{StepError, StepResult},
    store::{ComputerRow, Error, ErrorKind, Lock, Objects, Result, Sharing, SqliteStore, Store},
    transport::{self, Transport, Transports, Trouble},
};

/// The implementations and locations that a program provides to own a profile.
#[derive(Debug, Clone)]
pub struct Builder {
    /// The profile.
    pub paths: Paths,
    /// Known transports.
    pub transports: Vec<Arc<dyn transport::Factory>>,
    /// Known schedulers.
    pub schedulers: Vec<Arc<dyn scheduler::Factory>>,
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
    /// Fails with `Owned` if another program owns the profile, or with an I/O error.
    pub fn own(&self, role: &str) -> Result<Owner> {
        self.paths.create().map_err(|error| {
            let error = Error::from_io("open profile", self.paths.root(), error);
            let known = error.help_text().map(str::to_owned);
            error.help(
                known
                    .as_deref()
                    .unwrap_or("FERRY_HOME must be a directory on a local disk to which you can write"),
            )
        })?;
        let lock = Lock::take(&self.paths.lock(), role)?;
        Ok(Owner { builder: self.clone(), lock })
    }
}

impl Owner {
    /// Opens the store and migrates it. Sets up what a new profile has: the computer `localhost` and the bundled
    /// plugins.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub async fn open(self) -> Result<Context> {
        let Owner { builder, lock } = self;
        let paths = builder.paths;
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&paths.store(), Objects::new(paths.objects()))?);
        let library = Library::new(&paths.plugins())
            .map_err(|error| Error::new(ErrorKind::Other, "open plugins").message(error.to_string()))?;
        let settings = Settings::read(&store)?;
        let health = Health::load(&store)?;
        let mut hosts = PluginHostSettings::new(builder.host_exe.clone());
        if let Some(max) = settings.plugin_max_hosts {
            hosts.max_hosts = max;
        }
        let context = Context {
            plugin_hosts: Arc::new(Hosts::new(hosts, library.clone())),
            transports: Transports::new(builder.transports),
            schedulers: Schedulers::new(builder.schedulers),
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
            logins: Logins::default(),
            orphaned: Notify::new(),
            cleanings: Notify::new(),
            board: Board::default(),
            _lock: Some(lock),
        };
        super::setup::first_time(&context).await?;
        Ok(context)
    }
}

/// The context of every step. There is one for each owner; dropping it releases the profile.
#[derive(Debug)]
pub struct Context {
    /// The profile's paths.
    pub paths: Paths,
    /// Its store.
    pub store: Arc<dyn Store>,
    /// Its plugin files.
    pub library: Library,
    /// The children that run plugins.
    pub plugin_hosts: Arc<dyn Plugins>,
    /// Connections to computers.
    pub transports: Transports,
    /// Known schedulers.
    pub schedulers: Schedulers,
    /// Settings, as they were at the start.
    pub settings: Settings,
    /// The health of the hosts of computers.
    pub health: Health,
    pub(crate) host_exe: PathBuf,
    pub(crate) bundled: Vec<PathBuf>,
    /// Log-ins with a person at hand.
    pub(crate) logins: Logins,
    /// Processes that wait for permission to submit.
    pub(crate) gates: Gates,
    /// Processes that a scheduler refused for now.
    pub(crate) holds: Holds,
    /// The hosts' answers about the queues of computers.
    pub(crate) queues: Queues,
    /// Clusters with jobs, beside the home clusters of computers.
    pub(crate) clusters: Clusters,
    /// Notified when a process ended whose job could not be cancelled.
    pub(crate) orphaned: Notify,
    /// Notified when a work directory is to be removed.
    pub(crate) cleanings: Notify,
    /// Waiters in this program for the end of a process.
    pub(crate) board: Board,
    // Last, so that everything else is closed before the profile is free.
    pub(crate) _lock: Option<Lock>,
}

impl Context {
    /// Asks a plugin to validate inputs.
    ///
    /// # Errors
    /// Returns an error of the plugin's host.
    pub async fn validate(&self, digest: &str, request: &Validate) -> plugin::Result<Validated> {
        self.plugin_hosts
            .validate(&parse(digest)?, request, Duration::from_secs(20).min(self.settings.plugin_timeout))
            .await
    }

    /// Asks a plugin to check data nodes.
    ///
    /// # Errors
    /// Returns an error of the plugin's host.
    pub async fn check_data(&self, digest: &str, request: &Check) -> plugin::Result<Validated> {
        let deadline = Duration::from_secs(20).min(self.settings.plugin_timeout);
        self.plugin_hosts.check(&parse(digest)?, request, deadline).await
    }

    /// Calls a plugin to work.
    ///
    /// # Errors
    /// Returns an error of the plugin's host.
    pub async fn work(&self, digest: &str, request: &Work) -> plugin::Result<WorkReply> {
        self.plugin_hosts.work(&parse(digest)?, request, self.settings.plugin_timeout).await
    }

    /// Calls a monitor to look at a job. Monitors must be quick; a slow one is ended.
    ///
    /// # Errors
    /// Returns an error of the plugin's host.
    pub async fn look(&self, digest: &str, request: &Work) -> plugin::Result<WorkReply> {
        let deadline = Duration::from_secs(20).min(self.settings.plugin_timeout);
        self.plugin_hosts.work(&parse(digest)?, request, deadline).await
    }

    /// Calls a plugin to take one step. Steps must be quick; a slow one is ended.
    ///
    /// # Errors
    /// Returns an error of the plugin's host.
    pub async fn step(&self, digest: &str, request: &StepRequest) -> plugin::Result<StepReply> {
        let deadline = Duration::from_secs(20).min(self.settings.plugin_timeout);
        self.plugin_hosts.step(&parse(digest)?, request, deadline).await
    }

    /// Returns a computer and an open connection to it.
    ///
    /// # Errors
    /// Fails with `Config` if the computer no longer exists. Fails with `CircuitOpen` while its host is in
    /// trouble, or if this very call found that out; then no other call tries to connect.
    pub async fn connect(&self, label: &str) -> transport::Result<(ComputerRow, Arc<dyn Transport>)> {
        let gone =
            |error: Error| transport::Error::new(transport::ErrorKind::Config, "connect").source(error);
        let row = self.store.computer(label).map_err(gone)?;
        if let Some(via) = self.transports.opened(&row.config).await
            && self.health.admits(label)
        {
            return Ok((row, via));
        }
        let turn = self.health.turn(label);
        let _turn = turn.lock().await;
        if !self.health.admits(label) {
            return Err(self.circuit_open(label));
        }
        match self.transports.get(&row.config).await {
            Ok(via) => Ok((row, via)),
            Err(error) => {
                self.transports.forget(label).await;
                let trouble = Trouble::of(&error).unwrap_or(Trouble::Passing);
                tracing::warn!(computer = label, %error, "the computer can't be reached");
                self.health.failed(label, None, trouble, &error.explained(), row.config.probe_pace());
                Err(self.circuit_open(label))
            }
        }
    }

    fn circuit_open(&self, computer: &str) -> transport::Error {
        let waiting = match self.health.waiting(computer) {
            0 => String::new(),
            1 => "; 1 process waits for it".to_owned(),
            many => format!("; {many} processes wait for it"),
        };
        transport::Error::new(transport::ErrorKind::CircuitOpen, "connect")
            .message(format!("computer `{computer}` is unreachable{waiting}"))
            .later()
    }

    /// Notifies the gates that a ticket was returned and there may be room.
    pub(crate) fn ticket_freed(&self) {
        self.gates.free();
    }

    /// Records that a connection was lost, or that a scheduler does not answer. `epoch` is that of the computer's
    /// breaker when the work began.
    pub(crate) async fn host_failed(&self, computer: &str, epoch: u64, error: &str) {
        let pace = self.store.computer(computer).map(|row| row.config.probe_pace()).unwrap_or_default();
        if self.health.failed(computer, Some(epoch), Trouble::Passing, error, pace) {
            tracing::warn!(computer, error, "the computer is unreachable");
            self.transports.forget(computer).await;
        }
    }

    /// Reports the result of background work, with its error in words. Host trouble is recorded as it is for a
    /// process, so that the next connection is a new one.
    pub(crate) async fn tell_host<T>(
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

    /// Returns the scheduler of a computer.
    ///
    /// # Errors
    /// Returns a text that lists the known schedulers, or names the setting that does not fit.
    pub fn scheduler(&self, computer: &Computer) -> Result<Arc<dyn Scheduler>, String> {
        self.schedulers.of(computer).map_err(|error| match error.help_text() {
            Some(help) => format!("{error}; {help}"),
            None => error.to_string(),
        })
    }

    /// Returns whether the listings and the start gate of a computer can be trusted. They always can where the
    /// scheduler's listing is authoritative, elsewhere once a test job has proved it.
    pub(crate) fn is_proven(&self, computer: &Computer) -> Result<bool> {
        let scheduler = self.scheduler(computer);
        let is_obvious = scheduler.is_ok_and(|scheduler| scheduler.capabilities().listing_is_authoritative);
        Ok(is_obvious || self.store.host(&computer.label)?.is_proven(computer))
    }

    /// Wakes the cleaner, since there may be a work directory to remove.
    pub(crate) fn hurry_cleaner(&self) {
        self.cleanings.notify_one();
    }

    /// Returns whether the scheduler has refused jobs of this computer, or of one that shares its queue, for want
    /// of room.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub(crate) fn has_learned_limit(&self, computer: &str) -> Result<bool> {
        Ok(self.gates.has_learned_limit(&self.store.sharing(computer)?))
    }

    /// Returns whether submissions to a computer need permission. They do if it, or one that shares its queue, has
    /// limits, or if the scheduler has refused jobs for want of room.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub(crate) fn is_bounded(&self, computer: &str) -> Result<bool> {
        let sharing = self.store.sharing(computer)?;
        Ok(sharing.limits().any() || self.gates.has_learned_limit(&sharing))
    }

    /// Returns whether jobs of a computer run side by side on the host that answers, and share its resources.
    pub(crate) fn shares_host(&self, computer: &Computer) -> bool {
        self.scheduler(computer).is_ok_and(|scheduler| scheduler.capabilities().shares_host)
    }

    /// Returns whether a process already waits for room on the machine that a job wants a share of.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub(crate) fn is_crowded(&self, computer: &str, demand: &Demand) -> Result<bool> {
        let sharing = self.store.sharing(computer)?;
        let Some(capacity) = sharing.capacity(computer) else { return Ok(false) };
        // A job whose demand can never be met does not wait: it fails at once.
        let waits_in_turn = capacity.bounds(demand) && capacity.never(demand).is_none();
        Ok(waits_in_turn && self.gates.is_any_wanted(&sharing))
    }

    /// Returns the resources that jobs use of a machine that computers share.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub(crate) fn in_use(&self, sharing: &Sharing) -> Result<InUse> {
        let mut used = InUse::default();
        for label in sharing.labels() {
            self.store.tickets(label)?.iter().for_each(|ticket| ticket.add_to(&mut used));
        }
        Ok(used)
    }

    /// Returns the cluster that the scheduler of a computer uses by default, once it is known.
    pub(crate) fn home_cluster(&self, computer: &str) -> Option<String> {
        let row = self.store.computer(computer).ok()?;
        let scheduler = self.scheduler(&row.config).ok()?;
        let names = scheduler.capabilities().has_clusters;
        names.then(|| self.home_queue(&row.config).ok().flatten())?.map(|key| key.queue)
    }

    /// Learns the home cluster of a computer, if it is not known yet. Stored ids need it for their normal form. If
    /// it can't be learned now, the poller compares again.
    pub(crate) async fn learn_home(&self, computer: &Computer, via: &Arc<dyn Transport>) {
        let scheduler = self.scheduler(computer);
        let names = scheduler.is_ok_and(|scheduler| scheduler.capabilities().has_clusters);
        if names && self.home_cluster(&computer.label).is_none() {
            let _ = self.learn_queue(computer, via).await;
        }
    }

    /// Returns whether jobs of a computer are in clusters other than its home cluster.
    pub(crate) fn has_other_clusters(&self, computer: &str) -> bool {
        self.clusters.any(computer)
    }

    /// Creates a scratch directory; its error is a store error.
    pub(crate) fn scratch(&self, what: &str) -> Result<tempfile::TempDir> {
        self.paths
            .scratch(what)
            .map_err(|error: io::Error| Error::from_io("scratch", &self.paths.scratch_dir(), error))
    }
}

fn parse(digest: &str) -> plugin::Result<Digest> {
    digest.parse().map_err(|_| {
        plugin::Error::new(plugin::ErrorKind::Changed, "plugin")
            .message(format!("`{digest}` is not a digest"))
    })
}
