//! The changes to a store: a list of [`Change`]s, committed together or not at all.
//!
//! Nodes are named by UUID, so a batch can create a process, its inputs and the links between them without knowing
//! their numbers.

use uuid::Uuid;

use crate::{
    records::{GateState, Level, LinkType, NodeId, PluginRow, Process},
    tables::{
        comments::CommentChange,
        delete::Deletion,
        groups::GroupChange,
        hosts::HostChange,
        nodes::{FileContent, NewData},
        processes::NewProcess,
    },
};
use ferry_engine_core::{
    computer::Computer,
    scheduler::{Bounds, Demand, Machine, QueueKey, Submission},
};

/// One write. The variants say which errors fail the whole batch.
#[derive(Debug, Clone)]
pub enum Change {
    /// A data node. Fails with `Rule` if a large object is not in the repository.
    Data(NewData),
    /// A process.
    Process(NewProcess),
    /// A link. Fails with `Rule` if the rules of links forbid it:
    ///
    /// - its label or an end is already taken;
    /// - it joins the wrong kinds of node, or a sealed process;
    /// - an input or call link is later than its process, or a `create` link later than its data;
    /// - a `return` link leads to data of the same batch.
    Link {
        /// The node where the link begins.
        source: Uuid,
        /// The node where the link ends.
        target: Uuid,
        /// Its type.
        link_type: LinkType,
        /// Its label.
        label: String,
    },
    /// The changeable part of a process. Fails with `Conflict` unless the row still has `version`.
    Update(Box<Process>),
    /// The scheduler's state and the status of a process, and nothing else; the version stays.
    Observed {
        /// Id of the process.
        process: NodeId,
        /// The reason it waits.
        status: Option<String>,
        /// The scheduler's state.
        scheduler_state: Option<String>,
    },
    /// The digest of everything that a new calculation's results depend on.
    CacheHash {
        /// UUID of the calculation.
        process: Uuid,
        /// The digest.
        hash: String,
    },
    /// A calculation that has taken over the results of another.
    TakenFrom {
        /// Id of the calculation.
        process: NodeId,
        /// UUID of the calculation that the results came from.
        source: Uuid,
    },
    /// Permission for others to take over the results of a calculation.
    Reusable {
        /// Id of the calculation.
        process: NodeId,
        /// True if they may.
        reusable: bool,
    },
    /// A new label or description of a node; all else of a stored node never changes. Fails with `NotFound` if the
    /// node does not exist.
    Describe {
        /// Id of the node.
        node: NodeId,
        /// Its label, if that changes.
        label: Option<String>,
        /// Its description, if that changes.
        description: Option<String>,
    },
    /// A change of the comments on a node.
    Comment(CommentChange),
    /// Nodes to delete, with everything derived from them. Fails with `Conflict` if more would be deleted than was
    /// examined. Fails with `Rule` for processes that have not ended or still have a job to be cancelled.
    Delete(Deletion),
    /// A change of a group.
    InGroup {
        /// Its label.
        group: String,
        /// The change.
        change: GroupChange,
    },
    /// Files uploaded for a process, to be stored with it. Fails with `Rule` for data, and for a process that has
    /// ended.
    Files {
        /// Id of the process.
        process: NodeId,
        /// The files.
        files: Vec<FileContent>,
    },
    /// Files of a process to remove: these, and for directories all files below them. Fails with `Rule` for data,
    /// and for a process that has ended.
    DropFiles {
        /// Id of the process.
        process: NodeId,
        /// Their paths.
        paths: Vec<String>,
    },
    /// A line of a process's report.
    Log {
        /// Id of the process.
        process: NodeId,
        /// Its severity.
        level: Level,
        /// The text.
        message: String,
    },
    /// A process that an owner was stepping when it died. An [`Change::Update`] that makes progress clears the
    /// count.
    Crashed(NodeId),
    /// A request to kill a process and all that it called. Processes that have ended are left alone. The report of
    /// the named process records the request.
    RequestKill {
        /// Id of the process.
        process: NodeId,
        /// True if it ends even if its job can't be cancelled now.
        force: bool,
    },
    /// An excepted process to resume from its last good checkpoint. The outputs of the failed step are removed,
    /// and its failures are forgotten. Fails with `Rule` if it is not excepted, or if its caller has taken notice
    /// of the exception.
    Resume(NodeId),
    /// A job that must still be cancelled after its process has ended.
    Orphan {
        /// Id of the process.
        process: NodeId,
        /// Label of the computer.
        computer: String,
        /// Its id, if it is known.
        job_id: Option<String>,
        /// The data that recovery needs.
        submission: Box<Submission>,
    },
    /// The result of cancelling an orphaned job.
    Reaped {
        /// Id of the process.
        process: NodeId,
        /// The reason why it could not be cancelled; `None` if it was.
        error: Option<String>,
    },
    /// A request to remove the work directory of an ended calculation. It has no effect on a process without a
    /// work directory of its own.
    Clean {
        /// Id of the calculation, or of the process above the calculations.
        process: NodeId,
        /// True for all calculations that it called, directly or not, instead of itself.
        below: bool,
    },
    /// A request for removal to drop, since the work directory is not the calculation's own.
    Unclean(NodeId),
    /// The result of removing a work directory.
    Cleaned {
        /// Id of the calculation.
        process: NodeId,
        /// The reason why it could not be removed; `None` if it was.
        error: Option<String>,
    },
    /// A request to pause a process and all that it called, or to let them continue with their failures forgotten.
    /// Processes that have ended are left alone. The report of the named process records the request. The version
    /// stays: an [`Change::Update`] of a running step still succeeds, and does not cancel a pause.
    Pause {
        /// Id of the process.
        process: NodeId,
        /// True to pause, false to continue.
        paused: bool,
    },
    /// A place under the limits of a computer's queue; a process that has one keeps it. Fails with `Limit` if
    /// there is no room: under the bounds, under the present limits, or on the machine. All tickets of the
    /// computers that share the queue count.
    TakeTicket {
        /// Id of the process.
        process: NodeId,
        /// Label of the computer.
        computer: String,
        /// The submission's token.
        token: String,
        /// Bounds on our own tickets of the queue; `None` if the job exists already, whatever the limits.
        bounds: Option<Bounds>,
        /// Its demand on the machine, where jobs share it; the GPUs are chosen when the ticket is taken.
        demand: Demand,
    },
    /// The state of a ticket's job. It has no effect without a ticket.
    TicketQueued {
        /// Id of the process.
        process: NodeId,
        /// True if the job counts as pending, false if as running.
        queued: bool,
    },
    /// A ticket to return. It has no effect without a ticket.
    DropTicket(NodeId),
    /// The latest state of a computer's gate.
    Gate {
        /// Label of the computer.
        computer: String,
        /// The state.
        state: GateState,
    },
    /// A change of a computer's host.
    Host {
        /// Label of the computer.
        computer: String,
        /// The change.
        change: HostChange,
    },
    /// The queue that a host reports to be, and the user.
    Queue {
        /// The address at which it was asked, as [`Computer::address`] writes it.
        address: String,
        /// Its answer.
        key: QueueKey,
    },
    /// The host's report of the machine that its jobs share.
    Machine {
        /// The address at which it was asked.
        address: String,
        /// Its answer.
        machine: Machine,
    },
    /// A new computer, or with `replace` new settings of an existing one.
    Computer {
        /// Its settings; the label names it.
        config: Box<Computer>,
        /// True if it must exist, false if it must not.
        replace: bool,
    },
    /// A new group.
    Group {
        /// Its label.
        label: String,
        /// Its description, for people.
        description: String,
        /// True if an existing one is accepted.
        if_missing: bool,
    },
    /// A node to add to a group.
    Member {
        /// Label of the group.
        group: String,
        /// The node.
        node: Uuid,
    },
    /// A plugin file, inserted or replaced by digest. If it is active, it deactivates others of its name with the
    /// same `bundled` flag.
    Plugin(Box<PluginRow>),
    /// Plugins of this name that no longer offer their types.
    DeactivatePlugin {
        /// The plugin's name.
        name: String,
        /// True for the bundled one only, false for installed ones only.
        bundled: bool,
    },
    /// A setting of the profile; `None` removes it.
    Setting {
        /// Its key.
        key: String,
        /// Its value.
        value: Option<String>,
    },
}
