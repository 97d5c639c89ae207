//! The requests of the command line to a profile's owner, and the responses: MessagePack over `ferry.sock`, or a
//! plain call where the command line is the owner itself.

use ferry_plugin_proto::Problem;
use serde::{Deserialize, Serialize};

use crate::{
    admission::SchedulerTrouble,
    calcjob::DryRun,
    computer::Computer,
    executor::StoreTrouble,
    process::{Launch, Launched, State},
    store::{CommentChange, Deletion, FileContent, GroupChange, NodeId, Stage, Tidied},
    transport::{Question, Secret},
};

/// The protocol version, raised when an older peer could misread a newer one.
pub const PROTOCOL: u32 = 1;

/// The first message of a connection, in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the sender.
    pub protocol: u32,
    /// Its version, for display.
    pub version: String,
    /// Its pid.
    pub pid: u32,
    /// `daemon`, `run` or `client`.
    #[serde(default)]
    pub role: String,
}

/// One request. Each is answered within a bounded time, after its effects are on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A launch of a process. Answers `Launched` or `Refused`.
    Launch(Box<Launch>),
    /// A dry run: the files of a calcjob are written to a new directory below `dir`, and nothing is launched.
    /// Answers `DryRun` or `Refused`.
    DryRun {
        /// The launch that would be made.
        launch: Box<Launch>,
        /// Absolute path, on this machine.
        dir: std::path::PathBuf,
    },
    /// Launches of processes, all or none, in one transaction. Answers `LaunchedAll` or `RefusedSome`.
    LaunchAll(Vec<Launch>),
    /// A request to kill processes and all that they called. Answers `Done`.
    Kill {
        /// Ids of the processes.
        processes: Vec<i64>,
        /// True if they end even if their jobs can't be cancelled now; those are cancelled when the computer
        /// answers.
        #[serde(default)]
        force: bool,
    },
    /// A request to resume excepted processes from their last good checkpoint. Answers `Done`.
    Resume(Vec<i64>),
    /// A request to pause processes and all that they called, or to let them continue. Answers `Done`.
    Pause {
        /// Ids of the processes.
        processes: Vec<i64>,
        /// True to pause, false to continue.
        paused: bool,
    },
    /// A new computer, or new settings of one. Answers `Done`.
    Computer {
        /// Its settings.
        config: Box<Computer>,
        /// True if the computer exists already.
        replace: bool,
    },
    /// A decision about a computer, or a finding. Answers `Done`.
    Host {
        /// Its label.
        computer: String,
        /// The decision or finding.
        action: HostAction,
    },
    /// A step of a log-in with a person at hand. Answers `Login`, or `Done` to a cancellation.
    Login(LoginStep),
    /// Remove the work directories of calculations that have ended; those that can't be reached are removed later.
    /// Answers `Done`.
    CleanWorkDirs(Vec<i64>),
    /// A request to submit again a job whose submission stays unclear. Answers `Done`.
    Resubmit(i64),
    /// A new data node of its own, as `code create` makes one. Answers `Node`.
    Data {
        /// Its data type.
        data_type: String,
        /// Its label, for people.
        label: String,
        /// Its description, for people.
        description: String,
        /// Its value.
        value: ferry_plugin_proto::Value,
        /// Its files, whose large objects are in the repository already.
        files: Vec<FileContent>,
        /// Label of its computer.
        computer: Option<String>,
    },
    /// A new group, and nodes (by id, UUID or label) to put into it. Answers `Done`.
    Group {
        /// Its label.
        label: String,
        /// Its description, for people.
        description: String,
        /// Nodes to put in.
        nodes: Vec<String>,
        /// True if it may exist already.
        if_missing: bool,
    },
    /// Changes of groups, by label, in one transaction. Answers `Done`.
    Groups(Vec<(String, GroupChange)>),
    /// A change of the comments on a node. Answers `Done`.
    Comment(CommentChange),
    /// A new label or description of a node. Answers `Done`.
    Describe {
        /// Id of the node.
        node: NodeId,
        /// Its label, if that changes.
        label: Option<String>,
        /// Its description, if that changes.
        description: Option<String>,
    },
    /// A deletion of nodes with everything derived from them, and of groups, in one transaction. Answers `Done`.
    Delete {
        /// The nodes, as they were examined.
        nodes: Deletion,
        /// Labels of groups to delete too.
        groups: Vec<String>,
    },
    /// A plugin file to admit, probe and activate. Answers `Plugin`.
    InstallPlugin {
        /// Absolute path.
        path: String,
    },
    /// The name of an installed plugin to deactivate. Answers `Done`.
    RemovePlugin {
        /// Its name.
        name: String,
    },
    /// Permission for others to take over the results of a calculation. Answers `Done`.
    Reusable {
        /// Id of the calculation.
        process: i64,
        /// True if they may.
        reusable: bool,
    },
    /// A setting of the profile; `None` removes it. Answers `Done`.
    Setting {
        /// Its key.
        key: String,
        /// Its value.
        value: Option<String>,
    },
    /// A wait until the mark of a process differs from `seen`, or it has ended; at most `seconds`. Answers
    /// `Process`.
    Wait {
        /// Id of the process.
        process: i64,
        /// The last mark that the client knows.
        seen: i64,
        /// Longest wait, s.
        seconds: u64,
    },
    /// A process that a terminal follows: step it, even where only some are stepped. Answers `Done`.
    Attach(i64),
    /// One step of store maintenance. Answers `Tidied`.
    Maintain(Stage),
    /// A query of the owner's status. Answers `Status`.
    Status,
    /// A request to stop gracefully. Answers `Done`, then ends.
    Stop,
    /// A request to a `ferry run` to hand its profile over to a daemon that starts. Answers `Done`, then releases
    /// it; a daemon refuses.
    HandOver,
}

/// A step of a log-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginStep {
    /// The owner connects.
    Begin {
        /// Label of the computer.
        computer: String,
    },
    /// A person has answered.
    Answer {
        /// Number of the log-in.
        id: u64,
        /// An answer to each prompt.
        answers: Vec<Secret>,
    },
    /// Nobody will answer.
    Cancel {
        /// Number of the log-in.
        id: u64,
    },
}

/// The state of a log-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginState {
    /// The server asks.
    Asked {
        /// Number of the log-in.
        id: u64,
        /// The question.
        question: Question,
    },
    /// The owner is logged in, and keeps the connection.
    In,
}

/// A user's decision about a computer, or a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostAction {
    /// It gets no new work; its jobs are still watched and their results retrieved.
    Disable {
        /// The reason, for people.
        reason: String,
    },
    /// It gets work again, and is tried now if it was in trouble.
    Enable,
    /// It works for the user: it is tried now if it was in trouble.
    TryNow,
    /// A test job has seen its work directory and kept its name.
    Proven,
}

impl Request {
    /// Returns whether sending the request twice has the same effect as once. If so, it may be repeated when an
    /// owner is lost in the middle of it.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Request::Kill { .. }
            | Request::Pause { .. }
            | Request::Setting { .. }
            | Request::Describe { .. }
            | Request::Comment(CommentChange::Rewrite { .. })
            | Request::Wait { .. }
            | Request::Attach(_)
            | Request::Status
            | Request::InstallPlugin { .. } => true,
            Request::Computer { replace, .. } => *replace,
            Request::Group { if_missing, .. } => *if_missing,
            _ => false,
        }
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It is done.
    Done,
    /// The state of a log-in.
    Login(LoginState),
    /// The process is on disk.
    Launched(Launched),
    /// The files of a dry run are on disk.
    DryRun(DryRun),
    /// The processes are on disk, in the order of their launches.
    LaunchedAll(Vec<Launched>),
    /// The problems of launches, with the index of each launch, counted from 0. None was accepted.
    RefusedSome(Vec<(usize, Vec<Problem>)>),
    /// The node is on disk.
    Node(Launched),
    /// Everything that is wrong with a launch.
    Refused(Vec<Problem>),
    /// The plugin is active.
    Plugin {
        /// Digest of its file.
        digest: String,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Names of its process types.
        types: Vec<String>,
        /// True if the very same file was active already.
        unchanged: bool,
    },
    /// The state of a process.
    Process {
        /// A number that differs after each change, including a pause.
        mark: i64,
        /// Its state.
        state: State,
        /// The reason it waits, if there is one.
        status: Option<String>,
    },
    /// A step of store maintenance is done.
    Tidied {
        /// The result of the step.
        tidied: Tidied,
        /// The next step; `None` if there is none.
        next: Option<Stage>,
    },
    /// The status of the owner.
    Status(Box<OwnerStatus>),
    /// It failed; none of its changes were kept.
    Failed {
        /// The problem.
        message: String,
        /// The next step.
        help: Option<String>,
    },
}

/// The status of an owner.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnerStatus {
    /// Its pid.
    pub pid: u32,
    /// `daemon` or `run`.
    pub role: String,
    /// Its version.
    pub version: String,
    /// Time of its start, RFC 3339.
    pub started: String,
    /// Processes that it is stepping now.
    pub stepping: usize,
    /// Jobs that it watches.
    pub watching: usize,
    /// Its plugin hosts: digest and pid.
    pub hosts: Vec<(String, u32)>,
    /// The trouble of its store, if there is any now.
    pub trouble: Option<StoreTrouble>,
    /// Schedulers that do not answer although their computers do, or that refuse some jobs for now.
    pub schedulers: Vec<SchedulerTrouble>,
    /// Environment variables that matter for reaching computers, as they were at its start.
    pub environment: std::collections::BTreeMap<String, String>,
    /// Names of those variables, set or not. Empty from an owner that does not tell.
    pub watched: Vec<String>,
}
