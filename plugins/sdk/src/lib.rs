//! The library that ferry plugins depend on. Authors write process types in plain Rust types, register them
//! by attributes and test them without a cluster. It contains no engine and no async runtime.
//!
//! A plugin is an ordinary library crate. This is a whole one, with a function and a job:
//!
//! ```
//! use ferry_plugin::prelude::*;
//!
//! /// Doubles a number.
//! #[calcfunction]
//! pub fn double(x: i64) -> Result<i64> {
//!     Ok(x.checked_mul(2).ok_or("twice the number does not fit into 64 bits")?)
//! }
//!
//! #[derive(Inputs)]
//! pub struct WordsInputs {
//!     /// The text whose words are counted
//!     pub text: SingleFile,
//!     /// Smallest number of words
//!     #[port(default = 1, range(0..))]
//!     pub least: i64,
//! }
//!
//! #[derive(Outputs)]
//! pub struct WordsOutputs {
//!     /// Number of words in the text
//!     pub words: i64,
//! }
//!
//! #[derive(ExitCodes)]
//! pub enum WordsExit {
//!     #[exit(310, "the output file could not be read")]
//!     ReadingOutputFile,
//!     #[exit(410, "{words} words are too few")]
//!     TooFew { words: i64 },
//! }
//!
//! pub struct Words;
//!
//! /// Counts words with `wc`.
//! #[calcjob(name = "text.words", cache_version = 1)]
//! impl CalcJob for Words {
//!     type Inputs = WordsInputs;
//!     type Outputs = WordsOutputs;
//!     type Exit = WordsExit;
//!
//!     fn prepare(inputs: &WordsInputs, job: &mut Job) -> Result {
//!         job.copy(&inputs.text, "text");
//!         job.command("wc").arg("-w").stdin("text").stdout("count");
//!         job.retrieve(["count"]);
//!         Ok(())
//!     }
//!
//!     fn parse(inputs: &WordsInputs, run: &Finished, out: &mut WordsOutputsDraft) -> Result {
//!         let words = run.read("count")?.ok_or(WordsExit::ReadingOutputFile)?.trim().parse()?;
//!         out.words(words);                       // stays, also beside the exit code below
//!         if words < inputs.least {
//!             Err(WordsExit::TooFew { words })?;  // `?` on an exit code: finished with it
//!         }
//!         Ok(())                                  // `?` on any other error: excepted with its text
//!     }
//! }
//!
//! // Tests need no cluster:
//! assert_eq!(double(4).unwrap(), 8);
//! let inputs = || WordsInputs { text: SingleFile::from_bytes("a.txt", "two words").unwrap(), least: 3 };
//! assert_eq!(testing::prepare::<Words>(inputs()).file("text"), "two words");
//! let home = testing::Scratch::new();
//! std::fs::write(home.path().join("count"), "2\n").unwrap();
//! let parsed = testing::parse::<Words>(inputs(), home.path());
//! assert_eq!((parsed.status(), parsed.value("words").as_int()), (410, Some(2)));
//! ```
//!
//! A workfunction is an `async fn` that calls processes and waits for them, in plain Rust: `?`, loops,
//! [`join!`], [`select!`] and [`join_all`]. It is stored as a journal, and run again from it after a restart
//! (see [`Cx`] for the rules). Its sleeps are durable; its test needs no daemon:
//!
//! ```
//! use ferry_plugin::prelude::*;
//! use std::time::Duration;
//!
//! /// Doubles a number.
//! #[calcfunction]
//! pub fn double(x: i64) -> i64 {
//!     x * 2
//! }
//!
//! /// Doubles `x` until it is at least `limit`, once a day.
//! #[workfunction]
//! pub async fn grow(cx: Cx, x: Node<i64>, limit: i64) -> Result<Node<i64>> {
//!     let mut x = x;
//!     while x.value()? < limit {
//!         x = cx.call(double::with(&x)).await?;   // a failed call ends this one with its exit code
//!         cx.sleep(Duration::from_secs(86_400)).await;
//!     }
//!     Ok(x)                                        // a node that a calculation made: a value would not compile
//! }
//!
//! assert_eq!(testing::call(grow::with(3, 20)).value::<i64>(), Ok(24));
//! ```
//!
//! A struct that derives [`Data`] is a data type of its own: a version, a schema, files, upgrades, and the formats
//! that it is read from. Numbers in rows and columns are an [`Array`].
//!
//! A [`WorkChain`] is an outline of named steps over a struct that is saved between them. A [`Restart`]
//! workchain runs a child until it succeeds, with handlers that correct what went wrong. A [`Machine`] is for
//! authors who write the state machine themselves. All of them pass on [`Node`]s and call by [`Draft`].
//!
//! The file that ferry loads is made by a sibling crate of type `cdylib`. Its `lib.rs` contains
//! `ferry_plugin::export_plugin!(text);` and nothing else. It offers that crate's types alone, whatever else is
//! linked into it.
//!
//! An author's code may read its inputs, read and write the folders it gets, take its time, log,
//! and panic: a panic excepts its process and nothing else. It must not expect to run in the daemon, to
//! keep anything between two calls, or to be called only once.
#![warn(clippy::unwrap_used)]

// The macros name this crate by its outer name, also in its own tests.
extern crate self as ferry_plugin;

mod error;
#[doc(hidden)]
pub mod export;
mod glob;
#[doc(hidden)]
#[allow(unsafe_code, reason = "calls the functions that the host lends")]
pub mod host;
mod path;
mod ports;
mod process;
pub mod testing;
mod workflow;

pub use error::{CallFailed, Error, Result};
pub use export::{
    RUSTC, SDK_VERSION, TARGET,
    plugin::{Failure, Plugin},
};
pub use ferry_plugin_abi as abi;
pub use ferry_plugin_macros::{
    Data, ExitCodes, Inputs, Outputs, Schema, calcfunction, calcjob, interface, machine, monitor, outline,
    restart, workchain, workfunction,
};
pub use ferry_plugin_proto as proto;
pub use ferry_plugin_proto::{CopyStage, Value};
pub use host::{Level, report, stop_asked};
pub use path::relative as relative_path;
pub use ports::{
    any_input::AnyInput,
    array::{Array, Arrays, DEFAULT_ARRAY, Items},
    data::{Data, DataFiles, FileField, ReadFile, Upgrade, WriteFile},
    file::{FileRef, Folder, SingleFile},
    given::{Fill, Given, InputsDraft, Ports},
    input::{InputField, Inputs, NoLeaf, PortType},
    node::{AnyNode, Code, RemoteFolder, RemotePath, RemoteStash},
    node_ref::{Node, Stored},
    output::{Accept, AnyOutput, IntoNode, OutputField, OutputSet, Outputs, OutputsDraft},
    output_nodes::{OutputNodes, RESULT},
    places::Places,
    problems::Problems,
    scalars::Json,
    schema::Schema,
};
pub use process::{
    calcfunction::Returned,
    calcjob::CalcJob,
    command::Command,
    exit::{ExitCodes, NoExit},
    finished::Finished,
    job::{Job, Pattern},
    monitor::{Look, Monitor, MonitorEntry, Verdict, View},
    option::OptionDefaults,
    process_type::Process,
};
pub use workflow::{
    context::{Context, Cx, Flow},
    draft::{CallMetadata, Draft},
    expose::Exposed,
    flow::{
        Called, Either, First, FlowCx, Join, JoinAll, Joined, NodesOut, ReturnedNodes, Sleep, first, join,
        join_all,
    },
    machine::{Machine, Steps},
    restart::{
        Escalation, Handler, JobFailure, Next, Override, Resource, Restart, RestartExit, RestartExits,
        RestartInputs, RestartInputsDraft, RestartSettings, RestartSettingsDraft, Restarting,
    },
    workchain::{Child, Condition, Outline, Predicate, Step, StepCx, StepReturn, Truth, WorkChain},
};

/// Everything that a plugin's modules name: `use ferry_plugin::prelude::*`.
pub mod prelude {
    pub use crate::{
        AnyNode, AnyOutput, Array, Arrays, CalcJob, CallFailed, Called, Child, Code, CopyStage, Cx, Data,
        Draft, Error, ExitCodes, FileRef, Finished, Folder, Inputs, Job, JobFailure, Json, Next, NoExit,
        Node, OptionDefaults, Outline, Outputs, Pattern, Problems, Process, ReadFile, RemoteFolder, Result,
        Schema, SingleFile, WorkChain, WriteFile, calcfunction, calcjob, join, join_all, log, monitor,
        outline, report, restart, select, stop_asked, testing, workchain, workfunction,
    };
    pub use std::io::{Read as _, Write as _};
}

/// Items that the macros' output uses. Not meant to be used by hand.
#[doc(hidden)]
pub mod macros {
    pub use crate::{
        ports::{
            data::{
                DataEntry,
                macros::{
                    checked, data_from_node, data_into_node, data_types, give_data, lend_data, upgrade,
                },
            },
            input::{
                macros::{assert_number, body, choose, join, namespace_port},
                validators::{validate_all, validate_port},
            },
            node_ref::StoredFor,
            schema::macros as schema,
        },
        process::{
            calcfunction::CalcFunction,
            exit::declared_error,
            monitor::MonitorEntry,
            registry::{About, Entry, Needed, described},
        },
        workflow::{
            expose::assert_exposed,
            flow::{IsCx, WorkFunction},
        },
    };
    pub use inventory;
}
