//! The plan of a simulation, made in advance: hosts, launches, faults, and a user's commands. A plan is data, so
//! that a failing one can be made smaller.

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

/// All events of a simulation.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed of the plan itself, and of the times drawn while it runs.
    pub seed: u64,
    /// The computers.
    pub hosts: Vec<HostPlan>,
    /// The user's launches.
    pub launches: Vec<LaunchPlan>,
    /// Faults of commits, by number.
    pub on_commit: BTreeMap<u64, Fault>,
    /// Faults of remote operations, by number.
    pub on_op: BTreeMap<u64, OpFault>,
    /// Numbers of the plugin calls that kill their host.
    pub on_call: BTreeSet<u64>,
    /// Events, by the time since the start.
    pub events: Vec<(Duration, Event)>,
    /// Time after which, and after the last event, no faults happen.
    pub lasts: Duration,
}

/// A computer.
#[derive(Debug, Clone)]
pub struct HostPlan {
    /// Its behaviour.
    pub settings: HostSettings,
    /// Most jobs pending.
    pub max_queued: Option<u32>,
    /// Most jobs pending or running.
    pub max_active: Option<u32>,
    /// Highest rate of submissions.
    pub submit_rate: Option<String>,
    /// True if a test job has shown that its listings and its start gate are reliable. Otherwise the user decides
    /// about submissions that stay unclear.
    pub is_proven: bool,
    /// Another computer that reaches it as the same user.
    pub second: Option<SecondPlan>,
}

/// A second computer of a host. For the jobs of both together, the smaller of both limits hold.
#[derive(Debug, Clone)]
pub struct SecondPlan {
    /// Its label.
    pub label: &'static str,
    /// Most jobs pending.
    pub max_queued: Option<u32>,
    /// Most jobs pending or running.
    pub max_active: Option<u32>,
    /// The way in which its owner learns that the queue is the same.
    pub known: Known,
}

/// The way in which an owner learns that two computers share a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// They have the same address.
    ByAddress,
    /// The host has told an earlier owner.
    FromBefore,
    /// The host tells it at first contact.
    AtContact,
}

impl HostPlan {
    /// Returns the labels of its computers.
    pub fn labels(&self) -> impl Iterator<Item = &'static str> {
        [self.settings.name].into_iter().chain(self.second.as_ref().map(|second| second.label))
    }
}

/// A launch.
#[derive(Debug, Clone)]
pub struct LaunchPlan {
    /// Time of the launch.
    pub at: Duration,
    /// Its label, which is unique.
    pub label: String,
    /// Its process type.
    pub process_type: &'static str,
    /// Its inputs.
    pub inputs: BTreeMap<String, Value>,
    /// Its computer, for a calcjob.
    pub computer: Option<&'static str>,
}

/// An event at a time of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A host goes down.
    HostDown {
        /// The host.
        host: &'static str,
        /// For this time.
        lasts: Duration,
        /// The kind of outage.
        outage: Outage,
    },
    /// A controller loses its state, and issues ids again.
    Forgets(&'static str),
    /// A scheduler accepts no jobs, as its queue is full.
    Refuses {
        /// The host.
        host: &'static str,
        /// For this time.
        lasts: Duration,
    },
    /// The node of some running job dies.
    NodeFails(&'static str),
    /// Another program submits jobs as the same user.
    Foreign {
        /// The host.
        host: &'static str,
        /// The number of jobs.
        count: u64,
        /// Run time of each, s.
        seconds: u64,
    },
    /// The user changes a computer's limits.
    Limits {
        /// The computer.
        host: &'static str,
        /// Most jobs pending.
        max_queued: Option<u32>,
        /// Most jobs pending or running.
        max_active: Option<u32>,
    },
    /// The wall clock is set back.
    ClockBack(Duration),
    /// The owner's machine is suspended: the wall clock and the world go on, its running clock does not.
    Suspend(Duration),
    /// The store fails.
    StoreDown {
        /// For this time.
        lasts: Duration,
        /// With this error.
        kind: ErrorKind,
    },
    /// The user kills a process.
    Kill {
        /// Label of the launch.
        label: String,
        /// True if by force.
        force: bool,
    },
    /// The user pauses a process.
    Pause(String),
    /// The user resumes a process.
    Play(String),
    /// The user disables a computer, until the faults end.
    Disable(&'static str),
    /// The owner stops gracefully, and another starts.
    HandOver,
    /// The owner dies at an arbitrary point.
    Crash,
}

impl Plan {
    /// Returns the plan of a seed.
    pub fn of_seed(seed: u64) -> Plan {
        let mut rng = Rng::new(seed);
        let mut hosts = hosts(&mut rng);
        add_seconds(&mut hosts, &mut Rng::new(seed ^ 0x2ec0_4d00));
        let names: Vec<&'static str> = hosts.iter().map(|host| host.settings.name).collect();
        let labels: Vec<&'static str> = hosts.iter().flat_map(HostPlan::labels).collect();
        // Small plans find most faults, and quickly; faults that need many processes need the others.
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

    /// Returns the same launches without faults and interference.
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

/// Adds a second computer to some hosts.
fn add_seconds(hosts: &mut [HostPlan], rng: &mut Rng) {
    for (host, label) in hosts.iter_mut().zip(["alpha-too", "beta-too"]) {
        if !rng.chance(35) {
            continue;
        }
        // The case `AtContact` is left out: before the first contact the bound of a computer can't be known, and a
        // plan may never make that contact.
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

/// Returns a parent's script: children, perhaps in sequence, perhaps a sleep, and their results.
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
