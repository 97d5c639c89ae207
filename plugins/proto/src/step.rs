//! Steps of a process that calls others: `(saved state, event) -> (new state, commands, what to wait for)`.
//!
//! A step does no I/O, reads no clock and is quick; it may be run again after any crash, and only one of its
//! replies is ever committed: state, launches, outputs and report lines together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Exit, Inputs, NewNode, Node, Value};

/// Request of `method::STEP`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRequest {
    /// Full name of the type.
    pub process_type: String,
    /// The process's uuid. It is a seed for values that must be the same when the step is run again.
    pub process: String,
    /// All inputs, defaults included. Steps read values; they get no paths of files.
    pub inputs: Inputs,
    /// The state that the last step saved; empty at the beginning. The engine never looks into it.
    #[serde(with = "serde_bytes")]
    pub state: Vec<u8>,
    /// The event that the step handles.
    pub event: StepEvent,
    /// When it happened, microseconds since 1970: recorded, so the same when the step is run again.
    pub time: i64,
}

/// The event that a step handles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEvent {
    /// The process begins.
    Start,
    /// The last step asked to go on at once.
    Continue,
    /// An end of the wait.
    Resumed {
        /// The children among those waited for that have ended, by call.
        children: BTreeMap<String, Ended>,
        /// True if the time to wait until has come.
        timer: bool,
    },
}

/// The end of a child.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ended {
    /// Its uuid.
    pub uuid: String,
    /// `finished`, `excepted` or `killed`.
    pub state: String,
    /// Its exit status, when it finished: 0 is success.
    #[serde(default)]
    pub exit_status: Option<u32>,
    /// In words.
    #[serde(default)]
    pub message: String,
    /// Its outputs.
    #[serde(default)]
    pub outputs: BTreeMap<String, Node>,
}

impl Ended {
    /// Returns whether it finished with exit status 0.
    pub fn is_ok(&self) -> bool {
        self.exit_status == Some(0)
    }

    /// Describes the end in words.
    pub fn in_words(&self) -> String {
        let end = match self.exit_status {
            Some(status) => format!("{} with exit status {status}", self.state),
            None => self.state.clone(),
        };
        if self.message.is_empty() { end } else { format!("{end}: {}", self.message) }
    }
}

/// Reply to `method::STEP`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReply {
    /// The state for the next step.
    #[serde(with = "serde_bytes")]
    pub state: Vec<u8>,
    /// Commands to carry out, in order.
    #[serde(default)]
    pub commands: Vec<Command>,
    /// The action after the commands.
    pub then: Then,
    /// Position of the process, for people: the name of a step.
    #[serde(default)]
    pub position: Option<String>,
}

/// A request of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Launch a child.
    Launch(Box<Call>),
    /// Kill a child, if it has not ended.
    Kill(String),
    /// Return a stored node as an output.
    Output {
        /// The port; nested ports are dotted.
        label: String,
        /// The node's uuid.
        node: String,
    },
    /// A line for the process's report.
    Report(String),
    /// Pause the process after this step, for this reason, until a user plays it.
    Pause(String),
    /// Remove the work directories of all calculations below this process, once it has finished or was killed.
    CleanWorkDirs,
}

/// A child to be launched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// Its name among all calls of this process, the same when the step is run again: a child is launched once.
    pub call: String,
    /// Full name of its type, or an alias.
    pub process_type: String,
    /// Inputs by dotted port.
    pub inputs: BTreeMap<String, CallInput>,
    /// For people.
    pub label: String,
    /// For people.
    pub description: String,
    /// Label of the computer, for a calcjob.
    pub computer: Option<String>,
    /// Options of a calcjob.
    pub options: BTreeMap<String, Value>,
    /// Label of the call link; empty: `CALL`.
    pub link_label: String,
}

/// An input of a child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallInput {
    /// A stored node, by uuid.
    Node(String),
    /// A code, by `label` or `label@computer`.
    Code(String),
    /// A new node. Its files, if it has any, are inline.
    New(NewNode),
}

/// The action of a process after a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The next step, at once.
    Continue,
    /// Waits. With neither children nor time, the process is excepted: nothing would ever wake it.
    Wait {
        /// Calls whose end is waited for.
        #[serde(default)]
        calls: Vec<String>,
        /// True if the first of them is enough.
        #[serde(default)]
        any: bool,
        /// Wakes it at this time at the latest, microseconds since 1970.
        #[serde(default)]
        until: Option<i64>,
    },
    /// The process is finished; without an exit code, with success.
    Finish(Option<Exit>),
    /// An error that is none of the declared exit codes.
    Except(String),
}
