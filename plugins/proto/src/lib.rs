//! The messages that ferry and a plugin exchange: plain serde types, MessagePack maps by field name.
//!
//! Both sides link this crate, each in its own version. So a message may only grow: new fields carry
//! `#[serde(default)]`, unknown fields are ignored, and a meaning never changes under a name. Anything that
//! can't be expressed in that way becomes a new method of the ABI. [`PROTO`] counts the additions.
//!
//! ```
//! use ferry_plugin_proto::{decode, encode, Value};
//! let value = Value::from(vec![Value::Int(5), Value::Float(0.1)]);
//! assert_eq!(decode::<Value>(&encode(&value)).unwrap(), value);
//! ```

mod data;
mod manifest;
mod message;
mod monitor;
pub mod npy;
mod step;
mod value;

pub use data::{Check, DataReply, DataType, Migrate, ReadData, VERSION_KEY};
pub use manifest::{ExitCode, INTERFACE, Interface, Kind, Manifest, Namespace, Port, ProcessType, Range};
pub use message::{
    CopyStage, Exit, Inputs, JobDescription, JobFile, JobReport, NewFile, NewNode, Node, Outcome, Problem,
    Program, RemoteItem, Retrieve, Run, RunMode, Source, Task, Validate, Validated, Work, WorkReply,
};
pub use monitor::{Judged, MonitorAction, MonitorType, RunningJob, SeenFile, Verdict, WantedFile};
pub use step::{Call, CallInput, Command, Ended, StepEvent, StepReply, StepRequest, Then};
pub use value::Value;

use serde::{Serialize, de::DeserializeOwned};

/// Version of the message set of this crate.
pub const PROTO: u32 = 5;

/// Encodes a message.
///
/// # Panics
/// Never for the types of this crate: they hold nothing that MessagePack can't express.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(message).expect("messages are plain data")
}

/// Encodes what others defined, which may hold something that can't be expressed.
///
/// # Errors
/// Fails with a text about what can't be expressed.
pub fn try_encode<T: Serialize>(message: &T) -> Result<Vec<u8>, String> {
    rmp_serde::to_vec_named(message).map_err(|error| error.to_string())
}

/// Decodes a message.
///
/// # Errors
/// Fails with a text about what was expected.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}

/// Turns a serde value into a [`Value`].
///
/// # Errors
/// Fails with a text about what can't be expressed.
pub fn to_value<T: Serialize>(value: &T) -> Result<Value, String> {
    decode(&try_encode(value)?)
}

/// Turns a [`Value`] into a serde value.
///
/// # Errors
/// Fails with a text about what was expected.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    decode(&encode(value))
}
