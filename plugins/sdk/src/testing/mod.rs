//! Tests without a cluster, an engine or a plugin file. Everything goes through the codec, as in earnest.
//!
//! ```
//! # use ferry_plugin::prelude::*;
//! # #[derive(Inputs)] pub struct I { pub n: i64 }
//! # #[derive(Outputs)] pub struct O { pub n: i64 }
//! # pub struct Echo;
//! # #[calcjob(name = "test.echo")] impl CalcJob for Echo {
//! #   type Inputs = I; type Outputs = O;
//! #   fn prepare(i: &I, job: &mut Job) -> Result {
//! #       job.write("in", i.n.to_string())?; job.command("cat").arg("in").stdout("out"); job.retrieve(["out"]); Ok(()) }
//! #   fn parse(_: &I, run: &Finished, out: &mut ODraft) -> Result {
//! #       out.n(run.read("out")?.ok_or("no file `out`")?.trim().parse()?); Ok(()) }
//! # }
//! use ferry_plugin::testing;
//!
//! let job = testing::prepare::<Echo>(I { n: 3 });
//! assert_eq!(job.file("in"), "3");
//! assert_eq!(job.description.runs[0].arguments, ["in"]);
//!
//! let home = testing::Scratch::new();
//! std::fs::write(home.path().join("out"), "3\n").unwrap();
//! let parsed = testing::parse::<Echo>(I { n: 3 }, home.path());
//! assert_eq!((parsed.value("n").as_int(), parsed.exit), (Some(3), None));
//! ```
//!
//! A calcfunction is a plain function: call it. [`call_by_name`] goes the whole way. [`call`] runs processes that
//! call others, with all that they call.

mod failing;
mod running;
mod world;

pub use crate::ports::lender::Lender;
pub use failing::{Failing, failing};
pub use world::{Ran, World, call, world};

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use ferry_plugin_abi::method;
use ferry_plugin_proto::{
    Exit, Inputs as Nodes, JobDescription, JobReport, Manifest, NewNode, Outcome, Problem, Source, Task,
    Validated, Value, Work, WorkReply, decode, encode,
};

use crate::{
    export::plugin::Plugin,
    ports::{
        data::Data,
        file::SingleFile,
        input::{Inputs, PortType},
        node::{AnyNode, Code, RemoteFolder},
        places::Places,
        problems::Problems,
    },
    process::{
        calcjob::{self, CalcJob},
        monitor::{Monitor, Verdict},
    },
};

/// Runs `prepare` on `inputs`.
///
/// # Panics
/// If `validate` finds a problem or `prepare` fails, with the text; see [`try_prepare`] and [`validate`].
pub fn prepare<C: CalcJob>(inputs: C::Inputs) -> Prepared {
    let problems = validate::<C>(&inputs);
    assert!(problems.is_empty(), "the inputs are not valid: {problems}");
    match try_prepare::<C>(&inputs) {
        Ok(prepared) => prepared,
        Err(outcome) => panic!("prepare failed: {:?} {:?}", outcome.exit, outcome.exception),
    }
}

/// Runs `prepare` on `inputs`.
///
/// # Errors
/// Returns the other end: an exit code or an exception.
pub fn try_prepare<C: CalcJob>(inputs: &C::Inputs) -> Result<Prepared, Box<Outcome>> {
    let scratch = Scratch::new();
    let sandbox = scratch.path().join("sandbox");
    fs::create_dir(&sandbox).expect("a fresh directory takes another");
    let mut lender = Lender::at(scratch.path());
    let nodes = lend(inputs, &mut lender);
    let options = C::options().into_map();
    let task = Task::Prepare { sandbox: sandbox.to_string_lossy().into_owned(), options };
    match work::<C>(&nodes, task) {
        WorkReply::Job(description) => Ok(Prepared { description, nodes, sandbox, _scratch: scratch }),
        WorkReply::Outcome(outcome) => Err(Box::new(outcome)),
        _ => unreachable!("a preparation ends in a job or an outcome"),
    }
}

/// Returns the problems that `validate` finds in `inputs`.
pub fn validate<C: CalcJob>(inputs: &C::Inputs) -> Problems {
    let scratch = Scratch::new();
    calcjob::validate::<C>(&through_codec(&lend(inputs, &mut Lender::at(scratch.path()))))
}

/// Runs `parse` on a directory of retrieved files, after a job that ended with status 0.
pub fn parse<C: CalcJob>(inputs: C::Inputs, retrieved: impl AsRef<Path>) -> Parsed {
    parse_after::<C>(inputs, retrieved, JobReport { exit_status: Some(0), ..JobReport::default() })
}

/// Runs `parse` on a directory of retrieved files, after a job with the end `job`.
pub fn parse_after<C: CalcJob>(inputs: C::Inputs, retrieved: impl AsRef<Path>, job: JobReport) -> Parsed {
    let scratch = Scratch::new();
    let sandbox = scratch.path().join("sandbox");
    fs::create_dir(&sandbox).expect("a fresh directory takes another");
    let nodes = lend(&inputs, &mut Lender::at(scratch.path()));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let retrieved = retrieved.as_ref();
    let options = C::options().into_map();
    let (retrieved_text, sandbox_text) = (text(retrieved), text(&sandbox));
    let task =
        Task::Parse { retrieved: retrieved_text, temporary: None, sandbox: sandbox_text, job, options };
    match work::<C>(&nodes, task) {
        WorkReply::Outcome(outcome) => Parsed::new(outcome, retrieved, &sandbox, scratch),
        _ => unreachable!("a parse ends in an outcome"),
    }
}

/// Calls a calcfunction of the crate `krate` by its full name, as the engine does.
///
/// # Panics
/// If there is no such calcfunction.
pub fn call_by_name(krate: &'static str, name: &str, inputs: Given) -> Parsed {
    let scratch = Scratch::new();
    let sandbox = scratch.path().to_owned();
    let task = Task::Call { sandbox: sandbox.to_string_lossy().into_owned() };
    let work = Work { process_type: name.to_owned(), inputs: inputs.into_nodes(), task };
    let reply =
        plugin(krate).call(method::WORK, &encode(&work)).unwrap_or_else(|failure| panic!("{failure}"));
    match decode(&reply).expect("the codec reads what it wrote") {
        WorkReply::Outcome(outcome) => Parsed::new(outcome, &sandbox, &sandbox, scratch),
        _ => unreachable!("a call ends in an outcome"),
    }
}

/// Lets a monitor judge a job whose work directory holds these files, given as (path, text).
///
/// # Errors
/// Returns the monitor's error, in words.
pub fn watch<M: Monitor>(monitor: M, files: &[(&str, &str)]) -> Result<Option<Verdict>, String> {
    let scratch = Scratch::new();
    crate::process::monitor::try_out(&monitor, &nodes(&monitor), files, scratch.path())
}

/// Returns the reply of the method `validate` for any inputs to a process type of the crate `krate`.
///
/// # Panics
/// If there is no such process type.
pub fn problems(krate: &'static str, name: &str, inputs: Given) -> Vec<Problem> {
    let request = ferry_plugin_proto::Validate { process_type: name.to_owned(), inputs: inputs.into_nodes() };
    let reply =
        plugin(krate).call(method::VALIDATE, &encode(&request)).unwrap_or_else(|failure| panic!("{failure}"));
    decode::<Validated>(&reply).expect("the codec reads what it wrote").problems
}

/// Returns the manifest of the crate `krate`, as the engine reads it.
///
/// # Panics
/// If the plugin has no valid manifest.
pub fn manifest(krate: &'static str) -> Manifest {
    let reply = plugin(krate).call(method::MANIFEST, &[]).unwrap_or_else(|failure| panic!("{failure}"));
    decode(&reply).expect("the codec reads what it wrote")
}

/// Returns the nodes that the engine would lend for `inputs`. Their files are gone when this returns.
pub fn nodes(inputs: &impl Inputs) -> Nodes {
    lend(inputs, &mut Lender::at(Scratch::new().path()))
}

/// Inputs by port, for [`call_by_name`] and [`problems`].
pub fn inputs() -> Given {
    let scratch = Scratch::new();
    Given { nodes: Nodes::new(), lender: Lender::at(scratch.path()), _scratch: scratch }
}

/// Makes a node without files, as the engine would lend it. It stands for one that another plugin, or an
/// older version, has stored.
///
/// # Panics
/// If the body can't be expressed.
pub fn stored(data_type: &str, body: impl serde::Serialize) -> AnyNode {
    let value = ferry_plugin_proto::to_value(&body).unwrap_or_else(|error| panic!("no body: {error}"));
    Lender::nowhere().lend_as(data_type, value).into()
}

/// Reads a file as a data type, as `port=file:NAME` does.
///
/// # Errors
/// Fails if the type is not read from this format. Returns the type's own errors about the file.
pub fn read_data<T: Data>(format: &str, name: &str, bytes: impl AsRef<[u8]>) -> Result<T, String> {
    if !T::READS.contains(&format) {
        return Err(format!("{} is read from {}, not from {format}", T::NAME, T::READS.join(", ")));
    }
    let value = T::read_format(format, &SingleFile::from_bytes(name, bytes.as_ref())?)
        .map_err(|error| error.to_string())?;
    // A value that can't be stored is no result.
    let scratch = Scratch::new();
    crate::ports::data::macros::data_into_node(&value, &mut Places::new(scratch.path()))?;
    Ok(value)
}

/// Writes a value as a file, as `ferry node export` does.
///
/// # Errors
/// Fails if the type is not written to this format. Returns the type's own errors.
pub fn write_data<T: Data>(value: &T, format: &str) -> Result<Vec<u8>, String> {
    if !T::WRITES.contains(&format) {
        return Err(format!("{} is written to {}, not to {format}", T::NAME, T::WRITES.join(", ")));
    }
    value.write_format(format).map_err(|error| error.to_string())
}

/// Makes a code of the label `pw@localhost`.
pub fn code(label: &str) -> Code {
    Code::stand_in(label)
}

/// Makes a remote folder on `localhost`.
pub fn remote_folder(path: &str) -> RemoteFolder {
    RemoteFolder { uuid: format!("remote-{path}"), computer: "localhost".to_owned(), path: path.to_owned() }
}

/// A prepared job.
#[derive(Debug)]
pub struct Prepared {
    /// The job description that the engine would receive.
    pub description: JobDescription,
    nodes: Nodes,
    sandbox: PathBuf,
    _scratch: Scratch,
}

impl Prepared {
    /// Returns the text of a file that would be in the work directory.
    ///
    /// # Panics
    /// If there is none, with the names of the existing ones.
    pub fn file(&self, path: &str) -> String {
        let copied = self.description.files.iter().find(|file| file.target == path);
        let place = match copied.map(|file| &file.source) {
            Some(Source::Node { uuid, path }) => self.local_path(uuid, path),
            _ => self.sandbox.join(path),
        };
        fs::read_to_string(&place)
            .unwrap_or_else(|error| panic!("no file `{path}` ({error}) among {:?}", self.files()))
    }

    /// Returns the files that would be in the work directory, sorted.
    pub fn files(&self) -> Vec<String> {
        let mut files = crate::path::files_below(&self.sandbox).unwrap_or_default();
        files.extend(self.description.files.iter().map(|file| file.target.clone()));
        files.sort();
        files
    }

    /// Returns the sandbox.
    pub fn sandbox(&self) -> &Path {
        &self.sandbox
    }

    fn local_path(&self, uuid: &str, path: &str) -> PathBuf {
        let node = self.nodes.values().find(|node| node.uuid == uuid);
        node.and_then(|node| node.files.get(path)).map(PathBuf::from).unwrap_or_default()
    }
}

/// The result of a parse or a call.
#[derive(Debug)]
pub struct Parsed {
    /// The outputs, by dotted port.
    pub outputs: BTreeMap<String, NewNode>,
    /// The exit code; `None` beside no exception is success.
    pub exit: Option<Exit>,
    /// The text of an error that is no exit code.
    pub exception: Option<String>,
    /// Lines of the report.
    pub reports: Vec<String>,
    retrieved: PathBuf,
    sandbox: PathBuf,
    _scratch: Scratch,
}

impl Parsed {
    fn new(outcome: Outcome, retrieved: &Path, sandbox: &Path, scratch: Scratch) -> Self {
        Parsed {
            outputs: outcome.outputs,
            exit: outcome.exit,
            exception: outcome.exception,
            reports: outcome.reports,
            retrieved: retrieved.to_owned(),
            sandbox: sandbox.to_owned(),
            _scratch: scratch,
        }
    }

    /// Returns the number of the exit code; 0 for a success.
    ///
    /// # Panics
    /// If it ended in an exception, with the text.
    pub fn status(&self) -> u32 {
        assert_eq!(self.exception, None, "it excepted");
        self.exit.as_ref().map_or(0, |exit| exit.status)
    }

    /// Returns the body of an output.
    ///
    /// # Panics
    /// If it was not set.
    pub fn value(&self, output: &str) -> &Value {
        &self.node(output).value
    }

    /// Returns the text of the one file of an output.
    ///
    /// # Panics
    /// If the output was not set or has another number of files.
    pub fn text(&self, output: &str) -> String {
        let [file] = self.node(output).files.as_slice() else { panic!("`{output}` is not one file") };
        let bytes = match &file.source {
            Source::Inline(bytes) => Ok(bytes.clone()),
            Source::Retrieved(path) => fs::read(self.retrieved.join(path)),
            Source::Sandbox(path) => fs::read(self.sandbox.join(path)),
            other => panic!("`{output}` lies in {other:?}"),
        };
        String::from_utf8_lossy(&bytes.expect("an output's file is there")).into_owned()
    }

    fn node(&self, output: &str) -> &NewNode {
        let set = || self.outputs.keys().collect::<Vec<_>>();
        self.outputs.get(output).unwrap_or_else(|| panic!("no output `{output}` among {:?}", set()))
    }
}

/// Inputs by port; made by [`inputs`].
#[derive(Debug)]
pub struct Given {
    nodes: Nodes,
    lender: Lender,
    _scratch: Scratch,
}

impl Given {
    /// Gives a port, dotted when nested.
    #[must_use]
    pub fn with(mut self, port: &str, value: impl PortType) -> Self {
        let node = value.lend(&mut self.lender);
        self.nodes.insert(port.to_owned(), node);
        self
    }

    /// Returns the nodes. Their files are gone when this returns.
    pub fn into_nodes(self) -> Nodes {
        self.nodes
    }
}

/// A directory that is removed with this value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes a new, empty folder.
    ///
    /// # Panics
    /// If it can't be made.
    #[expect(clippy::new_without_default, reason = "it makes a directory, which a default should not")]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ferry-plugin-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap_or_else(|error| panic!("can't make {}: {error}", dir.display()));
        Scratch(dir)
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The cleaning of the temporary directory removes what is left.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn lend(inputs: &impl Inputs, lender: &mut Lender) -> Nodes {
    let mut nodes = Nodes::new();
    inputs.lend_all("", lender, &mut nodes);
    nodes
}

fn plugin(krate: &'static str) -> Plugin {
    Plugin { name: krate, krate, version: "0.0.0", description: "" }
}

fn work<C: CalcJob>(nodes: &Nodes, task: Task) -> WorkReply {
    let work = Work { process_type: "test".to_owned(), inputs: nodes.clone(), task };
    let work = through_codec(&work);
    let reply = calcjob::work::<C>(&work.inputs, work.task).unwrap_or_else(|unable| panic!("{}", unable.0));
    through_codec(&reply)
}

fn through_codec<T: serde::Serialize + serde::de::DeserializeOwned>(message: &T) -> T {
    decode(&encode(message)).expect("the codec reads what it wrote")
}
