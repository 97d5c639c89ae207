//! Requests and replies: validating inputs, preparing a job, parsing its results, calling a function.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Judged, RunningJob, SeenFile, Value, WantedFile};

/// Inputs as the plugin sees them, by port; nested ports are dotted.
pub type Inputs = BTreeMap<String, Node>;

/// A data node, lent to the plugin for one call.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Node {
    /// Its uuid; empty for a node that is not stored yet (in `Validate`).
    #[serde(default)]
    pub uuid: String,
    /// Its data type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Its body.
    #[serde(default)]
    pub value: Value,
    /// Its files: path inside the node -> absolute path, readable for this call.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// Request of `method::VALIDATE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validate {
    /// Full name of the type.
    pub process_type: String,
    /// All inputs, defaults included.
    pub inputs: Inputs,
}

/// Reply to `method::VALIDATE`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Validated {
    /// Everything that is wrong; empty: fine.
    pub problems: Vec<Problem>,
}

/// Something wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Dotted port name; empty for the inputs as a whole.
    pub port: String,
    /// The problem, and what would be right.
    pub message: String,
}

/// Request of `method::WORK`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Full name of the type.
    pub process_type: String,
    /// All inputs, defaults included.
    pub inputs: Inputs,
    /// The task.
    pub task: Task,
}

/// The task of a `Work` request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Run a calcfunction. Replies `Outcome`.
    Call {
        /// An empty directory of its own; output nodes may name files in it.
        sandbox: String,
    },
    /// Prepare a job. Replies `Job`, or `Outcome` with an exit code or an exception.
    Prepare {
        /// An empty directory; what is written there is uploaded.
        sandbox: String,
        /// The process's options (`metadata.options`), for a plugin that wants to look.
        #[serde(default)]
        options: BTreeMap<String, Value>,
    },
    /// Read a job's results. Replies `Outcome`.
    Parse {
        /// Directory of the retrieved files.
        retrieved: String,
        /// Directory of the temporarily retrieved files, if there were any.
        #[serde(default)]
        temporary: Option<String>,
        /// An empty directory of its own; output nodes may name files in it.
        sandbox: String,
        /// The end of the job.
        job: JobReport,
        /// The process's options (`metadata.options`), for a parser that wants to look.
        #[serde(default)]
        options: BTreeMap<String, Value>,
    },
    /// Say which files a monitor, whose `kwargs` are the inputs, wants to see. Replies `Wanted`.
    Want {},
    /// Let a monitor judge. Replies `Judged`.
    Watch {
        /// The job that runs.
        job: RunningJob,
        /// The files that it wanted to see and that are there, sorted by path.
        files: Vec<SeenFile>,
    },
}

/// The end of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JobReport {
    /// Exit status of the job script's command; `None` when it left no exit marker.
    #[serde(default)]
    pub exit_status: Option<i32>,
    /// The scheduler's own word for the end, if it had one.
    #[serde(default)]
    pub scheduler_state: Option<String>,
    /// Work directory on the computer.
    #[serde(default)]
    pub work_dir: String,
    /// Name of the file that holds the scheduler's standard output.
    #[serde(default)]
    pub scheduler_stdout: String,
    /// Name of the file that holds the scheduler's standard error.
    #[serde(default)]
    pub scheduler_stderr: String,
    /// An exit code that the engine has already concluded (out of memory, ...); the parser may override it.
    #[serde(default)]
    pub engine_exit: Option<Exit>,
    /// True if the run was not ferry's: its directory was given as an input. Its exit status is known only if
    /// the directory contains it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub imported: bool,
}

/// Reply to `method::WORK`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkReply {
    /// A prepared job.
    Job(JobDescription),
    /// The end of a call or a parse, or a refusal to prepare.
    Outcome(Outcome),
    /// Files that a monitor wants to see.
    Wanted(Vec<WantedFile>),
    /// The result of a monitor.
    Judged(Judged),
}

/// The result of a piece of work.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// New nodes by output port; nested ports are dotted. Kept also beside an exit code or an exception.
    #[serde(default)]
    pub outputs: BTreeMap<String, NewNode>,
    /// A way to finish that is not a success.
    #[serde(default)]
    pub exit: Option<Exit>,
    /// An error that is none of the declared exit codes: the process is *excepted* with this text.
    #[serde(default)]
    pub exception: Option<String>,
    /// Lines for the process's report.
    #[serde(default)]
    pub reports: Vec<String>,
}

/// An exit code that happened, its message filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its number; never 0.
    pub status: u32,
    /// Its label.
    #[serde(default)]
    pub label: String,
    /// Its message.
    #[serde(default)]
    pub message: String,
}

/// A data node to be made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NewNode {
    /// Its data type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Its body.
    #[serde(default)]
    pub value: Value,
    /// Its files.
    #[serde(default)]
    pub files: Vec<NewFile>,
}

/// One file of a new node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewFile {
    /// Relative path inside the node.
    pub path: String,
    /// The source of its bytes.
    pub source: Source,
}

/// The source of a file's bytes. Big files never travel in messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// In the message; for small ones (at most 64 KiB).
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A path relative to the task's sandbox.
    Sandbox(String),
    /// A path relative to the retrieved files (in `Parse`).
    Retrieved(String),
    /// A path relative to the temporarily retrieved files (in `Parse`).
    Temporary(String),
    /// A file, or with an empty path all files, of an input node.
    Node {
        /// The node.
        uuid: String,
        /// Path inside it.
        path: String,
    },
}

/// The files and the commands of a job. Everything in the sandbox is uploaded too, under its own relative
/// path.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct JobDescription {
    /// Files beyond the sandbox's.
    #[serde(default)]
    pub files: Vec<JobFile>,
    /// Links to make in the work directory to places on the same computer.
    #[serde(default)]
    pub remote_symlinks: Vec<RemoteItem>,
    /// Copies to make in the work directory of things on the same computer.
    #[serde(default)]
    pub remote_copies: Vec<RemoteItem>,
    /// Programs to run, in order.
    #[serde(default)]
    pub runs: Vec<Run>,
    /// Files to retrieve and keep.
    #[serde(default)]
    pub retrieve: Vec<Retrieve>,
    /// Files to retrieve for the parser only.
    #[serde(default)]
    pub retrieve_temporary: Vec<Retrieve>,
    /// Shell text before the runs.
    #[serde(default)]
    pub prepend_text: String,
    /// Shell text after the runs.
    #[serde(default)]
    pub append_text: String,
    /// Lines for the process's report.
    #[serde(default)]
    pub reports: Vec<String>,
    /// The order of the runs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub run_mode: RunMode,
    /// Order in which files are put into the work directory. It decides which of two files of one name stays.
    /// Empty: the sandbox's, those of nodes, those of the computer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub copy_order: Vec<CopyStage>,
    /// Directories to make, even if they stay empty. The engine adds those of the sandbox.
    #[serde(default, skip_serializing_if = "is_default")]
    pub directories: Vec<String>,
    /// Files of the sandbox, or directories of it, that are uploaded and not kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub provenance_exclude: Vec<String>,
    /// Nothing is run: what was uploaded is retrieved at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skip_submit: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The order in which a job's runs start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunMode {
    /// Each begins when the one before has ended, however that ended.
    #[default]
    Serial,
    /// All begin at once; the job ends when the last one has.
    Parallel,
}

/// A source of a job's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyStage {
    /// The sandbox.
    Sandbox,
    /// Input nodes.
    Local,
    /// The computer: copies, then links.
    Remote,
}

/// One file to upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobFile {
    /// Relative path in the work directory; `.` for a folder whose contents belong into the work directory itself.
    pub target: String,
    /// The source of its bytes.
    pub source: Source,
    /// True if it is a program.
    #[serde(default)]
    pub executable: bool,
}

/// Something on the computer, put into the work directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteItem {
    /// Uuid of the `remote_folder` node it lies in.
    pub node: String,
    /// Relative path or glob inside that folder; empty: the folder itself.
    #[serde(default)]
    pub path: String,
    /// Relative path in the work directory, as `cp -r` and `ln -s` read it: what is copied into a directory that is
    /// there keeps its name. What a glob finds goes into the directory of this name.
    pub target: String,
}

/// One command line of the job script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The program to run.
    pub program: Program,
    /// Its arguments; each reaches the program as it is, no shell reads it.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Relative path of the file for its standard input.
    #[serde(default)]
    pub stdin: Option<String>,
    /// Relative path of the file for its standard output.
    #[serde(default)]
    pub stdout: Option<String>,
    /// Relative path of the file for its standard error.
    #[serde(default)]
    pub stderr: Option<String>,
    /// True if standard error goes to the same file as standard output.
    #[serde(default)]
    pub join_files: bool,
    /// True if MPI starts it; `None` leaves it to code and options.
    #[serde(default)]
    pub with_mpi: Option<bool>,
}

/// The program of a [`Run`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// A code node among the inputs, by uuid.
    Code(String),
    /// A program found on the computer: an absolute path, or a name looked up in its PATH.
    Command(String),
}

/// Files to retrieve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retrieve {
    /// Relative path or glob in the work directory.
    pub pattern: String,
    /// Number of trailing parts of a path that are kept (0 and 1: the name alone); `None`: all of them.
    #[serde(default)]
    pub depth: Option<u32>,
    /// Directory for it among the retrieved files; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
}
