//! What can be written: a list of [`Change`]s, committed together or not at all.
//!
//! Nodes are named by uuid, so a batch can create a process, its inputs and the links between them without
//! knowing their numbers.

use ferry_plugin_proto::{Kind, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    CommentChange, Content, Deletion, GateState, GroupChange, HostChange, Level, LinkType, NodeId, PluginRow,
    Process,
};
use ferry_engine_core::{
    computer::Computer,
    scheduler::{Bounds, Demand, Machine, QueueKey, Submission},
};

/// One file to be kept in a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileContent {
    /// Relative path inside the node.
    pub path: String,
    /// Its bytes.
    pub content: Content,
    /// Whether it is a program.
    #[serde(default)]
    pub executable: bool,
}

/// A data node to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewData {
    /// Its name everywhere, made by the caller.
    pub uuid: Uuid,
    /// Its data type.
    pub data_type: String,
    /// For people.
    pub label: String,
    /// For people.
    pub description: String,
    /// Its value.
    pub body: Value,
    /// Its files.
    pub files: Vec<FileContent>,
    /// Label of its computer.
    pub computer: Option<String>,
}

/// A process to be stored, in state *created*.
#[derive(Debug, Clone, PartialEq)]
pub struct NewProcess {
    /// Its name everywhere, made by the caller.
    pub uuid: Uuid,
    /// Full name of its type.
    pub process_type: String,
    /// Kind of its type.
    pub kind: Kind,
    /// For people.
    pub label: String,
    /// For people.
    pub description: String,
    /// Digest of its plugin.
    pub plugin: String,
    /// Label of its computer.
    pub computer: Option<String>,
    /// Its metadata (options).
    pub body: Value,
    /// Who called it.
    pub caller: Option<Caller>,
}

/// Who called a process, and as what. A second process under the same call is refused with `Exists`: a step that is run again
/// can't launch its children twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The calling process.
    pub process: NodeId,
    /// The child's name among its calls.
    pub call: String,
}

/// One write. See the variants for what makes them fail the whole batch.
#[derive(Debug, Clone)]
pub enum Change {
    /// A data node. `Rule` if a large object is not in the repository.
    Data(NewData),
    /// A process.
    Process(NewProcess),
    /// A link. `Rule` where the rules of links forbid it: a label or an end that is taken, the wrong kinds of node, a
    /// sealed process, inputs and calls later than their process, a `create` link later than its data, a `return`
    /// link to data of the same batch.
    Link {
        /// From.
        source: Uuid,
        /// To.
        target: Uuid,
        /// Which kind.
        link_type: LinkType,
        /// Its label.
        label: String,
    },
    /// The changeable part of a process. `Conflict` unless the row still has `version`.
    Update(Box<Process>),
    /// The scheduler's word and what a process waits for, and nothing else; no new version.
    Observed {
        /// Which process.
        process: NodeId,
        /// What it waits for.
        status: Option<String>,
        /// The scheduler's word.
        scheduler_state: Option<String>,
    },
    /// The digest of all that a new calculation's results depend on.
    CacheHash {
        /// Which.
        process: Uuid,
        /// The digest.
        hash: String,
    },
    /// A calculation has taken over the results of another.
    TakenFrom {
        /// Which.
        process: NodeId,
        /// Whose.
        source: Uuid,
    },
    /// Whether others may take over the results of a calculation.
    Reusable {
        /// Whose.
        process: NodeId,
        /// Whether.
        reusable: bool,
    },
    /// Another label or description of a node; all else of a stored node never changes. `NotFound` without it.
    Describe {
        /// Which.
        node: NodeId,
        /// Its label, if that changes.
        label: Option<String>,
        /// Its description, if that changes.
        description: Option<String>,
    },
    /// What people say about a node.
    Comment(CommentChange),
    /// Nodes that go, with all that came of them. `Conflict` if more would go than was looked at, `Rule` for processes
    /// that have not ended or still have a job to be cancelled.
    Delete(Deletion),
    /// A change of a group.
    InGroup {
        /// Its label.
        group: String,
        /// What changes.
        change: GroupChange,
    },
    /// Files kept with a process: what was uploaded for it. `Rule` for data, and for a process that has ended.
    Files {
        /// Which process.
        process: NodeId,
        /// The files.
        files: Vec<FileContent>,
    },
    /// Lets go of files kept with a process: these, and all below them where they are directories. `Rule` for data, and
    /// for a process that has ended.
    DropFiles {
        /// Which process.
        process: NodeId,
        /// Their paths.
        paths: Vec<String>,
    },
    /// A line of a process's report.
    Log {
        /// Whose.
        process: NodeId,
        /// How serious.
        level: Level,
        /// What happened.
        message: String,
    },
    /// An owner died while it was stepping this process. Forgotten by an [`Change::Update`] that gets it on.
    Crashed(NodeId),
    /// Asks for the end of a process and of all that it called. Ended ones are left alone. The report of the one that
    /// was named tells of it.
    RequestKill {
        /// Which.
        process: NodeId,
        /// Whether it ends even if what runs on its computer can't be cancelled now.
        force: bool,
    },
    /// Takes up an excepted process again, from its last good checkpoint: outputs that its failure left go, its failures
    /// are forgotten. `Rule` unless it is excepted, and nobody has taken notice of that.
    Resume(NodeId),
    /// Keeps in mind a job that is still to be cancelled after its process has ended.
    Orphan {
        /// Whose job.
        process: NodeId,
        /// Label of the computer.
        computer: String,
        /// Its id, if it is known.
        job_id: Option<String>,
        /// What recovery needs.
        submission: Box<Submission>,
    },
    /// Why an orphan could not be cancelled; without a reason, it was.
    Reaped {
        /// Whose job it was.
        process: NodeId,
        /// Why not.
        error: Option<String>,
    },
    /// The wish that the work directory of an ended calculation be removed; of what has none of its own, nothing.
    Clean {
        /// Which, or whose calculations.
        process: NodeId,
        /// All that it called, directly or not, instead of itself.
        below: bool,
    },
    /// Forgets the wish that a work directory be removed: it is not the calculation's own.
    Unclean(NodeId),
    /// Why a work directory could not be removed; without a reason, it was.
    Cleaned {
        /// Whose.
        process: NodeId,
        /// Why not.
        error: Option<String>,
    },
    /// Lets a process and all that it called stand still, or go on with their failures forgotten. Ended ones are left
    /// alone. The report of the one that was named tells of it. No new version: an [`Change::Update`] of a step under
    /// way comes true, and takes no pause back.
    Pause {
        /// Which.
        process: NodeId,
        /// Still, or on.
        paused: bool,
    },
    /// A place under the limits of a computer's queue, kept if the process has one. `Limit` if the bounds leave no room
    /// beside all tickets of the computers that share the queue, or the limits that they have by now, or what their
    /// machine has.
    TakeTicket {
        /// Whose job.
        process: NodeId,
        /// Label of the computer.
        computer: String,
        /// The submission's token.
        token: String,
        /// Bounds on our own tickets of the queue; `None`: the job is there already, whatever the limits.
        bounds: Option<Bounds>,
        /// What it takes of the machine, where jobs share it: the GPUs are chosen here.
        demand: Demand,
    },
    /// Whether the job of a ticket counts as pending. Without a ticket: nothing.
    TicketQueued {
        /// Whose job.
        process: NodeId,
        /// Pending, or running.
        queued: bool,
    },
    /// Gives a ticket back. Without one: nothing.
    DropTicket(NodeId),
    /// What the gate of a computer saw last.
    Gate {
        /// Label of the computer.
        computer: String,
        /// What it saw.
        state: GateState,
    },
    /// What is known about a computer's host.
    Host {
        /// Label of the computer.
        computer: String,
        /// What changes.
        change: HostChange,
    },
    /// Which queue a host says it is, and as which user.
    Queue {
        /// The address that it was asked at, as [`Computer::address`] writes it.
        address: String,
        /// What it said.
        key: QueueKey,
    },
    /// What a host says of the machine that its jobs share.
    Machine {
        /// The address that it was asked at.
        address: String,
        /// What it said.
        machine: Machine,
    },
    /// A new computer, or with `replace` new settings of an existing one.
    Computer {
        /// Its settings; the label names it.
        config: Box<Computer>,
        /// Whether it must be there, or must not.
        replace: bool,
    },
    /// A new group.
    Group {
        /// Its label.
        label: String,
        /// For people.
        description: String,
        /// Whether an existing one is fine.
        if_missing: bool,
    },
    /// A node put into a group.
    Member {
        /// Label of the group.
        group: String,
        /// The node.
        node: Uuid,
    },
    /// A plugin file, inserted or replaced by digest; being active, it replaces others of its name and origin class.
    Plugin(Box<PluginRow>),
    /// Plugins of this name that offer their types no more.
    DeactivatePlugin {
        /// The plugin's name.
        name: String,
        /// Only the bundled one, or only installed ones.
        bundled: bool,
    },
    /// A setting of the profile; `None` forgets it.
    Setting {
        /// Its key.
        key: String,
        /// Its value.
        value: Option<String>,
    },
}
