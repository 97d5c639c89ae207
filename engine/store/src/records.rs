//! Rows, as the rest of the engine sees them. They are the only form of stored data in the engine.

use std::{fmt, str::FromStr, sync::Arc};

use ferry_plugin_proto::{Kind, Manifest, Value};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::attempts::Attempts;

use ferry_engine_core::{
    computer::Computer,
    process::State,
    scheduler::{Demand, InUse, Submission, Usage},
};

/// A node's number in its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub i64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Data or process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A value or files.
    Data,
    /// A run of a process type.
    Process,
}

/// A node of any kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// Its UUID.
    pub uuid: Uuid,
    /// Data or process.
    pub kind: NodeKind,
    /// Data type, or process type.
    pub node_type: String,
    /// Its label, for people.
    pub label: String,
    /// Its description, for people.
    pub description: String,
    /// Label of the computer it belongs to.
    pub computer: Option<String>,
    /// A data node's value; a process's metadata.
    pub body: Value,
    /// Time at which it was stored.
    pub created: Timestamp,
    /// Time of the last change of its changeable part.
    pub modified: Timestamp,
}

/// One file of a node's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFile {
    /// Relative path inside the node.
    pub path: String,
    /// Digest of its bytes.
    pub digest: String,
    /// Size in bytes.
    pub size: u64,
    /// True if it is executable.
    pub executable: bool,
}

/// A process, without its node's body.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Its number.
    pub id: NodeId,
    /// Its UUID.
    pub uuid: Uuid,
    /// Full name of its type.
    pub process_type: String,
    /// Kind of its type.
    pub kind: Kind,
    /// Its label, for people.
    pub label: String,
    /// Its description, for people.
    pub description: String,
    /// Its state.
    pub state: State,
    /// The wishes of users.
    pub wishes: Wishes,
    /// Digest of the plugin file it runs on.
    pub plugin: String,
    /// The reason it waits, in words.
    pub status: Option<String>,
    /// Its end; empty before.
    pub end: End,
    /// The process that called it.
    pub caller: Option<NodeId>,
    /// Its name among its caller's calls.
    pub call: Option<String>,
    /// The top of its call tree; the process itself if it has no caller.
    pub root: NodeId,
    /// Failed attempts at its present step.
    pub attempts: Attempts,
    /// Number of owners that died while they were stepping it, since its last progress.
    pub crashes: u32,
    /// Number of changes of this row, except requests (kill, pause) and observations.
    pub version: i64,
    /// Time of its creation.
    pub created: Timestamp,
    /// Time of its last change.
    pub modified: Timestamp,
    /// The part that belongs to its kind.
    pub body: Body,
}

/// The wishes of users for a process that has not ended. Requests write it beside the steps, which see it at their next
/// commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// True if a user, or the engine, has paused it.
    pub paused: bool,
    /// True if a user has requested its kill.
    pub kill: bool,
    /// True if it ends even if its job can't be cancelled now.
    pub kill_forced: bool,
}

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct End {
    /// 0: success; otherwise it failed. `None` if it did not finish.
    pub status: Option<u32>,
    /// The reason why it failed, was excepted or was killed.
    pub message: Option<String>,
}

/// The part of a process's row that belongs to its kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A calculation on a computer.
    Calcjob(JobRow),
    /// A calculation in a plugin host. It has nothing of its own.
    Function,
    /// A process that calls others.
    Workflow(FlowRow),
}

/// The row of a calcjob.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobRow {
    /// Label of its computer.
    pub computer: String,
    /// Its job's id.
    pub job_id: Option<String>,
    /// The scheduler's own name for the job's state.
    pub scheduler_state: Option<String>,
    /// Its work directory on the computer.
    pub work_dir: Option<String>,
    /// The state between its steps, as JSON.
    pub checkpoint: Option<String>,
}

/// The row of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowRow {
    /// Time at which a timer wakes it. Its end clears it.
    pub wake: Option<Timestamp>,
    /// Time since which it waits for its timer.
    pub since: Option<Timestamp>,
    /// Number of its children that have ended; an update records this number as noticed.
    pub woken: i64,
    /// The state between its steps, as JSON.
    pub checkpoint: Option<String>,
}

/// A process that has not ended, as an owner finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// Its number.
    pub id: NodeId,
    /// The top of its call tree.
    pub root: NodeId,
    /// Kind of its type.
    pub kind: Kind,
    /// True if it waits only for a child, a timer or a person, and that event has not come.
    pub at_rest: bool,
    /// Time since which it waits for its timer.
    pub since: Option<Timestamp>,
    /// Time at which a timer wakes it.
    pub wake: Option<Timestamp>,
}

/// A child, as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its number.
    pub id: NodeId,
    /// Its uuid.
    pub uuid: Uuid,
    /// Its name among its caller's calls.
    pub call: String,
    /// Its state.
    pub state: State,
    /// 0: success.
    pub exit_status: Option<u32>,
    /// The reason why it failed.
    pub exit_message: Option<String>,
}

/// A job whose process was killed by force, and which must still be cancelled.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// The process that it belonged to.
    pub process: NodeId,
    /// Label of its computer.
    pub computer: String,
    /// The job's id, if it is known; else the job is found by its submission's token.
    pub job_id: Option<String>,
    /// The data that recovery needs.
    pub submission: Submission,
    /// Error of the last try.
    pub error: Option<String>,
}

impl Body {
    /// Returns the body of a new process of this kind.
    pub fn of(kind: Kind) -> Body {
        match kind {
            Kind::CalcJob => Body::Calcjob(JobRow { computer: "localhost".into(), ..JobRow::default() }),
            Kind::WorkChain | Kind::WorkFunction => Body::Workflow(FlowRow::default()),
            _ => Body::Function,
        }
    }
}

impl Process {
    /// Returns the row of a calcjob.
    pub fn job(&self) -> Option<&JobRow> {
        if let Body::Calcjob(job) = &self.body { Some(job) } else { None }
    }

    /// Returns the row of a workflow.
    pub fn flow(&self) -> Option<&FlowRow> {
        if let Body::Workflow(flow) = &self.body { Some(flow) } else { None }
    }

    /// Returns the row of a workflow, to change it.
    pub fn flow_mut(&mut self) -> Option<&mut FlowRow> {
        if let Body::Workflow(flow) = &mut self.body { Some(flow) } else { None }
    }

    /// Returns the label of a calcjob's computer.
    pub fn computer(&self) -> Option<&str> {
        self.job().map(|job| job.computer.as_str())
    }

    /// Returns the id of a calcjob's job, once it is known.
    pub fn job_id(&self) -> Option<&str> {
        self.job()?.job_id.as_deref()
    }

    /// Returns the scheduler's own name for the state of a calcjob's job.
    pub fn scheduler_state(&self) -> Option<&str> {
        self.job()?.scheduler_state.as_deref()
    }

    /// Returns the work directory of a calcjob, once it is known.
    pub fn work_dir(&self) -> Option<&str> {
        self.job()?.work_dir.as_deref()
    }

    /// Returns the saved state of a calcjob or a workflow, as JSON in the format of its kind.
    pub fn checkpoint(&self) -> Option<&str> {
        match &self.body {
            Body::Calcjob(job) => job.checkpoint.as_deref(),
            Body::Workflow(flow) => flow.checkpoint.as_deref(),
            Body::Function => None,
        }
    }

    /// Returns whether it finished with a non-zero exit status.
    pub fn is_failed(&self) -> bool {
        self.state == State::Finished && self.end.status != Some(0)
    }
}

/// The types of link, which are AiiDA's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkType {
    /// Data into a calculation.
    InputCalc,
    /// Data into a workflow.
    InputWork,
    /// Data made by a calculation.
    Create,
    /// Data returned by a workflow.
    Return,
    /// A calculation called by a workflow.
    CallCalc,
    /// A workflow called by a workflow.
    CallWork,
}

impl LinkType {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkType::InputCalc => "input_calc",
            LinkType::InputWork => "input_work",
            LinkType::Create => "create",
            LinkType::Return => "return",
            LinkType::CallCalc => "call_calc",
            LinkType::CallWork => "call_work",
        }
    }
}

impl FromStr for LinkType {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        use LinkType as L;
        [L::InputCalc, L::InputWork, L::Create, L::Return, L::CallCalc, L::CallWork]
            .into_iter()
            .find(|link| link.as_str() == word)
            .ok_or_else(|| format!("unknown link type `{word}`"))
    }
}

/// A link between two nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The node where it begins.
    pub source: NodeId,
    /// The node where it ends.
    pub target: NodeId,
    /// Its type.
    pub link_type: LinkType,
    /// Its label; nested ports are dotted.
    pub label: String,
}

/// A line of a process's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The process that it belongs to.
    pub process: NodeId,
    /// Its time.
    pub time: Timestamp,
    /// Its severity.
    pub level: Level,
    /// The text.
    pub message: String,
}

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// An expected event.
    Report,
    /// An unusual event, or a failure that is retried.
    Warning,
    /// A failure.
    Error,
}

impl Level {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Report => "report",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }

    pub(super) fn read(word: &str) -> Self {
        match word {
            "error" => Level::Error,
            "warning" => Level::Warning,
            _ => Level::Report,
        }
    }
}

/// A computer's row.
#[derive(Debug, Clone, PartialEq)]
pub struct ComputerRow {
    /// Its number.
    pub id: i64,
    /// Its UUID.
    pub uuid: Uuid,
    /// Its settings.
    pub config: Computer,
    /// Time at which it was set up.
    pub created: Timestamp,
}

/// A group of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub id: i64,
    /// Its UUID.
    pub uuid: Uuid,
    /// Its name in this profile.
    pub label: String,
    /// Its description, for people.
    pub description: String,
    /// Number of nodes in it.
    pub count: u64,
    /// Time of its creation.
    pub created: Timestamp,
}

/// A job's place under its computer's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The process of the job.
    pub process: NodeId,
    /// The submission's token.
    pub token: String,
    /// True if the job counts as pending.
    pub queued: bool,
    /// Its demand on the machine.
    pub demand: Demand,
    /// The GPUs that are assigned to it.
    pub devices: Vec<String>,
}

impl Ticket {
    /// Adds its demand on the machine.
    pub fn add_to(&self, used: &mut InUse) {
        if self.devices.is_empty() {
            used.add(&self.demand);
        } else {
            used.hold(&self.demand, self.devices.iter().cloned());
        }
    }
}

/// The latest state of a computer's gate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GateState {
    /// The usage of the queue.
    pub usage: Usage,
    /// Resources of the machine that jobs use, if they share one.
    pub taken: Demand,
    /// A bound on active jobs, learnt from the scheduler's refusals.
    #[serde(rename = "clamp")]
    pub learned_limit: Option<u32>,
    /// Processes that wait for a place.
    pub waiting: u32,
    /// Labels of the other computers that share its queue; all other fields apply to all of them together.
    pub shared_with: Vec<String>,
    /// Time at which the queue was listed, RFC 3339.
    pub listed: String,
}

/// A plugin file that was admitted.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginRow {
    /// Digest of the file.
    pub digest: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The path it was admitted from.
    pub origin: String,
    /// True if it is bundled with ferry.
    pub bundled: bool,
    /// True if its types are offered for new processes.
    pub active: bool,
    /// The types and values that it offers.
    pub manifest: Arc<Manifest>,
    /// Compiler, target and SDK, for display.
    pub facts: serde_json::Value,
    /// Time at which it was admitted.
    pub installed: Timestamp,
}
