//! Rows as the rest of the engine sees them. Nothing else in the engine derives what is stored.

use std::{fmt, str::FromStr, sync::Arc};

use ferry_plugin_proto::{Kind, Manifest, Value};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
    /// Its name everywhere.
    pub uuid: Uuid,
    /// Data or process.
    pub kind: NodeKind,
    /// Data type, or process type.
    pub node_type: String,
    /// For people.
    pub label: String,
    /// For people.
    pub description: String,
    /// Label of the computer it belongs to.
    pub computer: Option<String>,
    /// A data node's value; a process's metadata.
    pub body: Value,
    /// When it was stored.
    pub created: Timestamp,
    /// When a changeable part of it changed last.
    pub modified: Timestamp,
}

/// One file of a node's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFile {
    /// Relative path inside the node.
    pub path: String,
    /// Digest of its bytes.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// Whether it is a program.
    pub executable: bool,
}

/// A process, without its node's body.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Its number.
    pub id: NodeId,
    /// Its name everywhere.
    pub uuid: Uuid,
    /// Full name of its type.
    pub process_type: String,
    /// Kind of its type.
    pub kind: Kind,
    /// For people.
    pub label: String,
    /// For people.
    pub description: String,
    /// Where it stands.
    pub state: State,
    /// Whether it was told, or decided, to stand still.
    pub paused: bool,
    /// Whether its end was asked for.
    pub kill_requested: bool,
    /// Whether it is to end even if what runs on its computer can't be cancelled now.
    pub kill_forced: bool,
    /// Digest of the plugin file it runs on.
    pub plugin: String,
    /// What it waits for, in words.
    pub status: Option<String>,
    /// 0: success; otherwise it failed.
    pub exit_status: Option<u32>,
    /// Why it failed, was excepted or was killed.
    pub exit_message: Option<String>,
    /// Its job's id.
    pub job_id: Option<String>,
    /// The scheduler's own word for the job's state.
    pub scheduler_state: Option<String>,
    /// Its work directory on the computer.
    pub work_dir: Option<String>,
    /// Label of its computer.
    pub computer: Option<String>,
    /// JSON that its kind understands.
    pub checkpoint: Option<String>,
    /// The process that called it.
    pub caller: Option<NodeId>,
    /// Its name among its caller's calls.
    pub call: Option<String>,
    /// The top of its call tree; itself, if nobody called it.
    pub root: NodeId,
    /// When a timer wakes it. Its end clears it.
    pub wake: Option<Timestamp>,
    /// How many of its children have ended; an update takes notice of so many.
    pub woken: i64,
    /// Owners that died while they were stepping it, since it last got on.
    pub crashes: u32,
    /// Counts the changes of this row, but for wishes (kill, pause) and what was merely observed.
    pub version: i64,
    /// When it was created.
    pub created: Timestamp,
    /// When it changed last.
    pub modified: Timestamp,
}

/// A process that has not ended, as an owner finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// Which.
    pub id: NodeId,
    /// The top of its call tree.
    pub root: NodeId,
    /// Kind of its type.
    pub kind: Kind,
    /// Whether it waits for nothing but a child, a timer or a person, which has not come.
    pub at_rest: bool,
    /// Since when it waits for its timer.
    pub since: Option<Timestamp>,
    /// When a timer wakes it.
    pub wake: Option<Timestamp>,
}

/// A child, as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Which.
    pub id: NodeId,
    /// Its uuid.
    pub uuid: Uuid,
    /// Its name among its caller's calls.
    pub call: String,
    /// Where it stands.
    pub state: State,
    /// 0: success.
    pub exit_status: Option<u32>,
    /// Why it failed.
    pub exit_message: Option<String>,
}

/// A job whose process was ended by force: still to be cancelled.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// Whose job it was.
    pub process: NodeId,
    /// Label of its computer.
    pub computer: String,
    /// The job, if its id is known; else it is found by its submission's token.
    pub job_id: Option<String>,
    /// What recovery needs.
    pub submission: Submission,
    /// Why the last try failed.
    pub error: Option<String>,
}

impl Process {
    /// Whether it finished with a non-zero exit status.
    pub fn is_failed(&self) -> bool {
        self.state == State::Finished && self.exit_status != Some(0)
    }
}

/// Kinds of link, AiiDA's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkType {
    /// Data into a calculation.
    InputCalc,
    /// Data into a workflow.
    InputWork,
    /// Data made by a calculation.
    Create,
    /// Data handed on by a workflow.
    Return,
    /// A calculation called by a workflow.
    CallCalc,
    /// A workflow called by a workflow.
    CallWork,
}

impl LinkType {
    /// The word for it.
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
            .ok_or_else(|| format!("`{word}` is no kind of link"))
    }
}

/// A link between two nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// From.
    pub source: NodeId,
    /// To.
    pub target: NodeId,
    /// Which kind.
    pub link_type: LinkType,
    /// Its label; nested ports are dotted.
    pub label: String,
}

/// A line of a process's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whose.
    pub process: NodeId,
    /// When.
    pub time: Timestamp,
    /// How serious.
    pub level: Level,
    /// What happened.
    pub message: String,
}

/// How serious a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something went as it should.
    Report,
    /// Something was odd, or is tried again.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// The word for it.
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
    /// Its name everywhere.
    pub uuid: Uuid,
    /// Its settings.
    pub config: Computer,
    /// When it was set up.
    pub created: Timestamp,
}

/// A group of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub id: i64,
    /// Its name everywhere.
    pub uuid: Uuid,
    /// Its name in this profile.
    pub label: String,
    /// For people.
    pub description: String,
    /// How many nodes are in it.
    pub count: u64,
    /// When it was made.
    pub created: Timestamp,
}

/// A job's place under its computer's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Whose job.
    pub process: NodeId,
    /// The submission's token.
    pub token: String,
    /// Whether it counts as pending.
    pub queued: bool,
    /// What it takes of the machine.
    pub demand: Demand,
    /// The GPUs that it was given.
    pub devices: Vec<String>,
}

impl Ticket {
    /// Adds what it takes of the machine.
    pub fn add_to(&self, used: &mut InUse) {
        if self.devices.is_empty() {
            used.add(&self.demand);
        } else {
            used.hold(&self.demand, self.devices.iter().cloned());
        }
    }
}

/// What the gate of a computer saw last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GateState {
    /// What is in use.
    pub usage: Usage,
    /// What jobs have of the machine, if they share one.
    pub taken: Demand,
    /// A bound on active jobs that the scheduler has taught us by refusing.
    pub clamp: Option<u32>,
    /// Processes that wait for a place.
    pub waiting: u32,
    /// Labels of the other computers that share its queue: all else here is about all of them together.
    pub shared_with: Vec<String>,
    /// When the queue was listed, RFC 3339.
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
    /// Whether it came with ferry.
    pub bundled: bool,
    /// Whether its types are offered for new processes.
    pub active: bool,
    /// What it offers.
    pub manifest: Arc<Manifest>,
    /// Compiler, target and SDK, for people.
    pub facts: serde_json::Value,
    /// When it was admitted.
    pub installed: Timestamp,
}
