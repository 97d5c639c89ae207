//! The director: lets owners work on a plan, replaces those that die, and judges the result.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ferry_plugin_proto::Value;
use jiff::SignedDuration;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    fate::Fate,
    plan::{Event, HostPlan, Known, LaunchPlan, Plan},
    plugins::ScriptedPlugins,
    rng::Rng,
    scheduler::ScriptedScheduler,
    tap::Tap,
    trace::Watch,
    transport::MemoryFactory,
    verdict,
    world::{World, work_dir},
};
use crate::{
    clock,
    computer::Computer,
    ids,
    process::{InputValue, Launch, Metadata, State},
    profile::Paths,
    rpc::{HostAction, Request, Response},
    scheduler::{self, Limits, QueueKey, Ready, Schedulers},
    store::{Change, HostChange, NodeId, Objects, ProcessFilter, Result, SqliteStore, Store, proof_of},
    testing::{Parts, Stage},
    transport::Factory,
};

/// Time between two looks of the user at paused processes and open decisions, once all faults have ended.
const LOOK: Duration = Duration::from_secs(300);
/// Time after the end of all faults at which the user tests the computers.
const TEST: Duration = Duration::from_secs(4 * 3600);
/// Time between a commit and the check whether everything is done.
const MOMENT: Duration = Duration::from_secs(1);
/// Time after the end of all faults in which everything must end, sleeps and jobs not counted.
const PATIENCE: Duration = Duration::from_secs(86_400);

/// The result of a simulation.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The violations: events that must never happen, and did.
    pub wrongs: Vec<String>,
    /// Digest of all commits, remote operations and their times, if they were watched.
    pub digest: String,
    /// The last lines of the trace, if it was kept as text.
    pub lines: Vec<String>,
    /// Number of commits that were tried before the end of all faults.
    pub commits: u64,
    /// Number of remote operations in that time.
    pub ops: u64,
    /// Number of an owner's deaths.
    pub crashes: u32,
    /// Duration, by its own clock.
    pub lasted: Duration,
    /// Number of processes.
    pub processes: usize,
    /// The call tree of each launch as text, without the parts that differ between two runs.
    pub trees: BTreeMap<String, String>,
    /// Launches in whose trees a process was killed or lost its job: their trees may differ.
    pub disturbed: BTreeSet<String>,
}

/// Runs a plan, and the same launches without its faults. Violations are in the report's `wrongs`.
///
/// # Errors
/// Returns the errors of the disk where the scratch files are.
pub fn try_out(plan: &Plan, watch: Watch) -> Result<Report> {
    let mut report = run(plan, watch)?;
    let ideal = run(&plan.without_faults(), Watch::Off)?;
    report.wrongs.extend(ideal.wrongs.iter().map(|wrong| format!("without faults: {wrong}")));
    for (label, tree) in &report.trees {
        let expected = ideal.trees.get(label);
        if !report.disturbed.contains(label) && expected != Some(tree) {
            let expected = expected.cloned().unwrap_or_default();
            report.wrongs.push(format!("graph differs of {label}:\n{tree}-- without faults:\n{expected}"));
        }
    }
    Ok(report)
}

/// Runs a plan on this thread, in virtual time.
///
/// # Errors
/// Returns the errors of the disk where the scratch files are.
pub fn run(plan: &Plan, watch: Watch) -> Result<Report> {
    let disk = |error| crate::store::Error::from_io("simulate", &scratch_root(), error);
    let home = tempfile::Builder::new().prefix("ferry-sim-").tempdir_in(scratch_root()).map_err(disk)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(disk)?;
    let paths = Paths::new(home.path(), "sim");
    let report = runtime.block_on(async {
        clock::simulated::set(jiff::Timestamp::constant(1_767_225_600, 0));
        ids::simulated::seed(plan.seed);
        match Director::new(plan, paths, watch).await {
            Ok(director) => director.direct().await,
            Err(error) => Err(error),
        }
    });
    drop(runtime);
    clock::simulated::clear();
    ids::simulated::clear();
    report
}

/// Returns the directory for scratch files, in memory if possible.
fn scratch_root() -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    if shared.is_dir() { shared } else { std::env::temp_dir() }
}

struct Director<'a> {
    plan: &'a Plan,
    fate: Arc<Fate>,
    world: Arc<World>,
    parts: Parts,
    tap: Arc<Tap>,
    /// The store, for its own consistency check.
    sqlite: SqliteStore,
    stage: Option<Stage>,
    rng: Rng,
    began: Instant,
    /// Launches that were answered, or found in the store after a crash.
    launched: BTreeMap<String, NodeId>,
    killed: BTreeSet<String>,
}

impl<'a> Director<'a> {
    async fn new(plan: &'a Plan, paths: Paths, watch: Watch) -> Result<Director<'a>> {
        let sqlite = SqliteStore::inline(Objects::new(paths.objects()))?;
        let store: Arc<dyn Store> = Arc::new(sqlite.clone());
        let mut known: Vec<Change> = plan.hosts.iter().flat_map(known_of).collect();
        known.push(Change::Plugin(Box::new(ScriptedPlugins::row())));
        store.commit(known).await?;

        let fate = Fate::new(plan.on_commit.clone(), plan.on_op.clone(), plan.on_call.clone(), watch);
        let fate = Arc::new(fate);
        let settings: Vec<_> = plan.hosts.iter().map(|host| host.settings.clone()).collect();
        let world = World::new(settings.clone(), plan.seed ^ 1, fate.clone());
        for host in &plan.hosts {
            for (label, config) in host.labels().zip(computers(host)) {
                world.limit(host.settings.name, label, Limits::of(&config).unwrap_or_default());
            }
        }
        let schedulers = settings.into_iter().map(|settings| {
            let name = settings.name;
            let scheduler = ScriptedScheduler::new(world.clone(), settings);
            Arc::new(Ready::new(name, scheduler)) as Arc<dyn scheduler::Factory>
        });
        let transport: Arc<dyn Factory> = Arc::new(MemoryFactory::new(world.clone()));
        let tap = Arc::new(Tap::new(store, fate.clone()));
        let parts = Parts {
            paths,
            store: tap.clone(),
            plugins: Arc::new(ScriptedPlugins::under(fate.clone(), plan.seed ^ 2)),
            transports: vec![transport],
            schedulers: Schedulers::new(schedulers),
        };
        Ok(Director {
            plan,
            fate,
            world,
            parts,
            tap,
            sqlite,
            stage: None,
            rng: Rng::new(plan.seed ^ 3),
            began: Instant::now(),
            launched: BTreeMap::new(),
            killed: BTreeSet::new(),
        })
    }

    async fn direct(mut self) -> Result<Report> {
        self.stage = Some(Stage::start(self.parts.clone())?);
        let plan = self.plan;
        let mut launches: Vec<&LaunchPlan> = plan.launches.iter().collect();
        launches.sort_by_key(|launch| launch.at);
        let (mut launches, mut events) = (launches.into_iter().peekable(), plan.events.iter().peekable());
        loop {
            let launch_at = launches.peek().map(|launch| launch.at);
            let event_at = events.peek().map(|(at, _)| *at);
            let Some(next) = launch_at.into_iter().chain(event_at).min() else { break };
            self.until(self.began + next).await?;
            if launch_at == Some(next) {
                if let Some(launch) = launches.next() {
                    self.launch(launch).await?;
                }
            } else if let Some((_, event)) = events.next() {
                self.happen(event).await?;
            }
        }
        self.until(self.began + plan.lasts).await?;
        self.settle().await?;
        self.judge()
    }

    /// Lets the owner work until then; replaces it if it dies.
    async fn until(&mut self, at: Instant) -> Result<()> {
        loop {
            let fate = self.fate.clone();
            tokio::select! {
                biased;
                () = fate.crashed() => self.replace().await?,
                () = sleep_until(at) => return Ok(()),
            }
        }
    }

    /// Replaces a dead owner after some time.
    async fn replace(&mut self) -> Result<()> {
        self.stage = None;
        self.tap.forget();
        // Its tasks are dropped at the runtime's next turn; none of them runs any further.
        tokio::task::yield_now().await;
        let pause = Duration::from_millis(*self.rng.pick(&[0, 1000, 20_000, 90_000]).unwrap_or(&0));
        sleep(pause.max(Duration::from_millis(1))).await;
        clock::simulated::restart();
        self.fate.note(format_args!("a new owner"));
        self.stage = Some(Stage::start(self.parts.clone())?);
        Ok(())
    }

    /// Asks the owner; `None`: it died, and was replaced.
    async fn ask(&mut self, request: Request) -> Result<Option<Response>> {
        let fate = self.fate.clone();
        let answer = match &self.stage {
            Some(stage) => tokio::select! {
                biased;
                () = fate.crashed() => None,
                answer = stage.ask(request) => Some(answer),
            },
            None => None,
        };
        if answer.is_none() {
            self.replace().await?;
        }
        Ok(answer)
    }

    /// Launches, and repeats it as a user would after a failure or without an answer.
    async fn launch(&mut self, launch: &LaunchPlan) -> Result<()> {
        let value =
            |value: &Value| InputValue::New { data_type: None, value: value.clone(), files: Vec::new() };
        let request = Launch {
            process_type: launch.process_type.to_owned(),
            inputs: launch.inputs.iter().map(|(port, given)| (port.clone(), value(given))).collect(),
            metadata: Metadata {
                label: launch.label.clone(),
                computer: launch.computer.map(str::to_owned),
                ..Metadata::default()
            },
            groups: Vec::new(),
        };
        loop {
            self.fate.note(format_args!("launch {}", launch.label));
            match self.ask(Request::Launch(Box::new(request.clone()))).await? {
                Some(Response::Launched(launched)) => {
                    self.launched.insert(launch.label.clone(), NodeId(launched.id));
                    return Ok(());
                }
                Some(Response::Failed { .. }) => self.until(Instant::now() + Duration::from_secs(5)).await?,
                Some(other) => {
                    self.fate.wrong(format!("launch of {} was answered with {other:?}", launch.label));
                    return Ok(());
                }
                None => {
                    let found = self.labelled(&launch.label)?;
                    if let Some(id) = found.first() {
                        self.launched.insert(launch.label.clone(), *id);
                        return Ok(());
                    }
                }
            }
        }
    }

    fn labelled(&self, label: &str) -> Result<Vec<NodeId>> {
        let all = self.parts.store.processes(&ProcessFilter::default())?;
        Ok(all.into_iter().filter(|process| process.label == label).map(|process| process.id).collect())
    }

    async fn happen(&mut self, event: &Event) -> Result<()> {
        self.fate.note(format_args!("event {event:?}"));
        let id = |label: &String| self.launched.get(label).map(|id| id.0);
        match event {
            Event::HostDown { host, lasts, outage } => self.world.take_down(host, *lasts, *outage),
            Event::Forgets(host) => drop(self.world.with(host, |host, means| host.forget(means.fate))),
            Event::Refuses { host, lasts } => {
                self.world.with(host, |host, means| host.refuses_until = means.now + *lasts);
            }
            Event::NodeFails(host) => drop(self.world.with(host, |host, means| host.fail_node(means))),
            Event::Foreign { host, count, seconds } => {
                self.world.with(host, |host, means| host.add_foreign(*count, *seconds, means.now));
            }
            Event::Limits { host, max_queued, max_active } => {
                self.limit(host, *max_queued, *max_active).await?;
            }
            Event::ClockBack(time) => {
                clock::simulated::jump(-SignedDuration::try_from(*time).unwrap_or_default());
            }
            Event::Suspend(time) => {
                self.world.sleep_through(*time);
                clock::simulated::jump(SignedDuration::try_from(*time).unwrap_or_default());
            }
            Event::StoreDown { lasts, kind } => self.fate.store_down(*lasts, *kind),
            Event::Kill { label, force } => {
                if let Some(id) = id(label) {
                    self.killed.insert(label.clone());
                    self.command(Request::Kill { processes: vec![id], force: *force }).await?;
                }
            }
            Event::Pause(label) => {
                if let Some(id) = id(label) {
                    self.command(Request::Pause { processes: vec![id], paused: true }).await?;
                }
            }
            Event::Play(label) => {
                if let Some(id) = id(label) {
                    self.command(Request::Pause { processes: vec![id], paused: false }).await?;
                }
            }
            Event::Disable(host) => {
                let reason = "as planned".to_owned();
                self.decide(host, HostAction::Disable { reason }).await?;
            }
            Event::HandOver => self.hand_over().await?,
            Event::Crash => self.replace().await?,
        }
        Ok(())
    }

    async fn decide(&mut self, host: &str, action: HostAction) -> Result<()> {
        self.command(Request::Host { computer: host.to_owned(), action }).await
    }

    /// Repeats a request until it is done, as a user would.
    async fn command(&mut self, request: Request) -> Result<()> {
        loop {
            match self.ask(request.clone()).await? {
                Some(Response::Done) => return Ok(()),
                Some(Response::Failed { .. }) => self.until(Instant::now() + Duration::from_secs(5)).await?,
                Some(other) => {
                    self.fate.wrong(format!("{request:?} was answered with {other:?}"));
                    return Ok(());
                }
                None => {}
            }
        }
    }

    async fn limit(
        &mut self,
        name: &'static str,
        max_queued: Option<u32>,
        max_active: Option<u32>,
    ) -> Result<()> {
        let Some(host) = self.plan.hosts.iter().find(|host| host.settings.name == name) else {
            return Ok(());
        };
        let config = computer(host, max_queued, max_active);
        let limits = Limits::of(&config).unwrap_or_default();
        // The world gets them before the owner: until the answer, the old or the new limits may hold.
        self.world.limit(name, name, limits);
        self.command(Request::Computer { config: Box::new(config), replace: true }).await
    }

    async fn hand_over(&mut self) -> Result<()> {
        if let Some(stage) = self.stage.take() {
            let fate = self.fate.clone();
            tokio::select! {
                biased;
                () = fate.crashed() => {}
                () = stage.stop() => {}
            }
        }
        self.replace().await
    }

    /// Ends all faults and waits: everything must come to its end now.
    async fn settle(&mut self) -> Result<()> {
        self.fate.note(format_args!("all causes are gone"));
        self.fate.calm();
        self.world.calm();
        let naps = self.plan.launches.iter().map(|launch| naps(&launch.inputs)).sum::<u64>();
        let deadline = Instant::now() + PATIENCE + Duration::from_secs(naps);
        let mut commits = self.parts.store.commits();
        let mut look = Instant::now();
        for label in self.plan.hosts.iter().flat_map(HostPlan::labels) {
            self.decide(label, HostAction::Enable).await?;
        }
        // Submissions that stay unclear on a computer without a test are settled by testing it.
        let mut test_at = Some(Instant::now() + TEST);
        while !self.is_at_rest()? {
            if Instant::now() > deadline {
                self.tell_stuck()?;
                break;
            }
            if Instant::now() >= look {
                self.play_all().await?;
                self.resubmit_all().await?;
                if test_at.take_if(|at| *at < Instant::now()).is_some() {
                    for label in self.plan.hosts.iter().flat_map(HostPlan::labels) {
                        self.decide(label, HostAction::Proven).await?;
                    }
                }
                look = Instant::now() + LOOK;
            }
            let fate = self.fate.clone();
            tokio::select! {
                biased;
                () = fate.crashed() => self.replace().await?,
                // Only one check after many commits.
                () = async { drop(commits.changed().await); sleep(MOMENT).await } => {}
                () = sleep_until(look) => {}
            }
        }
        // Jobs that are still on the hosts end too.
        self.until(Instant::now() + Duration::from_secs(7200)).await
    }

    fn is_at_rest(&self) -> Result<bool> {
        Ok(self.parts.store.live_processes()?.is_empty() && self.parts.store.orphans()?.is_empty())
    }

    async fn play_all(&mut self) -> Result<()> {
        let live = ProcessFilter { states: State::LIVE.to_vec(), ..ProcessFilter::default() };
        let paused = self.parts.store.processes(&live)?.into_iter().filter(|process| process.wishes.paused);
        let paused: Vec<i64> = paused.map(|process| process.id.0).collect();
        if paused.is_empty() {
            return Ok(());
        }
        self.command(Request::Pause { processes: paused, paused: false }).await
    }

    /// Lets the user decide about submissions that stay unclear.
    async fn resubmit_all(&mut self) -> Result<()> {
        let waiting = ProcessFilter { states: vec![State::Waiting], ..ProcessFilter::default() };
        for process in self.parts.store.processes(&waiting)? {
            let is_unclear = process.status.as_ref().is_some_and(|status| status.contains("unclear since"));
            if is_unclear && !process.wishes.kill {
                // One that has become clear meanwhile is refused.
                self.ask(Request::Resubmit(process.id.0)).await?;
            }
        }
        Ok(())
    }

    fn tell_stuck(&self) -> Result<()> {
        let live = ProcessFilter { states: State::LIVE.to_vec(), ..ProcessFilter::default() };
        for process in self.parts.store.processes(&live)? {
            self.fate.wrong(format!(
                "stuck: process {} ({}) is {}, {}",
                process.id,
                process.process_type,
                process.state.as_str(),
                process.status.unwrap_or_default()
            ));
        }
        for orphan in self.parts.store.orphans()? {
            self.fate.wrong(format!("stuck: orphan of process {}: {:?}", orphan.process, orphan.error));
        }
        Ok(())
    }

    fn judge(mut self) -> Result<Report> {
        self.stage = None;
        let (truths, left) = self.world.truths();
        let case = verdict::Case {
            reader: self.parts.store.reader(),
            plan: self.plan,
            killed: &self.killed,
            truths: &truths,
            left: &left,
        };
        let mut report = Report::default();
        verdict::judge(&case, &mut report)?;
        let findings = self.sqlite.check(false)?.into_iter();
        report.wrongs.extend(findings.map(|finding| format!("store: {}: {}", finding.rule, finding.what)));
        report.wrongs.splice(0..0, self.fate.wrongs());
        (report.commits, report.ops, report.crashes) = self.fate.counts();
        report.digest = self.fate.digest();
        report.lines = self.fate.lines();
        report.lasted = self.began.elapsed();
        Ok(report)
    }
}

fn computer(host: &HostPlan, max_queued: Option<u32>, max_active: Option<u32>) -> Computer {
    let name = host.settings.name;
    Computer {
        label: name.into(),
        hostname: name.into(),
        transport: "memory".into(),
        scheduler: name.into(),
        work_dir: work_dir(name).to_string_lossy().into_owned(),
        max_queued_jobs: max_queued,
        max_active_jobs: max_active,
        submit_rate: host.submit_rate.clone(),
        ..Computer::default()
    }
}

/// Returns the computers of a host, in the order of [`HostPlan::labels`].
fn computers(host: &HostPlan) -> Vec<Computer> {
    let first = computer(host, host.max_queued, host.max_active);
    let second = host.second.as_ref().map(|second| {
        let mut config = Computer { label: second.label.into(), submit_rate: None, ..first.clone() };
        (config.max_queued_jobs, config.max_active_jobs) = (second.max_queued, second.max_active);
        if second.known != Known::ByAddress {
            config.connection.insert("port".into(), 2222.into());
        }
        config
    });
    [first].into_iter().chain(second).collect()
}

/// Returns the initial changes about a host's computers in the store.
fn known_of(host: &HostPlan) -> Vec<Change> {
    let mut changes = Vec::new();
    let is_known = host.second.as_ref().is_some_and(|second| second.known == Known::FromBefore);
    for config in computers(host) {
        if host.is_proven {
            let change = HostChange::Proof(Some(proof_of(&config)));
            changes.push(Change::Host { computer: config.label.clone(), change });
        }
        if is_known {
            let key = QueueKey { queue: host.settings.name.to_owned(), uid: 1000 };
            changes.push(Change::Queue { address: config.address(), key });
        }
        changes.push(Change::Computer { config: Box::new(config), replace: false });
    }
    changes
}

/// Returns the total time of the sleeps and jobs of a launch, s.
fn naps(inputs: &BTreeMap<String, Value>) -> u64 {
    inputs.iter().map(|(key, value)| nap(key, value)).sum()
}

fn nap(key: &str, value: &Value) -> u64 {
    match value {
        Value::Int(seconds) if matches!(key, "sleep" | "seconds") => seconds.unsigned_abs(),
        Value::Map(map) => naps(map),
        Value::List(list) => list.iter().map(|value| nap("", value)).sum(),
        _ => 0,
    }
}
