//! What happens in a simulation, all of it decided beforehand: hosts, launches, faults, and a user's commands. A
//! plan is data, so that a failing one can be made smaller.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ferry_plugin_proto::Value;

use super::{
    fate::OpFault,
    queue::{HostSettings, Outage, Told},
    rng::Rng,
};
use crate::store::{ErrorKind, testing::Fault};

/// Everything that happens in a simulation.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What all else follows from: the plan itself, and times drawn while it runs.
    pub seed: u64,
    /// The computers.
    pub hosts: Vec<HostPlan>,
    /// What the user launches.
    pub launches: Vec<LaunchPlan>,
    /// Which commits go wrong, by number.
    pub on_commit: BTreeMap<u64, Fault>,
    /// Which remote operations go wrong, by number.
    pub on_op: BTreeMap<u64, OpFault>,
    /// Which calls of a plugin kill its host, by number.
    pub on_call: BTreeSet<u64>,
    /// What happens at which time after the beginning.
    pub events: Vec<(Duration, Event)>,
    /// After so long, and after the last event, nothing more goes wrong.
    pub lasts: Duration,
}

/// A computer.
#[derive(Debug, Clone)]
pub struct HostPlan {
    /// How it behaves.
    pub settings: HostSettings,
    /// Most jobs pending.
    pub max_queued: Option<u32>,
    /// Most jobs pending or running.
    pub max_active: Option<u32>,
    /// Fastest submission.
    pub submit_rate: Option<String>,
    /// Whether a test job has shown that its listings and its start gate can be relied on. Where not, the user
    /// decides about submissions that stay unclear.
    pub is_proven: bool,
    /// Another computer that reaches it as the same user.
    pub second: Option<SecondPlan>,
}

/// A second computer of a host. Of the limits of both the smaller hold, for the jobs of both together.
#[derive(Debug, Clone)]
pub struct SecondPlan {
    /// Its label.
    pub label: &'static str,
    /// Most jobs pending.
    pub max_queued: Option<u32>,
    /// Most jobs pending or running.
    pub max_active: Option<u32>,
    /// How its owner comes to know that the queue is the same.
    pub known: Known,
}

/// How an owner comes to know that two computers share a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// They have one address.
    ByAddress,
    /// The host has said so to an earlier owner.
    FromBefore,
    /// The host says so at first contact.
    AtContact,
}

impl HostPlan {
    /// Labels of its computers.
    pub fn labels(&self) -> impl Iterator<Item = &'static str> {
        [self.settings.name].into_iter().chain(self.second.as_ref().map(|second| second.label))
    }
}

/// A launch.
#[derive(Debug, Clone)]
pub struct LaunchPlan {
    /// When.
    pub at: Duration,
    /// Its label, its alone.
    pub label: String,
    /// Its process type.
    pub process_type: &'static str,
    /// Its inputs.
    pub inputs: BTreeMap<String, Value>,
    /// Its computer, for a calcjob.
    pub computer: Option<&'static str>,
}

/// Something that happens at a time of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A host goes away.
    HostDown {
        /// Which.
        host: &'static str,
        /// For so long.
        lasts: Duration,
        /// In this way.
        outage: Outage,
    },
    /// A controller loses its state, and gives ids again.
    Forgets(&'static str),
    /// A scheduler takes no jobs, for want of room.
    Refuses {
        /// Which.
        host: &'static str,
        /// For so long.
        lasts: Duration,
    },
    /// The node of some running job dies.
    NodeFails(&'static str),
    /// Somebody else submits jobs as the same user.
    Foreign {
        /// Where.
        host: &'static str,
        /// How many.
        count: u64,
        /// How long each runs, s.
        seconds: u64,
    },
    /// The user changes a computer's limits.
    Limits {
        /// Which computer's.
        host: &'static str,
        /// Most jobs pending.
        max_queued: Option<u32>,
        /// Most jobs pending or running.
        max_active: Option<u32>,
    },
    /// The wall clock is set back.
    ClockBack(Duration),
    /// The owner's machine sleeps: the wall clock and the world go on, its running clock does not.
    Suspend(Duration),
    /// The store takes nothing.
    StoreDown {
        /// For so long.
        lasts: Duration,
        /// And says this.
        kind: ErrorKind,
    },
    /// The user kills a process.
    Kill {
        /// Label of the launch.
        label: String,
        /// Whether by force.
        force: bool,
    },
    /// The user lets a process stand still.
    Pause(String),
    /// The user lets it go on.
    Play(String),
    /// The user disables a computer, until all causes are gone.
    Disable(&'static str),
    /// The owner stops gracefully, and another begins.
    HandOver,
    /// The owner dies, wherever it is.
    Crash,
}

impl Plan {
    /// The plan of a seed.
    pub fn of_seed(seed: u64) -> Plan {
        let mut rng = Rng::new(seed);
        let mut hosts = hosts(&mut rng);
        add_seconds(&mut hosts, &mut Rng::new(seed ^ 0x2ec0_4d00));
        let names: Vec<&'static str> = hosts.iter().map(|host| host.settings.name).collect();
        let labels: Vec<&'static str> = hosts.iter().flat_map(HostPlan::labels).collect();
        // Small ones find most, and quickly; what needs a crowd needs the others.
        let count = match rng.between(0, 19) {
            0..=13 => rng.between(1, 3),
            14..=18 => rng.between(4, 8),
            _ => rng.between(9, 30),
        };
        let launches: Vec<LaunchPlan> = (0..count).map(|n| launch(&mut rng, n, &labels)).collect();
        let mut plan = Plan {
            seed,
            hosts,
            launches,
            on_commit: BTreeMap::new(),
            on_op: BTreeMap::new(),
            on_call: BTreeSet::new(),
            events: Vec::new(),
            lasts: Duration::from_secs(*rng.pick(&[60, 300, 1800]).unwrap_or(&300)),
        };
        plan.add_faults(&mut rng);
        plan.add_events(&mut rng, &names);
        plan
    }

    /// The same launches, in a world where nothing goes wrong and nobody interferes.
    #[must_use]
    pub fn without_faults(&self) -> Plan {
        let quiet = Plan { events: Vec::new(), on_call: BTreeSet::new(), ..self.clone() };
        Plan { on_commit: BTreeMap::new(), on_op: BTreeMap::new(), ..quiet }
    }

    fn add_faults(&mut self, rng: &mut Rng) {
        let size = self.launches.len() as u64;
        for _ in 0..rng.between(0, 4) {
            let fault = match rng.between(0, 9) {
                0..=3 => Fault::DieBefore,
                4..=7 => Fault::DieAfter,
                8 => Fault::Fail(ErrorKind::Full),
                _ => Fault::Fail(ErrorKind::Other),
            };
            self.on_commit.insert(rng.between(1, 10 * size + 10), fault);
        }
        for _ in 0..rng.between(0, 8) {
            let fault = op_fault(rng);
            self.on_op.insert(rng.between(1, 20 * size + 10), fault);
        }
        for _ in 0..rng.between(0, 2) {
            self.on_call.insert(rng.between(1, 4 * size));
        }
    }

    fn add_events(&mut self, rng: &mut Rng, names: &[&'static str]) {
        let horizon = self.lasts.as_secs();
        for _ in 0..rng.between(0, 6) {
            let at = Duration::from_millis(rng.between(0, horizon * 1000));
            let label = rng.pick(&self.launches).map(|launch| launch.label.clone()).unwrap_or_default();
            let host = rng.pick(names).copied().unwrap_or_default();
            self.events.push((at, event(rng, host, label)));
        }
        self.events.sort_by_key(|(at, _)| *at);
    }
}

fn hosts(rng: &mut Rng) -> Vec<HostPlan> {
    let one = |rng: &mut Rng, name| {
        let has_queue = rng.chance(75);
        let settings = HostSettings {
            name,
            has_queue,
            is_authoritative: !has_queue,
            slots: rng.between(1, 8) as usize,
            pending_max: *rng.pick(&[0, 5, 60]).unwrap_or(&5),
            latency_max: *rng.pick(&[2, 50, 2000]).unwrap_or(&50),
            remembers: Duration::from_secs(*rng.pick(&[0, 30, 600]).unwrap_or(&30)),
            told: if has_queue { Told::Nothing } else { Told::Ends },
        };
        let bound = |rng: &mut Rng| rng.chance(30).then(|| rng.between(1, 5) as u32);
        HostPlan {
            settings,
            max_queued: bound(rng),
            max_active: bound(rng),
            submit_rate: rng.chance(15).then(|| format!("{}/10s", rng.between(1, 20))),
            is_proven: rng.chance(80),
            second: None,
        }
    };
    let names = ["alpha", "beta"];
    let count = if rng.chance(70) { 1 } else { 2 };
    names[..count].iter().map(|name| one(rng, *name)).collect()
}

/// Some hosts are reached by two computers.
fn add_seconds(hosts: &mut [HostPlan], rng: &mut Rng) {
    for (host, label) in hosts.iter_mut().zip(["alpha-too", "beta-too"]) {
        if !rng.chance(35) {
            continue;
        }
        // Before the first contact with one of them nobody can know of its bound, and a plan may never make it.
        let known = *rng.pick(&[Known::ByAddress, Known::FromBefore]).unwrap_or(&Known::ByAddress);
        let mut bound = || rng.chance(50).then(|| rng.between(1, 5) as u32);
        host.second = Some(SecondPlan { label, max_queued: bound(), max_active: bound(), known });
    }
}

fn launch(rng: &mut Rng, number: u64, hosts: &[&'static str]) -> LaunchPlan {
    let at = Duration::from_millis(if rng.chance(60) { 0 } else { rng.between(0, 60_000) });
    let label = format!("p{number}");
    let host = rng.pick(hosts).copied();
    let (process_type, inputs, computer) = match rng.between(0, 9) {
        0..=4 => ("sim.job", job(rng), host),
        5..=6 => ("sim.add", add(rng), None),
        _ => ("script.run", script(rng, hosts, 0), None),
    };
    LaunchPlan { at, label, process_type, inputs, computer }
}

fn inputs(pairs: Vec<(&str, u64)>) -> BTreeMap<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), Value::Int(value as i64))).collect()
}

fn job(rng: &mut Rng) -> BTreeMap<String, Value> {
    let seconds = match rng.between(0, 9) {
        0..=1 => 0,
        2..=7 => rng.between(1, 120),
        8 => rng.between(600, 7200),
        _ => rng.between(1, 20),
    };
    let mut job = vec![("value", rng.between(0, 99)), ("seconds", seconds)];
    match rng.between(0, 19) {
        0 => job.push(("exit", 3)),
        1 => job.push(("refuse", 1)),
        2..=4 => job.push(("rerunnable", 1)),
        _ => {}
    }
    inputs(job)
}

fn add(rng: &mut Rng) -> BTreeMap<String, Value> {
    inputs(vec![("x", rng.between(0, 9)), ("y", rng.between(0, 9))])
}

fn operation<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A parent: children, perhaps one after the other, perhaps a nap, and what they made.
fn script(rng: &mut Rng, hosts: &[&'static str], depth: u32) -> BTreeMap<String, Value> {
    let mut script = Vec::new();
    let mut calls: Vec<Value> = Vec::new();
    let mut last = None;
    for number in 0..rng.between(1, 3) {
        let call = format!("c{number}");
        let (child, output, computer) = match rng.between(0, 9) {
            0..=4 => (("sim.job", job(rng)), "sum", rng.pick(hosts).copied()),
            5..=7 => (("sim.add", add(rng)), "sum", None),
            _ if depth < 2 => (("script.run", self::script(rng, hosts, depth + 1)), "results.r", None),
            _ => (("sim.add", add(rng)), "sum", None),
        };
        let (name, mut given) = child;
        if let (Some(last), "sim.add") = (&last, name) {
            given.insert("x".into(), Value::Str(format!("${last}")));
        }
        let mut launch = BTreeMap::from([
            ("call".to_owned(), Value::from(call.as_str())),
            ("type".to_owned(), Value::from(name)),
            ("inputs".to_owned(), Value::Map(given)),
        ]);
        launch.extend(computer.map(|computer| ("computer".to_owned(), Value::from(computer))));
        script.push(Value::Map(launch));
        calls.push(Value::from(call.as_str()));
        if rng.chance(60) {
            let any = ("any", Value::Bool(rng.chance(20)));
            script.push(operation([("wait", Value::List(calls.clone())), any]));
            script.push(operation([("wait", Value::List(calls.clone()))]));
            last = Some(format!("{call}.{output}"));
        }
    }
    if rng.chance(30) {
        let seconds = if rng.chance(8) { rng.between(86_400, 200_000) } else { rng.between(1, 600) };
        script.push(operation([("sleep", Value::Int(seconds as i64))]));
    }
    script.push(operation([("wait", Value::List(calls))]));
    if let Some(last) = last {
        script.push(operation([("return", "r".into()), ("of", last.into())]));
    } else if rng.chance(20) {
        script.push(operation([("exit", Value::Int(400))]));
    }
    BTreeMap::from([("script".to_owned(), Value::List(script))])
}

fn op_fault(rng: &mut Rng) -> OpFault {
    let short = Duration::from_millis(rng.between(1000, 50_000));
    match rng.between(0, 11) {
        0 => OpFault::LostBefore,
        1..=2 => OpFault::LostAfter,
        3 => OpFault::SlowBefore(short),
        4 => OpFault::SlowAfter(short),
        5 => OpFault::DieBefore,
        6..=7 => OpFault::DieAfter,
        8 => OpFault::Late(short),
        9 => OpFault::TimedOutIn,
        10 => OpFault::TimedOutNotIn,
        _ => OpFault::Half,
    }
}

fn event(rng: &mut Rng, host: &'static str, label: String) -> Event {
    let short = Duration::from_secs(rng.between(2, 180));
    match rng.between(0, 19) {
        0..=3 => {
            let outage = if rng.chance(50) { Outage::Refuses } else { Outage::Silent };
            Event::HostDown { host, lasts: short, outage }
        }
        4 => Event::Forgets(host),
        5..=6 => Event::Refuses { host, lasts: short },
        7 => Event::NodeFails(host),
        8 => Event::Foreign { host, count: rng.between(1, 5), seconds: rng.between(1, 600) },
        9 => Event::Limits {
            host,
            max_queued: rng.chance(50).then(|| rng.between(1, 6) as u32),
            max_active: rng.chance(50).then(|| rng.between(1, 6) as u32),
        },
        10 => Event::ClockBack(Duration::from_secs(3600)),
        11 => Event::Suspend(Duration::from_secs(86_400 * *rng.pick(&[1, 3]).unwrap_or(&1))),
        12 => Event::StoreDown {
            lasts: short,
            kind: if rng.chance(50) { ErrorKind::Full } else { ErrorKind::ReadOnly },
        },
        13 => Event::Kill { label, force: false },
        14 => Event::Kill { label, force: true },
        15 => Event::Pause(label),
        16 => Event::Play(label),
        17 if rng.chance(40) => Event::Disable(host),
        17 => Event::HandOver,
        _ => Event::Crash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_reach_the_two_minute_outage_and_the_three_day_suspension() {
        let events: Vec<Event> =
            (0..500).flat_map(|seed| Plan::of_seed(seed).events).map(|(_, event)| event).collect();
        let two_minutes = Duration::from_secs(120);
        assert!(
            events
                .iter()
                .any(|event| matches!(event, Event::HostDown { lasts, .. } if *lasts >= two_minutes))
        );
        assert!(events.contains(&Event::Suspend(Duration::from_secs(3 * 86_400))));
    }
}
