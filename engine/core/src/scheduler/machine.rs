//! The resources of a machine, what the jobs that share it take of them, and what is left. Pure accounting for
//! schedulers without a queue. The transaction that takes a ticket uses it, and so does the gate.
//!
//! ```
//! use ferry_engine_core::scheduler::{Capacity, Demand, InUse};
//!
//! let capacity = Capacity { cores: Some(8), ..Capacity::default() };
//! let mut used = InUse::default();
//! used.add(&Demand { cores: 7, ..Demand::default() });
//! let lack = capacity.lack(&Demand { cores: 2, ..Demand::default() }, &used).unwrap();
//! assert_eq!(lack.on("workstation"), "2 cores on workstation: 7 of 8 in use");
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::computer::{Computer, Cores};

/// The resources that one job takes of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Demand {
    /// Cores.
    pub cores: u32,
    /// Memory, kB; 0 if it did not ask for any.
    pub memory_kb: u64,
    /// GPUs.
    pub gpus: u32,
}

/// The resources of a machine, as its host reports them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Cores that a login may use; `None`: not reported.
    pub cores: Option<u32>,
    /// Memory, kB.
    pub memory_kb: Option<u64>,
    /// GPUs that the login may see, as its `CUDA_VISIBLE_DEVICES` names them; `None`: that is not set.
    pub devices: Option<Vec<String>>,
}

impl Machine {
    /// Reads a `CUDA_VISIBLE_DEVICES`: numbers, or names such as `GPU-..` and `MIG-..`. As CUDA does, it stops at
    /// the first word that names no device.
    pub fn devices(text: &str) -> Vec<String> {
        let names = text.split(',').map(str::trim);
        let is_device = |name: &&str| {
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            !name.is_empty() && (is_number || name.starts_with("GPU-") || name.starts_with("MIG-"))
        };
        names.take_while(is_device).map(str::to_owned).collect()
    }
}

/// The resources that jobs of one computer may have at once; `None` each: no bound.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capacity {
    /// Cores.
    pub cores: Option<u32>,
    /// Memory, kB.
    pub memory_kb: Option<u64>,
    /// GPUs by name. `None`: the computer declares none.
    pub devices: Option<Vec<String>>,
}

impl Capacity {
    /// Returns what jobs of a computer may have: what the user configured, else what the host reports. `all` are
    /// the computers that share the machine, `own` among them. Of the numbers that they give, the smallest holds.
    pub fn of(own: &Computer, all: &[Computer], machine: &Machine) -> Capacity {
        let count = |computer: &Computer| match computer.num_cores {
            Some(Cores::Count(count)) => Some(count),
            _ => None,
        };
        let cores = match own.num_cores {
            Some(Cores::Unlimited) => None,
            _ => all.iter().filter_map(count).min().or(machine.cores),
        };
        let memory_kb = all.iter().filter_map(|computer| computer.memory_kb).min().or(machine.memory_kb);
        let declared = std::iter::once(own).chain(all).find_map(|computer| declared(computer, machine));
        Capacity { cores, memory_kb, devices: declared }
    }

    /// Returns whether such a job is bounded at all.
    pub fn bounds(&self, demand: &Demand) -> bool {
        self.cores.is_some() || demand.gpus > 0 || (demand.memory_kb > 0 && self.memory_kb.is_some())
    }

    /// Returns the first resource that is short for a job beside what is in use, if any.
    pub fn lack(&self, demand: &Demand, used: &InUse) -> Option<Lack> {
        let wanted = [
            (Kind::Cores, u64::from(demand.cores)),
            (Kind::Memory, demand.memory_kb),
            (Kind::Gpus, u64::from(demand.gpus)),
        ];
        let lack = |(kind, wanted): (Kind, u64)| {
            let (used, total) = (self.used(kind, used), self.total(kind)?);
            (wanted > 0 && used.saturating_add(wanted) > total).then_some(Lack { kind, wanted, used, total })
        };
        wanted.into_iter().find_map(lack)
    }

    fn total(&self, kind: Kind) -> Option<u64> {
        match kind {
            Kind::Cores => self.cores.map(u64::from),
            Kind::Memory => self.memory_kb,
            Kind::Gpus => Some(self.devices.as_ref().map_or(0, |devices| devices.len() as u64)),
        }
    }

    fn used(&self, kind: Kind, used: &InUse) -> u64 {
        match kind {
            Kind::Cores => u64::from(used.sum.cores),
            Kind::Memory => used.sum.memory_kb,
            Kind::Gpus => {
                let held = self.devices.iter().flatten().filter(|device| used.devices.contains(*device));
                held.count() as u64 + u64::from(used.sum.gpus)
            }
        }
    }

    /// Returns the first resource of which a job asks for more than there is in total.
    pub fn never(&self, demand: &Demand) -> Option<Lack> {
        self.lack(demand, &InUse::default())
    }

    /// Returns free GPUs for a job, in their order; fewer than it wants where there are not enough.
    pub fn pick(&self, gpus: u32, used: &InUse) -> Vec<String> {
        let devices = self.devices.iter().flatten();
        devices.filter(|device| !used.devices.contains(*device)).take(gpus as usize).cloned().collect()
    }
}

/// Returns the GPUs that a computer declares, as far as its login may see them.
fn declared(computer: &Computer, machine: &Machine) -> Option<Vec<String>> {
    let own = computer.gpu_devices.as_deref().map(Machine::devices).filter(|own| !own.is_empty());
    match (own, computer.num_gpus, &machine.devices) {
        (Some(own), count, seen) => {
            let is_seen = |device: &String| seen.as_ref().is_none_or(|seen| seen.contains(device));
            let count = count.map_or(usize::MAX, |count| count as usize);
            Some(own.into_iter().filter(is_seen).take(count).collect())
        }
        (None, Some(count), Some(seen)) => Some(seen.iter().take(count as usize).cloned().collect()),
        (None, Some(count), None) => Some((0..count).map(|number| number.to_string()).collect()),
        (None, None, _) => None,
    }
}

/// Names of the variables that tell a job which GPUs are its own. The first sets the order that makes numbers mean
/// the same to all programs.
pub const GPU_VARIABLES: [&str; 3] = ["CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"];

/// Returns those variables for a job that was given GPUs, and none for one that was not.
pub fn gpu_environment(devices: &[String]) -> BTreeMap<String, String> {
    let list = devices.join(",");
    let values = ["PCI_BUS_ID".to_owned(), list.clone(), list];
    let all = GPU_VARIABLES.into_iter().map(str::to_owned).zip(values);
    all.filter(|_| !devices.is_empty()).collect()
}

/// The resources of a machine that jobs have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InUse {
    /// Their demands together, without the GPUs that are known by name.
    pub sum: Demand,
    /// The names of GPUs in use.
    pub devices: BTreeSet<String>,
}

impl InUse {
    /// Adds a job that has no GPUs yet.
    pub fn add(&mut self, demand: &Demand) {
        self.sum.cores = self.sum.cores.saturating_add(demand.cores);
        self.sum.memory_kb = self.sum.memory_kb.saturating_add(demand.memory_kb);
        self.sum.gpus = self.sum.gpus.saturating_add(demand.gpus);
    }

    /// Adds a job that has these GPUs.
    pub fn hold(&mut self, demand: &Demand, devices: impl IntoIterator<Item = String>) {
        self.add(&Demand { gpus: 0, ..*demand });
        self.devices.extend(devices);
    }

    /// Returns the total use: named GPUs count like any other.
    pub fn total(&self) -> Demand {
        Demand { gpus: self.sum.gpus.saturating_add(self.devices.len() as u32), ..self.sum }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cores,
    Memory,
    Gpus,
}

/// A resource that is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    kind: Kind,
    wanted: u64,
    used: u64,
    total: u64,
}

impl Lack {
    /// Returns the same shortage beside another use: what is truly in use, without what others have reserved.
    #[must_use]
    pub fn with_used_of(self, capacity: &Capacity, used: &InUse) -> Lack {
        Lack { used: capacity.used(self.kind, used), ..self }
    }

    /// Returns the text that says what a job waits for on a computer.
    pub fn on(&self, computer: &str) -> String {
        format!("{} on {computer}: {} of {} in use", self.words(), self.used, self.total)
    }

    /// Returns the text that says why a job can never have what it asks for, and what to do.
    pub fn for_ever(&self, computer: &str) -> String {
        let wants = self.words();
        let Lack { kind, total, .. } = self;
        match kind {
            Kind::Cores => format!(
                "{wants} requested, but computer `{computer}` has only {total}: request fewer in `resources`, or let \
                 it run more at once with `ferry computer configure {computer} --num-cores N` (or `unlimited`)"
            ),
            Kind::Memory => format!(
                "{wants} requested, but computer `{computer}` has only {total} kB: request less in `max_memory_kb`, \
                 or raise the limit with `ferry computer configure {computer} --memory-kb N`"
            ),
            Kind::Gpus if *total == 0 => format!(
                "{wants} requested, but the login of computer `{computer}` sees none: declare them with `ferry \
                 computer configure {computer} --num-gpus N`, or check the login's CUDA_VISIBLE_DEVICES"
            ),
            Kind::Gpus => format!(
                "{wants} requested, but computer `{computer}` has only {total}: request fewer in \
                 `resources.num_gpus`, or raise the number with `ferry computer configure {computer} --num-gpus N`"
            ),
        }
    }

    fn words(&self) -> String {
        let Lack { kind, wanted, .. } = self;
        let s = if *wanted == 1 { "" } else { "s" };
        match kind {
            Kind::Cores => format!("{wanted} core{s}"),
            Kind::Memory => format!("{wanted} kB of memory"),
            Kind::Gpus => format!("{wanted} GPU{s}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(cores: u32, memory_kb: u64, gpus: u32) -> Demand {
        Demand { cores, memory_kb, gpus }
    }

    #[test]
    fn the_first_thing_that_lacks_is_named() {
        let devices = Some(vec!["0".to_owned(), "1".to_owned()]);
        let capacity = Capacity { cores: Some(8), memory_kb: Some(1000), devices };
        let mut used = InUse::default();
        used.hold(&demand(6, 400, 2), ["0".to_owned(), "1".to_owned()]);
        let lack = |demand| capacity.lack(&demand, &used).map(|lack| lack.on("ws"));
        assert_eq!(lack(demand(2, 600, 0)), None);
        assert_eq!(lack(demand(3, 0, 0)).unwrap(), "3 cores on ws: 6 of 8 in use");
        assert_eq!(lack(demand(1, 601, 0)).unwrap(), "601 kB of memory on ws: 400 of 1000 in use");
        assert_eq!(lack(demand(1, 0, 1)).unwrap(), "1 GPU on ws: 2 of 2 in use");
        assert_eq!(Capacity::default().lack(&demand(99, 99, 0), &used), None, "nobody bounds it");
        assert!(capacity.never(&demand(9, 0, 0)).unwrap().for_ever("ws").contains("--num-cores"));
        let none = Capacity::default().never(&demand(1, 0, 1)).unwrap().for_ever("ws");
        assert!(none.contains("the login of computer `ws` sees none"), "{none}");
    }

    #[test]
    fn the_user_s_numbers_count_before_the_host_s_and_the_smaller_of_several() {
        let machine = Machine { cores: Some(8), memory_kb: Some(100), devices: None };
        let computer = |num_cores| Computer { num_cores, ..Computer::default() };
        let cores = |own: &Computer, other: &Computer| {
            Capacity::of(own, &[own.clone(), other.clone()], &machine).cores
        };
        let (none, two) = (computer(None), computer(Some(Cores::Count(2))));
        let unlimited = computer(Some(Cores::Unlimited));
        assert_eq!(cores(&none, &none), Some(8));
        assert_eq!(cores(&none, &two), Some(2));
        assert_eq!(cores(&unlimited, &two), None);
        assert_eq!(cores(&none, &unlimited), Some(8));
        assert_eq!(Capacity::of(&none, &[], &Machine::default()), Capacity::default(), "nobody knows");
    }

    #[test]
    fn gpus_are_those_that_are_declared_and_that_the_login_may_see() {
        let devices = |num_gpus, own: Option<&str>, seen: Option<&str>| {
            let computer = Computer { num_gpus, gpu_devices: own.map(str::to_owned), ..Computer::default() };
            let machine = Machine { devices: seen.map(Machine::devices), ..Machine::default() };
            Capacity::of(&computer, &[], &machine).devices.map(|devices| devices.join(","))
        };
        assert_eq!(devices(None, None, Some("0,1")), None, "none are declared");
        assert_eq!(devices(Some(2), None, None).unwrap(), "0,1");
        assert_eq!(devices(Some(2), None, Some("2,3,5")).unwrap(), "2,3");
        assert_eq!(devices(Some(4), None, Some("MIG-a, GPU-b")).unwrap(), "MIG-a,GPU-b");
        assert_eq!(devices(None, Some("1,3"), Some("3,4")).unwrap(), "3");
        assert_eq!(devices(Some(1), Some("1,3"), None).unwrap(), "1");
        assert_eq!(devices(Some(2), None, Some("")).unwrap(), "", "the login may see none");
        assert_eq!(devices(Some(2), None, Some("1,-1,0")).unwrap(), "1");
        assert_eq!(devices(Some(2), None, Some("NoDevFiles")).unwrap(), "");
    }

    #[test]
    fn cores_are_a_number_or_unlimited() {
        let read = |json: &str| serde_json::from_str::<Cores>(json).map_err(|error| error.to_string());
        assert_eq!(read("4"), Ok(Cores::Count(4)));
        assert_eq!(read(r#""4""#), Ok(Cores::Count(4)));
        assert_eq!(read(r#""unlimited""#), Ok(Cores::Unlimited));
        assert!(read("0").unwrap_err().contains("at least 1"));
        assert!(read(r#""all""#).unwrap_err().contains("num_cores: `all` is neither"));
        for cores in [Cores::Count(3), Cores::Unlimited] {
            assert_eq!(read(&serde_json::to_string(&cores).unwrap()), Ok(cores));
        }
    }
}
