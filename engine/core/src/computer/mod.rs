//! A computer: host, transport, scheduler and work directory, with all its settings.

mod cores;
mod pace;
mod refusals;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use cores::Cores;
pub use pace::Pace;
pub use refusals::{Refusal, Refusals};

use crate::back_off::BackOff;

/// Returns whether the result of [`whoami`](crate::transport::Transport::whoami) is a number, since the user has no name there.
pub fn is_nameless(user: &str) -> bool {
    !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit())
}

/// Settings of a computer, with AiiDA's names. Stored as they are; the label is unique in a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Computer {
    /// Name in this profile.
    pub label: String,
    /// Host name or address, as the transport takes it.
    pub hostname: String,
    /// For people.
    pub description: String,
    /// Name of the transport, as its author gave it; without `core.` if it is one of ferry's own.
    pub transport: String,
    /// Name of the scheduler, as its author gave it; without `core.` if it is one of ferry's own.
    pub scheduler: String,
    /// First line of job scripts.
    pub shebang: String,
    /// Absolute directory for work directories; `{username}` stands for the user's name there.
    pub work_dir: String,
    /// Command that starts MPI programs, each word a template (`{tot_num_mpiprocs}`).
    pub mpirun_command: String,
    /// Default MPI processes a machine.
    pub mpiprocs_per_machine: Option<u32>,
    /// Default memory a machine, kB.
    pub default_memory_per_machine: Option<u64>,
    /// True to quote arguments with double quotes, so that the shell expands variables in them.
    pub use_double_quotes: bool,
    /// Shell text before every job's commands.
    pub prepend_text: String,
    /// Shell text after every job's commands.
    pub append_text: String,
    /// Most jobs pending at once.
    pub max_queued_jobs: Option<u32>,
    /// Most jobs pending or running at once.
    pub max_active_jobs: Option<u32>,
    /// Highest rate of submissions, as `50/2min`.
    pub submit_rate: Option<String>,
    /// Cores that jobs may use at once, where no queue counts them; `None`: those of the machine.
    pub num_cores: Option<Cores>,
    /// Memory for the jobs that ask for it, kB; `None`: that of the machine.
    pub memory_kb: Option<u64>,
    /// GPUs for the jobs that ask for them.
    pub num_gpus: Option<u32>,
    /// The names of these GPUs, as in `CUDA_VISIBLE_DEVICES`; `None`: `0,1,..`.
    pub gpu_devices: Option<String>,
    /// The meanings of this site's own refusals.
    pub refusals: Refusals,
    /// Most submissions under way at once; `None`: [`PARALLEL_SUBMITS`].
    pub max_parallel_submits: Option<u32>,
    /// Most files that one retrieval brings home; `None`: [`RETRIEVE_FILES`].
    pub retrieve_max_files: Option<u64>,
    /// Most bytes that one retrieval brings home; `None`: [`RETRIEVE_BYTES`].
    pub retrieve_max_bytes: Option<u64>,
    /// Least time between two listings of the queue, s; `None`: the scheduler's own floor.
    pub poll_interval: Option<f64>,
    /// Wait after a first failure of a process here, s; `None`: the profile's `retry.initial`.
    pub retry_initial: Option<f64>,
    /// Failures of one step after which a process pauses; `None`: the profile's `retry.attempts`.
    pub retry_attempts: Option<u32>,
    /// Wait between the first probes of a host in trouble, s; doubles with each.
    pub probe_initial: Option<f64>,
    /// The longest wait between two probes, s.
    pub probe_max: Option<f64>,
    /// The transport's own settings (`use_login_shell`, `username`, ...).
    pub connection: serde_json::Map<String, serde_json::Value>,
    /// The scheduler's own settings, see [`setting`](crate::scheduler::setting).
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub scheduler_settings: serde_json::Map<String, serde_json::Value>,
}

impl Default for Computer {
    fn default() -> Self {
        Computer {
            label: String::new(),
            hostname: String::new(),
            description: String::new(),
            transport: "local".into(),
            scheduler: "direct".into(),
            shebang: "#!/bin/bash".into(),
            work_dir: String::new(),
            mpirun_command: String::new(),
            mpiprocs_per_machine: None,
            default_memory_per_machine: None,
            use_double_quotes: false,
            prepend_text: String::new(),
            append_text: String::new(),
            max_queued_jobs: None,
            max_active_jobs: None,
            submit_rate: None,
            num_cores: None,
            memory_kb: None,
            num_gpus: None,
            gpu_devices: None,
            refusals: Refusals::default(),
            max_parallel_submits: None,
            retrieve_max_files: None,
            retrieve_max_bytes: None,
            poll_interval: None,
            retry_initial: None,
            retry_attempts: None,
            probe_initial: None,
            probe_max: None,
            connection: serde_json::Map::new(),
            scheduler_settings: serde_json::Map::new(),
        }
    }
}

/// The default number of submissions under way at once.
pub const PARALLEL_SUBMITS: u32 = 4;
/// The largest number that a user may set: as many as one round trip carries.
pub const PARALLEL_SUBMITS_MAX: u32 = 32;

/// The default bound on the files of one retrieval.
pub const RETRIEVE_FILES: u64 = 200_000;
/// The default bound on the bytes of one retrieval: 200 GB.
pub const RETRIEVE_BYTES: u64 = 200_000_000_000;

/// The names between braces that are filled in in `mpirun_command`.
pub const MPIRUN_NUMBERS: [&str; 5] = [
    "tot_num_mpiprocs",
    "num_machines",
    "num_mpiprocs_per_machine",
    "num_cores_per_mpiproc",
    "num_cores_per_machine",
];

impl Computer {
    /// Returns the first name between braces in `mpirun_command` that is none of [`MPIRUN_NUMBERS`].
    pub fn unknown_mpirun_number(&self) -> Option<&str> {
        let names = self.mpirun_command.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
        names.map(|(name, _)| name).find(|name| !MPIRUN_NUMBERS.contains(name))
    }

    /// Returns the destination of its jobs: scheduler with its settings, transport, user, host and port, and the proxy
    /// on the way.
    /// It identifies the queue until the host has named it.
    pub fn address(&self) -> String {
        let bare = |name: &str| name.strip_prefix("core.").unwrap_or(name).to_owned();
        let of = |key: &str| match self.connection.get(key) {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let user = Some(of("username")).filter(|user| !user.is_empty()).map(|user| format!("{user}@"));
        let port = Some(of("port")).filter(|port| !port.is_empty()).map(|port| format!(":{port}"));
        let through: String = ["proxy_jump", "proxy_command"]
            .into_iter()
            .map(of)
            .filter(|way| !way.is_empty())
            .map(|way| format!(" through {way}"))
            .collect();
        let settings = match self.scheduler_settings.is_empty() {
            true => String::new(),
            false => format!(" {}", serde_json::Value::Object(self.scheduler_settings.clone())),
        };
        format!(
            "{}{settings} at {}{}{} by {}{through}",
            bare(&self.scheduler),
            user.unwrap_or_default(),
            self.hostname,
            port.unwrap_or_default(),
            bare(&self.transport)
        )
    }

    /// Returns whether commands go through a login shell; `None` if the user has not set it.
    pub fn login_shell(&self) -> Option<bool> {
        self.connection.get("use_login_shell").and_then(serde_json::Value::as_bool)
    }

    /// Returns the work directory, with the user's name filled in.
    ///
    /// # Errors
    /// If the user has no name there and the directory needs one. Their number would lead to another directory
    /// than the name, which may come back.
    pub fn work_dir_of(&self, user: &str) -> Result<String, String> {
        let wants_name = self.work_dir.contains("{username}");
        if wants_name && is_nameless(user) {
            let Computer { label, work_dir, .. } = self;
            return Err(format!(
                "computer `{label}`: work_dir `{work_dir}` needs a user name, but user {user} has none there"
            ));
        }
        Ok(self.work_dir.replace("{username}", user))
    }

    /// Returns a connection setting that is true or false.
    pub fn connection_flag(&self, key: &str) -> bool {
        self.connection.get(key).and_then(serde_json::Value::as_bool).unwrap_or(false)
    }

    /// Returns the interpreter of job scripts: the shebang's words.
    pub fn interpreter(&self) -> Vec<String> {
        let words: Vec<String> =
            self.shebang.trim_start_matches("#!").split_whitespace().map(str::to_owned).collect();
        if words.is_empty() { vec!["/bin/sh".into()] } else { words }
    }

    /// Returns the intervals between probes of a host in trouble.
    pub fn probe_pace(&self) -> Pace {
        let seconds = |value: Option<f64>| value.and_then(|value| Duration::try_from_secs_f64(value).ok());
        let Pace(default) = Pace::default();
        let first = seconds(self.probe_initial).unwrap_or(default.first);
        Pace(BackOff { first, longest: seconds(self.probe_max).unwrap_or(default.longest).max(first) })
    }

    /// Returns the most submissions that may be under way at once.
    pub fn parallel_submits(&self) -> usize {
        self.max_parallel_submits.unwrap_or(PARALLEL_SUBMITS).clamp(1, PARALLEL_SUBMITS_MAX) as usize
    }

    /// Returns the most files that one retrieval may bring home.
    pub fn retrieve_max_files(&self) -> u64 {
        self.retrieve_max_files.unwrap_or(RETRIEVE_FILES)
    }

    /// Returns the most bytes that one retrieval may bring home.
    pub fn retrieve_max_bytes(&self) -> u64 {
        self.retrieve_max_bytes.unwrap_or(RETRIEVE_BYTES)
    }

    /// Returns the least time between two listings, if the user set one.
    pub fn poll_interval(&self) -> Option<Duration> {
        self.poll_interval.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(transport: &str, connection: serde_json::Value) -> String {
        let serde_json::Value::Object(connection) = connection else { panic!("settings are an object") };
        let (hostname, scheduler) = ("login1".to_owned(), "core.slurm".to_owned());
        Computer { hostname, scheduler, transport: transport.into(), connection, ..Computer::default() }
            .address()
    }

    #[test]
    fn an_address_is_whom_one_speaks_to_and_not_how() {
        assert_eq!(address("local", serde_json::json!({})), "slurm at login1 by local");
        let full =
            serde_json::json!({"username": "me", "port": 2222, "use_login_shell": true, "keepalive": 3});
        assert_eq!(address("ssh", full.clone()), "slurm at me@login1:2222 by ssh");
        assert_eq!(address("core.ssh", full), "slurm at me@login1:2222 by ssh");
        let jump = serde_json::json!({"username": "", "proxy_jump": "gate"});
        assert_eq!(address("ssh", jump), "slurm at login1 by ssh through gate");
        let mut pbs =
            Computer { scheduler: "mysite.pbs".into(), hostname: "h".into(), ..Computer::default() };
        pbs.scheduler_settings.insert("server".into(), "pbs01".into());
        assert_eq!(pbs.address(), r#"mysite.pbs {"server":"pbs01"} at h by local"#);
    }
}
