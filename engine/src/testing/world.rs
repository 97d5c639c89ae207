//! The world around a simulated owner: hosts with files and queues, and a time of its own. It outlives every crash
//! of the owner, and only it knows which jobs really ran.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep};

use super::{
    fate::{Fate, OpFault},
    files::Files,
    queue::{Host, HostSettings, Means, Outage, Truth},
    rng::Rng,
    trace::Watch,
};
use crate::scheduler::Limits;

/// Time after which a silent host is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Hosts, their files and their queues.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
    fate: Arc<Fate>,
    began: Instant,
}

#[derive(Debug)]
pub(super) struct State {
    files: Files,
    hosts: BTreeMap<&'static str, Host>,
    rng: Rng,
    /// Total time for which the owner's machine was suspended: the world went on, its clock did not.
    slept: Duration,
}

/// The reason why an operation brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// It was never sent.
    NotSent,
    /// It may have happened.
    Unknown,
}

impl World {
    /// Makes a world without faults and delays.
    pub fn quiet(hosts: Vec<HostSettings>) -> Arc<World> {
        let fate = Fate::new(BTreeMap::new(), BTreeMap::new(), BTreeSet::new(), Watch::Off);
        World::new(hosts, 0, Arc::new(fate))
    }

    pub(super) fn new(hosts: Vec<HostSettings>, seed: u64, fate: Arc<Fate>) -> Arc<World> {
        let mut files = Files::default();
        for host in &hosts {
            // A fresh tree takes any directory.
            let _ = files.mkdirs(&work_dir(host.name));
        }
        let hosts = hosts.into_iter().map(|settings| (settings.name, Host::new(settings))).collect();
        let state = State { files, hosts, rng: Rng::new(seed), slept: Duration::ZERO };
        Arc::new(World { state: Mutex::new(state), fate, began: Instant::now() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `look` with one host in its present state, which it may change.
    pub(super) fn with<T>(&self, host: &str, look: impl FnOnce(&mut Host, &mut Means<'_>) -> T) -> Option<T> {
        let mut state = self.lock();
        let State { files, hosts, rng, slept } = &mut *state;
        let now = self.began.elapsed() + *slept;
        files.now = SystemTime::from(crate::clock::now());
        let host = hosts.get_mut(host)?;
        let mut means = Means { now, files, rng, fate: &self.fate };
        host.advance(&mut means);
        Some(look(host, &mut means))
    }

    /// Does one remote operation. It takes its time, may be lost, and acts at most once.
    pub(super) async fn act<T>(
        &self,
        host: &str,
        what: &'static str,
        generation: Option<u64>,
        act: impl FnOnce(&mut Host, &mut Means<'_>, Option<OpFault>) -> T,
    ) -> Result<T, Lost> {
        let fault = self.fate.op(what);
        self.travel(host, what, generation, fault).await?;
        match fault {
            Some(OpFault::DieBefore) => return self.fate.die(&format!("{what}, before")).await,
            Some(OpFault::LostBefore) => {
                self.fate.note(format_args!("{what} on {host} is lost before"));
                return Err(Lost::Unknown);
            }
            _ => {}
        }
        let done = self.with(host, |host, means| act(host, means, fault)).ok_or(Lost::NotSent)?;
        self.fate.note(format_args!("{what} on {host}"));
        match fault {
            Some(OpFault::DieAfter) => return self.fate.die(&format!("{what}, after")).await,
            Some(OpFault::LostAfter) => {
                self.fate.note(format_args!("the answer of {what} on {host} is lost"));
                return Err(Lost::Unknown);
            }
            Some(OpFault::SlowAfter(time)) => sleep(time).await,
            _ => self.latency(host).await,
        }
        match self.outage(host, generation) {
            None => Ok(done),
            Some(_) => Err(Lost::Unknown),
        }
    }

    async fn travel(
        &self,
        host: &str,
        what: &'static str,
        generation: Option<u64>,
        fault: Option<OpFault>,
    ) -> Result<(), Lost> {
        if let Some(OpFault::SlowBefore(time)) = fault {
            sleep(time).await;
        }
        self.latency(host).await;
        let Some(outage) = self.outage(host, generation) else { return Ok(()) };
        self.fate.note(format_args!("{what}: {host} is away"));
        if outage == Outage::Silent {
            sleep(PATIENCE).await;
            return Err(Lost::Unknown);
        }
        Err(Lost::NotSent)
    }

    fn outage(&self, host: &str, generation: Option<u64>) -> Option<Outage> {
        let down = self.with(host, |host, means| {
            let down = host.down.filter(|(until, _)| means.now < *until).map(|(_, outage)| outage);
            let is_stale = generation.is_some_and(|generation| generation != host.generation);
            down.or(is_stale.then_some(Outage::Refuses))
        });
        down.unwrap_or(Some(Outage::Refuses))
    }

    async fn latency(&self, host: &str) {
        let drawn = self.with(host, |host, means| match host.settings.latency_max {
            0 => 0,
            max => means.rng.between(1, max),
        });
        if let Some(millis) = drawn.filter(|millis| *millis > 0) {
            sleep(Duration::from_millis(millis)).await;
        }
    }

    /// Lets the world go on while the owner's machine is suspended.
    pub(super) fn sleep_through(&self, time: Duration) {
        self.lock().slept += time;
    }

    /// Takes a host down for a while; its connections are lost.
    pub(super) fn take_down(&self, host: &str, lasts: Duration, outage: Outage) {
        self.with(host, |host, means| {
            host.down = Some((means.now + lasts, outage));
            host.generation += 1;
        });
    }

    /// Changes the limits of a host's computer.
    pub(super) fn limit(&self, host: &str, computer: &'static str, limits: Limits) {
        self.with(host, |host, _| host.limit(computer, limits));
    }

    /// Returns the true history of the jobs of each work directory, and the directories whose jobs are still in a
    /// queue.
    pub(super) fn truths(&self) -> (BTreeMap<PathBuf, Truth>, Vec<PathBuf>) {
        let names: Vec<&str> = self.lock().hosts.keys().copied().collect();
        let (mut truths, mut left) = (BTreeMap::new(), Vec::new());
        for name in names {
            self.with(name, |host, _| {
                truths.extend(host.truths().map(|(dir, truth)| (dir.clone(), truth.clone())));
                left.extend(host.left());
            });
        }
        (truths, left)
    }

    /// Ends all outages and refusals.
    pub(super) fn calm(&self) {
        for host in self.lock().hosts.values_mut() {
            host.down = None;
            host.refuses_until = Duration::ZERO;
        }
    }
}

/// Returns the base of work directories on a host.
pub fn work_dir(host: &str) -> PathBuf {
    Path::new("/remote").join(host)
}
