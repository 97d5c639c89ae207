//! Monitors, which look at a running job and may stop it. A monitor names the files that it needs; the engine
//! fetches them, and the monitor judges.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Namespace, NewNode};

/// One monitor that a plugin offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MonitorType {
    /// Full name, `plugin.monitor`.
    pub name: String,
    /// Its documentation; the first line is the summary.
    #[serde(default)]
    pub doc: String,
    /// Its `kwargs`: values alone.
    #[serde(default)]
    pub inputs: Namespace,
    /// Other names it answers to.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// Files of a work directory that a monitor wants to see.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WantedFile {
    /// Relative path or pattern in the work directory.
    pub path: String,
    /// Number of bytes wanted from the end of each file. With 0, only whether the file is there, and its
    /// size.
    #[serde(default)]
    pub bytes: u64,
}

/// A file of the work directory, as it stood.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SeenFile {
    /// Relative path in the work directory.
    pub path: String,
    /// Its size, bytes.
    #[serde(default)]
    pub size: u64,
    /// Path at which the end of the file can be read, as much of it as was wanted.
    #[serde(default)]
    pub end: Option<String>,
}

/// A job that runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunningJob {
    /// Uuid of its process.
    #[serde(default)]
    pub process: String,
    /// Full name of the process's type.
    #[serde(default)]
    pub process_type: String,
    /// Label of its computer.
    #[serde(default)]
    pub computer: String,
    /// Its id there.
    #[serde(default)]
    pub job_id: String,
    /// The scheduler's own word for its state.
    #[serde(default)]
    pub scheduler_state: String,
    /// Its work directory.
    #[serde(default)]
    pub work_dir: String,
    /// Now, microseconds since 1970.
    #[serde(default)]
    pub time: i64,
}

/// The verdict of a monitor on a running job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The reason, for people.
    #[serde(default)]
    pub message: String,
    /// The action to take.
    #[serde(default)]
    pub action: MonitorAction,
    /// True if the files of a job that is stopped are retrieved.
    #[serde(default = "yes")]
    pub retrieve: bool,
    /// True if they are parsed.
    #[serde(default = "yes")]
    pub parse: bool,
    /// True if the process ends as stopped by a monitor, whatever its parser says.
    #[serde(default = "yes")]
    pub override_exit_code: bool,
    /// Outputs of the process, by port; their files are inline.
    #[serde(default)]
    pub outputs: BTreeMap<String, NewNode>,
}

fn yes() -> bool {
    true
}

impl Default for Verdict {
    fn default() -> Self {
        Verdict {
            message: String::new(),
            action: MonitorAction::default(),
            retrieve: true,
            parse: true,
            override_exit_code: true,
            outputs: BTreeMap::new(),
        }
    }
}

/// The action that a monitor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorAction {
    /// The job is stopped.
    #[default]
    Kill,
    /// No monitor looks at this job any more.
    DisableAll,
    /// This monitor looks at it no more.
    DisableSelf,
}

/// The result of a monitor.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Judged {
    /// The verdict; `None` if the job goes on.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// Lines for the process's report.
    #[serde(default)]
    pub reports: Vec<String>,
    /// An error: the monitor could not judge.
    #[serde(default)]
    pub exception: Option<String>,
}
