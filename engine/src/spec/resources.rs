//! `metadata.options.resources`: machines, processes and cores, with AiiDA's names, and the resources that a
//! scheduler adds.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Problem, Value};
use serde::{Deserialize, Serialize};

use super::ports::closest;
use crate::scheduler::ResourceKey;

/// The resources of a job. Any two of the first three determine the third.
///
/// The first five exist for every scheduler and stay as they were stored. The others are stored only if they are
/// set. So data stored before they existed counts as equal to data stored now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Machines; 1 by default.
    pub num_machines: Option<u32>,
    /// MPI processes on each machine.
    pub num_mpiprocs_per_machine: Option<u32>,
    /// MPI processes in total.
    pub tot_num_mpiprocs: Option<u32>,
    /// Cores on each machine.
    pub num_cores_per_machine: Option<u32>,
    /// Cores for each MPI process.
    pub num_cores_per_mpiproc: Option<u32>,
    /// GPUs on each machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_gpus: Option<u32>,
    /// Resources that only some schedulers know ([`ResourceKey`]), by name.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

/// The names that every scheduler knows.
const COMMON: [&str; 5] = [
    "num_machines",
    "num_mpiprocs_per_machine",
    "tot_num_mpiprocs",
    "num_cores_per_machine",
    "num_cores_per_mpiproc",
];

impl Resources {
    /// Returns the resources that this scheduler does not know, and those with a wrong value, each with the
    /// problem.
    pub fn unknown(&self, known: &[ResourceKey]) -> Vec<(String, String)> {
        let own = self.num_gpus.map(|gpus| ("num_gpus".to_owned(), serde_json::Value::from(gpus)));
        let said = own.into_iter().chain(self.more.iter().map(|(name, value)| (name.clone(), value.clone())));
        let problem = |(name, value): (String, serde_json::Value)| {
            let Some(key) = known.iter().find(|key| key.name == name) else {
                return Some((name.clone(), no_such(&name, known)));
            };
            (!key.kind.fits(&value)).then(|| (name, format!("expected {}, got {value}", key.kind.expected())))
        };
        said.filter_map(problem).collect()
    }

    /// Returns the cores that a job uses on each machine, at least one.
    pub fn cores(&self, tasks_per_machine: u32) -> u32 {
        let each = self.num_cores_per_mpiproc.unwrap_or(1);
        self.num_cores_per_machine.unwrap_or_else(|| tasks_per_machine.saturating_mul(each)).max(1)
    }

    /// Returns the numbers of machines, of processes on each machine, and of processes in total. The default is
    /// one process.
    ///
    /// # Errors
    /// Returns the contradiction.
    pub fn tasks(&self, default_per_machine: Option<u32>) -> Result<(u32, u32, u32), String> {
        for (name, number) in [
            ("num_machines", self.num_machines),
            ("num_mpiprocs_per_machine", self.num_mpiprocs_per_machine),
            ("tot_num_mpiprocs", self.tot_num_mpiprocs),
            ("num_cores_per_machine", self.num_cores_per_machine),
            ("num_cores_per_mpiproc", self.num_cores_per_mpiproc),
            ("num_gpus", self.num_gpus),
        ] {
            if number == Some(0) {
                return Err(format!("{name} must be at least 1"));
            }
        }
        let (machines, per_machine) =
            match (self.num_machines, self.num_mpiprocs_per_machine, self.tot_num_mpiprocs) {
                (machines, Some(per), None) => (machines.unwrap_or(1), per),
                (Some(machines), None, Some(total)) => (machines, total / machines),
                (None, Some(per), Some(total)) => (total / per, per),
                (None, None, Some(total)) => (1, total),
                (machines, None, None) => (machines.unwrap_or(1), default_per_machine.unwrap_or(1)),
                (Some(machines), Some(per), Some(_)) => (machines, per),
            };
        let total = machines.checked_mul(per_machine).ok_or("too many processes")?;
        if self.tot_num_mpiprocs.is_some_and(|wanted| wanted != total) || total == 0 {
            return Err(format!(
                "tot_num_mpiprocs is {}, but {machines} machines with {per_machine} processes each make {total}",
                self.tot_num_mpiprocs.unwrap_or(0)
            ));
        }
        if let (Some(cores), Some(each)) = (self.num_cores_per_machine, self.num_cores_per_mpiproc)
            && Some(cores) != each.checked_mul(per_machine)
        {
            return Err(format!(
                "num_cores_per_machine is {cores}, but {per_machine} processes with {each} cores each make {}",
                u64::from(each) * u64::from(per_machine)
            ));
        }
        Ok((machines, per_machine, total))
    }
}

fn no_such(name: &str, known: &[ResourceKey]) -> String {
    let names: Vec<&str> = COMMON.into_iter().chain(known.iter().map(|key| key.name)).collect();
    match closest(name, names.iter().copied()) {
        Some(close) => format!("this scheduler knows no such resource; did you mean `{close}`?"),
        None => format!("this scheduler knows no such resource; it knows: {}", names.join(", ")),
    }
}

/// Returns problems for entries that no scheduler could read: a resource is a number, a text, or true or false.
/// The launch checks whether the scheduler knows it.
pub(super) fn problems(value: &Value, port: &str) -> Vec<Problem> {
    let Value::Map(resources) = value else { return Vec::new() };
    let is_plain = |value: &Value| {
        matches!(value, Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_))
    };
    let wrong = resources.iter().filter(|(_, value)| !is_plain(value));
    wrong
        .map(|(name, _)| Problem {
            port: format!("{port}.{name}"),
            message: "expected a number, a text, or true or false".into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::ResourceKind;

    #[test]
    fn two_of_three_say_the_third_and_contradictions_are_named() {
        let tasks = |machines, per, total| {
            Resources {
                num_machines: machines,
                num_mpiprocs_per_machine: per,
                tot_num_mpiprocs: total,
                ..Resources::default()
            }
            .tasks(None)
        };
        assert_eq!(tasks(None, None, None), Ok((1, 1, 1)));
        assert_eq!(tasks(Some(2), Some(4), None), Ok((2, 4, 8)));
        assert_eq!(tasks(Some(2), None, Some(8)), Ok((2, 4, 8)));
        assert_eq!(tasks(None, Some(4), Some(8)), Ok((2, 4, 8)));
        assert!(tasks(Some(2), None, Some(7)).unwrap_err().contains("tot_num_mpiprocs is 7"));
        assert!(tasks(Some(0), None, None).unwrap_err().contains("at least 1"));
    }

    const KNOWN: &[ResourceKey] = &[
        ResourceKey { name: "num_gpus", kind: ResourceKind::Count },
        ResourceKey { name: "licenses", kind: ResourceKind::Text },
    ];

    fn read(json: &str) -> Resources {
        serde_json::from_str(json).unwrap()
    }

    fn unknown(json: &str, known: &[ResourceKey]) -> Vec<String> {
        read(json).unknown(known).into_iter().map(|(name, message)| format!("{name}: {message}")).collect()
    }

    #[test]
    fn a_resource_is_known_to_the_scheduler_or_named() {
        assert!(unknown(r#"{"num_gpus": 2, "licenses": "ansys:3", "num_machines": 1}"#, KNOWN).is_empty());
        let wrong =
            unknown(r#"{"num_gpus": 2, "licenses": 5, "num_machine": 1, "parallel_env": "mpi"}"#, KNOWN);
        assert_eq!(wrong[0], "licenses: expected a text, got 5");
        assert!(wrong[1].contains("did you mean `num_machines`?"), "{wrong:?}");
        assert!(
            wrong[2]
                .starts_with("parallel_env: this scheduler knows no such resource; it knows: num_machines")
        );
        assert!(wrong[2].ends_with("num_gpus, licenses"), "{wrong:?}");
        assert!(unknown(r#"{"num_gpus": 2}"#, &[])[0].starts_with("num_gpus: this scheduler knows no such"));
        assert!(read(r#"{"num_gpus": 0}"#).tasks(None).unwrap_err().contains("num_gpus must be at least 1"));
    }

    /// Reads resources as an earlier ferry stored them.
    #[test]
    fn what_was_stored_before_is_read_and_counts_as_equal() {
        let golden = r#"{"num_machines":1,"num_mpiprocs_per_machine":null,"tot_num_mpiprocs":4,"num_cores_per_machine":null,"num_cores_per_mpiproc":2}"#;
        let read = read(golden);
        assert_eq!((read.tot_num_mpiprocs, read.num_gpus, read.more.len()), (Some(4), None, 0));
        assert_eq!(serde_json::to_string(&read).unwrap(), golden);
        let value = ferry_plugin_proto::to_value(&read).unwrap();
        assert_eq!(ferry_plugin_proto::from_value::<Resources>(&value), Ok(read));
    }

    #[test]
    fn cores_are_those_of_a_machine() {
        let cores = |json: &str, tasks| read(json).cores(tasks);
        assert_eq!(cores("{}", 1), 1);
        assert_eq!(cores(r#"{"num_cores_per_mpiproc": 3}"#, 2), 6);
        assert_eq!(cores(r#"{"num_cores_per_machine": 5}"#, 2), 5);
    }
}
