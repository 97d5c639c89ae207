//! What the command line asks of a profile's owner, and what it answers: MessagePack over `ferry.sock`, or a
//! plain call where the command line is the owner itself.

use ferry_plugin_proto::Problem;
use serde::{Deserialize, Serialize};

use crate::{
    calcjob::DryRun,
    computer::Computer,
    process::{Launch, Launched, State},
    store::{CommentChange, Deletion, FileContent, GroupChange, NodeId, Stage, Tidied},
};

/// Raised when an older peer could misread a newer one.
pub const PROTOCOL: u32 = 1;

/// First message of a connection, both ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the speaker.
    pub protocol: u32,
    /// Its version, for people.
    pub version: String,
    /// Its pid.
    pub pid: u32,
    /// `daemon`, `run` or `client`.
    #[serde(default)]
    pub role: String,
}

/// One request. Each is answered within a bounded time, after it is on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Start a process. Answers `Launched` or `Refused`.
    Launch(Box<Launch>),
    /// Write what a calcjob would be given into a directory of its own below `dir`, and start nothing. Answers `DryRun`
    /// or `Refused`.
    DryRun {
        /// What would be started.
        launch: Box<Launch>,
        /// Absolute path, here.
        dir: std::path::PathBuf,
    },
    /// Start processes, all or none, in one transaction. Answers `LaunchedAll` or `RefusedSome`.
    LaunchAll(Vec<Launch>),
    /// Ask for the end of processes and of all that they called. Answers `Done`.
    Kill {
        /// Which.
        processes: Vec<i64>,
        /// End them even if what runs on a computer can't be cancelled now; it is cancelled when that answers.
        #[serde(default)]
        force: bool,
    },
    /// Take up excepted processes again, from their last good checkpoint. Answers `Done`.
    Resume(Vec<i64>),
    /// Let processes and all that they called stand still, or go on. Answers `Done`.
    Pause {
        /// Which.
        processes: Vec<i64>,
        /// Still, or on.
        paused: bool,
    },
    /// A new computer, or new settings of one. Answers `Done`.
    Computer {
        /// Its settings.
        config: Box<Computer>,
        /// Whether it is there already.
        replace: bool,
    },
    /// What the user decided about a computer, or found out. Answers `Done`.
    Host {
        /// Its label.
        computer: String,
        /// What it is.
        action: HostAction,
    },
    /// Remove the work directories of calculations that have ended; those that can't be reached go later. Answers
    /// `Done`.
    CleanWorkDirs(Vec<i64>),
    /// Submit anew a job whose submission stays unclear. Answers `Done`.
    Resubmit(i64),
    /// A data node of its own, as `code create` makes one. Answers `Node`.
    Data {
        /// Its data type.
        data_type: String,
        /// For people.
        label: String,
        /// For people.
        description: String,
        /// Its value.
        value: ferry_plugin_proto::Value,
        /// Its files, whose large objects are in the repository already.
        files: Vec<FileContent>,
        /// Label of its computer.
        computer: Option<String>,
    },
    /// A new group, and nodes (by id, uuid or label) put into it. Answers `Done`.
    Group {
        /// Its label.
        label: String,
        /// For people.
        description: String,
        /// Nodes to put in.
        nodes: Vec<String>,
        /// Whether it may be there already.
        if_missing: bool,
    },
    /// Changes of groups, by label, in one transaction. Answers `Done`.
    Groups(Vec<(String, GroupChange)>),
    /// What people say about nodes. Answers `Done`.
    Comment(CommentChange),
    /// Another label or description of a node. Answers `Done`.
    Describe {
        /// Which.
        node: NodeId,
        /// Its label, if that changes.
        label: Option<String>,
        /// Its description, if that changes.
        description: Option<String>,
    },
    /// Nodes that go with all that came of them, and groups, in one transaction. Answers `Done`.
    Delete {
        /// Which nodes, as they were looked at.
        nodes: Deletion,
        /// Labels of groups that go too.
        groups: Vec<String>,
    },
    /// Admit, probe and activate a plugin file. Answers `Plugin`.
    InstallPlugin {
        /// Absolute path.
        path: String,
    },
    /// Deactivate the installed plugin of a name. Answers `Done`.
    RemovePlugin {
        /// Its name.
        name: String,
    },
    /// Whether others may take over the results of a calculation. Answers `Done`.
    Reusable {
        /// Whose.
        process: i64,
        /// Whether.
        reusable: bool,
    },
    /// A setting of the profile; `None` forgets it. Answers `Done`.
    Setting {
        /// Its key.
        key: String,
        /// Its value.
        value: Option<String>,
    },
    /// Wait until a process does not stand where it was `seen` any more, or has ended; at most `seconds`. Answers
    /// `Process`.
    Wait {
        /// Which.
        process: i64,
        /// The mark that the asker knows.
        seen: i64,
        /// At most so long, s.
        seconds: u64,
    },
    /// A terminal follows this process: step it, even where only some are stepped. Answers `Done`.
    Attach(i64),
    /// One step of tidying the store. Answers `Tidied`.
    Maintain(Stage),
    /// How the owner is. Answers `Status`.
    Status,
    /// Stop gracefully. Answers `Done`, then ends.
    Stop,
    /// A `ferry run` gives the profile to a daemon that starts. Answers `Done`, then lets go; a daemon refuses.
    HandOver,
}

/// What a user decides about a computer, or finds out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostAction {
    /// It gets no new work; its jobs go on being watched and brought home.
    Disable {
        /// Why, for people.
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
    /// Whether asking twice comes to the same as asking once, so that it may be repeated when an owner went away in
    /// the middle of it.
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
    /// The process is on disk.
    Launched(Launched),
    /// The files of a dry run are on disk.
    DryRun(DryRun),
    /// The processes are on disk, in the order of their launches.
    LaunchedAll(Vec<Launched>),
    /// Everything that is wrong with launches: which of them, counted from 0, and what. None was taken.
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
        /// The very same file was active already.
        unchanged: bool,
    },
    /// Where a process stands.
    Process {
        /// Where it stands: another number after each change, a pause included.
        mark: i64,
        /// Its state.
        state: State,
        /// What it waits for.
        status: Option<String>,
    },
    /// A step of tidying is done.
    Tidied {
        /// What it did.
        tidied: Tidied,
        /// What comes next, if anything does.
        next: Option<Stage>,
    },
    /// How the owner is.
    Status(Box<OwnerStatus>),
    /// It failed; nothing of it was kept.
    Failed {
        /// What happened.
        message: String,
        /// The next step.
        help: Option<String>,
    },
}

/// How an owner is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnerStatus {
    /// Its pid.
    pub pid: u32,
    /// `daemon` or `run`.
    pub role: String,
    /// Its version.
    pub version: String,
    /// When it started, RFC 3339.
    pub started: String,
    /// Processes that it is stepping now.
    pub stepping: usize,
    /// Jobs that it watches.
    pub watching: usize,
    /// Its plugin hosts: digest and pid.
    pub hosts: Vec<(String, u32)>,
    /// What its store does not give or take now.
    pub trouble: Option<StoreTrouble>,
    /// Schedulers that do not answer, while their computers do, or that take some jobs not now.
    pub schedulers: Vec<SchedulerTrouble>,
    /// Environment variables that matter for reaching computers, as it started with them.
    pub environment: std::collections::BTreeMap<String, String>,
}

/// What is wrong with a scheduler whose computer is well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerTrouble {
    /// Label of the computer.
    pub computer: String,
    /// The cluster, unless it is the computer's home cluster.
    pub cluster: Option<String>,
    /// Since when, RFC 3339.
    pub since: String,
    /// The scheduler's words.
    pub message: String,
    /// The number of processes that wait since it refused them; 0: its queue can't be listed.
    pub held: usize,
}

/// Why an owner does not get on: its store can't be read or written in places (it is damaged, or its disk is full).
/// It is tried again every few seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreTrouble {
    /// How many processes can't go on; 0 if the owner could not even read who is unfinished.
    pub processes: usize,
    /// What the store said last.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Variables whose change after the daemon's start surprises: they are shown by `status`.
pub const WATCHED_VARIABLES: &[&str] = &["SSH_AUTH_SOCK", "PATH", "SLURM_CONF"];
