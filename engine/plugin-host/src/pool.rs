//! The pool of hosts: for each digest a few children, reused, started on demand, ended when idle.
//!
//! ```text
//! call --permit of the digest's lane (FIFO)--> idle host, or a new one --> call --> back to idle
//!                                                                            \--> ended, if it misbehaved
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use ferry_engine_core::back_off::BackOff;
use ferry_plugin_abi::method;
use ferry_plugin_proto::{
    Check, StepReply, StepRequest, Task, Validate, Validated, Work, WorkReply, decode, encode,
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{OnceCell, Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Digest, Error, ErrorKind, Library, Result,
    host::{Host, Request},
};

/// Pauses before a host is started again after one failed to start.
const PAUSES: BackOff = BackOff { first: Duration::from_millis(100), longest: Duration::from_secs(10) };

/// A service that answers for plugins: their hosts, or in a simulation plain code.
#[async_trait]
pub trait Plugins: std::fmt::Debug + Send + Sync {
    /// Has a plugin check inputs.
    ///
    /// # Errors
    /// As [`Hosts::call`].
    async fn validate(&self, digest: &Digest, request: &Validate, deadline: Duration) -> Result<Validated>;

    /// Has a plugin do a task.
    ///
    /// # Errors
    /// As [`Hosts::call`].
    async fn work(&self, digest: &Digest, request: &Work, deadline: Duration) -> Result<WorkReply>;

    /// Has a plugin take one step of a process.
    ///
    /// # Errors
    /// As [`Hosts::call`].
    async fn step(&self, digest: &Digest, request: &StepRequest, deadline: Duration) -> Result<StepReply>;

    /// Has a plugin check data nodes. By default there are no problems.
    ///
    /// # Errors
    /// As [`Hosts::call`].
    async fn check(&self, digest: &Digest, request: &Check, deadline: Duration) -> Result<Validated> {
        let _ = (digest, request, deadline);
        Ok(Validated::default())
    }

    /// Returns the current children by process id, with the digests that they run.
    fn running(&self) -> Vec<(Digest, u32)>;

    /// Ends all hosts; every later call fails with `ShutDown`.
    async fn shutdown(&self);
}

#[async_trait]
impl Plugins for Hosts {
    async fn validate(&self, digest: &Digest, request: &Validate, deadline: Duration) -> Result<Validated> {
        Hosts::validate(self, digest, request, deadline).await
    }

    async fn work(&self, digest: &Digest, request: &Work, deadline: Duration) -> Result<WorkReply> {
        Hosts::work(self, digest, request, deadline).await
    }

    async fn step(&self, digest: &Digest, request: &StepRequest, deadline: Duration) -> Result<StepReply> {
        Hosts::step(self, digest, request, deadline).await
    }

    async fn check(&self, digest: &Digest, request: &Check, deadline: Duration) -> Result<Validated> {
        Hosts::check(self, digest, request, deadline).await
    }

    fn running(&self) -> Vec<(Digest, u32)> {
        Hosts::running(self)
    }

    async fn shutdown(&self) {
        Hosts::shutdown(self).await;
    }
}

/// Settings for running hosts.
#[derive(Debug, Clone)]
pub struct PluginHostSettings {
    /// The executable whose `plugin-host` command runs [`host_main`](super::host_main).
    pub exe: PathBuf,
    /// Most hosts of one digest.
    pub max_hosts: usize,
    /// Time without work after which a host is ended.
    pub idle: Duration,
    /// Most time that a host may take to load its plugin.
    pub start: Duration,
}

impl PluginHostSettings {
    /// Makes the default settings: as many hosts as cores, half a minute of idleness, ten seconds to start.
    pub fn new(exe: PathBuf) -> Self {
        PluginHostSettings {
            exe,
            max_hosts: std::thread::available_parallelism().map_or(1, Into::into),
            idle: Duration::from_secs(30),
            start: Duration::from_secs(10),
        }
    }
}

/// All plugin hosts of a daemon. Dropping it ends them at once; [`Hosts::shutdown`] lets them flush.
#[derive(Debug)]
pub struct Hosts {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: PluginHostSettings,
    library: Library,
    lanes: Mutex<HashMap<(Digest, Purpose), Arc<Lane>>>,
    census: Arc<Census>,
    closing: watch::Sender<bool>,
    sweeper: Once,
}

/// The purpose of a host. Steps are quick and never queue behind work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Purpose {
    Work,
    Steps,
}

/// The hosts of one digest, for one purpose.
#[derive(Debug)]
struct Lane {
    digest: Digest,
    permits: Semaphore,
    idle: Mutex<Vec<Seat>>,
    /// The plugin's name and version, once its private copy has been verified by this process.
    plugin: OnceCell<Arc<str>>,
    starts: Mutex<Starts>,
}

/// A host in the pool.
#[derive(Debug)]
struct Seat {
    host: Host,
    idle_since: Instant,
    _entry: Entry,
}

/// The results of the last starts.
#[derive(Debug, Default)]
struct Starts {
    failures: u32,
    not_before: Option<Instant>,
}

/// The current children, by process id.
#[derive(Debug, Default)]
struct Census {
    children: Mutex<BTreeMap<u32, Digest>>,
}

/// One child's line in the [`Census`].
#[derive(Debug)]
struct Entry {
    census: Arc<Census>,
    pid: u32,
}

impl Hosts {
    /// Makes a pool without hosts yet, for the plugins of `library`.
    pub fn new(settings: PluginHostSettings, library: Library) -> Self {
        let inner = Inner {
            settings,
            library,
            lanes: Mutex::default(),
            census: Arc::default(),
            closing: watch::Sender::new(false),
            sweeper: Once::new(),
        };
        Hosts { inner: Arc::new(inner) }
    }

    /// Sends a request to a plugin and returns its reply. When all hosts of the digest are busy, it waits in line;
    /// the deadline counts from the sending.
    ///
    /// # Errors
    /// `Refused`, `Panicked` and `BadReply` by the plugin; `TimedOut` and `Crashed` when its host was ended or
    /// died (worth another attempt, effect unknown); `Changed`, `ShutDown`, `Io`, and those of loading.
    ///
    /// # Cancel safety
    /// A dropped future ends the host that was busy with it.
    pub async fn call(
        &self,
        digest: &Digest,
        method: u32,
        request: &[u8],
        deadline: Duration,
    ) -> Result<Vec<u8>> {
        let what = format!("answering request {method}");
        self.ask(digest, Request { what: &what, method, payload: request, deadline }).await
    }

    /// Has a plugin take one step of a process.
    ///
    /// # Errors
    /// As [`Hosts::call`].
    pub async fn step(
        &self,
        digest: &Digest,
        request: &StepRequest,
        deadline: Duration,
    ) -> Result<StepReply> {
        let what = format!("stepping {}", request.process_type);
        let payload = encode(request);
        let asked = Request { what: &what, method: method::STEP, payload: &payload, deadline };
        self.ask(digest, asked).await.and_then(|reply| read_reply(&reply, &what))
    }

    /// Has a plugin check inputs.
    ///
    /// # Errors
    /// As [`Hosts::call`].
    pub async fn validate(
        &self,
        digest: &Digest,
        request: &Validate,
        deadline: Duration,
    ) -> Result<Validated> {
        let what = format!("validating the inputs of {}", request.process_type);
        let payload = encode(request);
        let asked = Request { what: &what, method: method::VALIDATE, payload: &payload, deadline };
        self.ask(digest, asked).await.and_then(|reply| read_reply(&reply, &what))
    }

    /// Has a plugin do a task.
    ///
    /// # Errors
    /// As [`Hosts::call`].
    pub async fn work(&self, digest: &Digest, request: &Work, deadline: Duration) -> Result<WorkReply> {
        let verb = match request.task {
            Task::Call { .. } => "calling",
            Task::Prepare { .. } => "preparing",
            Task::Parse { .. } => "parsing for",
            Task::Want {} | Task::Watch { .. } => "monitoring by",
        };
        let what = format!("{verb} {}", request.process_type);
        let payload = encode(request);
        let asked = Request { what: &what, method: method::WORK, payload: &payload, deadline };
        self.ask(digest, asked).await.and_then(|reply| read_reply(&reply, &what))
    }

    /// Returns the current children by process id, with the digests that they run.
    pub fn running(&self) -> Vec<(Digest, u32)> {
        let children = lock(&self.inner.census.children);
        children.iter().map(|(pid, digest)| (digest.clone(), *pid)).collect()
    }

    /// Ends all hosts. Idle ones may flush; busy ones are killed and their calls fail with `ShutDown`, as does
    /// every later call.
    pub async fn shutdown(&self) {
        self.inner.closing.send_replace(true);
        let lanes: Vec<_> = lock(&self.inner.lanes).values().cloned().collect();
        let mut ending = JoinSet::new();
        for lane in lanes {
            lane.permits.close();
            let seats = std::mem::take(&mut *lock(&lane.idle));
            seats.into_iter().for_each(|seat| drop(ending.spawn(seat.end())));
        }
        ending.join_all().await;
    }

    pub(super) async fn ask(&self, digest: &Digest, request: Request<'_>) -> Result<Vec<u8>> {
        self.inner.sweeper.call_once(|| {
            tokio::spawn(sweep(Arc::downgrade(&self.inner), self.inner.settings.idle));
        });
        let purpose = if request.method == method::STEP { Purpose::Steps } else { Purpose::Work };
        let lane = self.inner.lane(digest, purpose);
        let mut closing = self.inner.closing.subscribe();
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => Err(shut_down()),
            reply = self.inner.ask(&lane, request) => reply,
        }
    }
}

impl Inner {
    fn lane(&self, digest: &Digest, purpose: Purpose) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        let new = || Arc::new(self.new_lane(digest, purpose));
        lanes.entry((digest.clone(), purpose)).or_insert_with(new).clone()
    }

    fn new_lane(&self, digest: &Digest, purpose: Purpose) -> Lane {
        let hosts = if purpose == Purpose::Steps { 1 } else { self.settings.max_hosts.max(1) };
        Lane {
            digest: digest.clone(),
            permits: Semaphore::new(hosts),
            idle: Mutex::default(),
            plugin: OnceCell::new(),
            starts: Mutex::default(),
        }
    }

    async fn ask(&self, lane: &Lane, request: Request<'_>) -> Result<Vec<u8>> {
        // Given back after the seat, so that the next in line finds the seat.
        let _permit = lane.permits.acquire().await.map_err(|_| shut_down())?;
        let mut seat = match lane.take_idle() {
            Some(seat) => seat,
            None => self.start(lane).await?,
        };
        let reply = seat.host.call(&request).await;
        seat.idle_since = Instant::now();
        let mut idle = lock(&lane.idle);
        // Done under the lock: either `shutdown` finds the seat, or its signal is seen here.
        if seat.host.is_fit() && !*self.closing.borrow() {
            idle.push(seat);
        }
        reply
    }

    async fn start(&self, lane: &Lane) -> Result<Seat> {
        let plugin = lane.plugin.get_or_try_init(|| self.verify(&lane.digest)).await?.clone();
        lane.pause().await;
        let path = self.library.path(&lane.digest);
        let started = Host::start(&self.settings.exe, &path, plugin, self.settings.start).await;
        lock(&lane.starts).note(started.is_ok(), Instant::now());
        let host = started?;
        let entry = Census::enter(&self.census, host.pid(), &lane.digest);
        Ok(Seat { host, idle_since: Instant::now(), _entry: entry })
    }

    async fn verify(&self, digest: &Digest) -> Result<Arc<str>> {
        let (library, wanted) = (self.library.clone(), digest.clone());
        let facts = tokio::task::spawn_blocking(move || library.verify(&wanted)).await;
        let facts = facts.map_err(|cause| Error::new(ErrorKind::Io, "verify plugin").source(cause))??;
        Ok(format!("{} {}", facts.name, facts.version).into())
    }

    fn take_stale(&self) -> Vec<Seat> {
        let lanes: Vec<_> = lock(&self.lanes).values().cloned().collect();
        lanes.iter().flat_map(|lane| lane.take_stale(self.settings.idle)).collect()
    }
}

impl Lane {
    /// Takes the host that worked last, so that the others become stale. Dead ones are skipped.
    fn take_idle(&self) -> Option<Seat> {
        loop {
            let seat = lock(&self.idle).pop()?;
            if seat.host.is_fit() {
                return Some(seat);
            }
        }
    }

    fn take_stale(&self, idle: Duration) -> Vec<Seat> {
        lock(&self.idle)
            .extract_if(.., |seat| !seat.host.is_fit() || seat.idle_since.elapsed() >= idle)
            .collect()
    }

    async fn pause(&self) {
        let not_before = lock(&self.starts).not_before;
        if let Some(instant) = not_before {
            sleep_until(instant).await;
        }
    }
}

impl Starts {
    fn note(&mut self, is_ok: bool, now: Instant) {
        if is_ok {
            *self = Starts::default();
            return;
        }
        self.failures += 1;
        let pause = PAUSES.wait(self.failures);
        self.not_before = Some(now + pause);
    }
}

impl Seat {
    async fn end(self) {
        self.host.end().await;
    }
}

impl Census {
    fn enter(census: &Arc<Census>, pid: u32, digest: &Digest) -> Entry {
        lock(&census.children).insert(pid, digest.clone());
        Entry { census: census.clone(), pid }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.census.children).remove(&self.pid);
    }
}

/// Ends hosts that have been idle for long, until the pool is dropped.
async fn sweep(pool: Weak<Inner>, idle: Duration) {
    let period = (idle / 4).clamp(Duration::from_millis(10), Duration::from_secs(5));
    loop {
        sleep(period).await;
        let Some(pool) = pool.upgrade() else { return };
        for seat in pool.take_stale() {
            tokio::spawn(seat.end());
        }
    }
}

pub(super) fn read_reply<T: DeserializeOwned>(reply: &[u8], what: &str) -> Result<T> {
    decode(reply).map_err(|problem| {
        Error::new(ErrorKind::BadReply, "plugin")
            .message(format!("the plugin's reply can't be read: {problem}"))
            .with("during", what)
    })
}

fn shut_down() -> Error {
    Error::new(ErrorKind::ShutDown, "plugin").message("the plugin hosts are shutting down").later()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_failing_starts_grow_to_a_bound() {
        let (mut starts, now) = (Starts::default(), Instant::now());
        let pauses: Vec<_> = std::iter::repeat_with(|| {
            starts.note(false, now);
            (starts.not_before.unwrap() - now).as_millis()
        })
        .take(10)
        .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
        starts.note(true, now);
        assert!(starts.not_before.is_none());
    }

    #[tokio::test]
    async fn a_digest_without_a_copy_is_told_from_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = Hosts::new(PluginHostSettings::new("/none".into()), Library::new(dir.path()).unwrap());
        let error = hosts.call(&Digest::of(b"x"), 0, &[], Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Changed);
        hosts.shutdown().await;
        let error = hosts.call(&Digest::of(b"x"), 0, &[], Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::ShutDown);
    }
}
