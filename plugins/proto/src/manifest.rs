//! The manifest of a plugin: process types with their ports and exit codes. The engine reads it once per
//! file, when it probes the plugin, and keeps it. So it can check names, types, defaults, ranges and choices
//! without running the plugin.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{DataType, MonitorType, Value};

/// Reply to `method::MANIFEST`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// [`crate::PROTO`] of the plugin.
    pub proto: u32,
    /// The plugin's name.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// One line for `plugin list`.
    #[serde(default)]
    pub description: String,
    /// Sorted by name.
    pub types: Vec<ProcessType>,
    /// Monitors of running jobs, sorted by name.
    #[serde(default)]
    pub monitors: Vec<MonitorType>,
    /// Data types that it can read, convert and check; sorted by name.
    #[serde(default)]
    pub data_types: Vec<DataType>,
    /// Types of other plugins that this one was built to call, sorted by name. Before one of them is launched
    /// for this plugin, the engine checks that the installed one still fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
}

/// A process type as it was when another plugin was built against it: what `ferry plugin interface` writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// [`INTERFACE`] of the writer.
    pub interface: u32,
    /// The plugin that offered it.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// The type.
    #[serde(rename = "type")]
    pub process_type: ProcessType,
}

/// Version of the files that hold an [`Interface`].
pub const INTERFACE: u32 = 1;

/// One process type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessType {
    /// Full name, `plugin.type`.
    pub name: String,
    /// The kind of process that it makes.
    pub kind: Kind,
    /// Its documentation; the first line is the summary.
    #[serde(default)]
    pub doc: String,
    /// Its input ports.
    #[serde(default)]
    pub inputs: Namespace,
    /// Its output ports.
    #[serde(default)]
    pub outputs: Namespace,
    /// Its own exit codes.
    #[serde(default)]
    pub exit_codes: Vec<ExitCode>,
    /// Other names it answers to.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Raised by the author when results of older versions must not be reused.
    #[serde(default)]
    pub cache_version: u32,
    /// Options of a calcjob (`metadata.options`) that apply where the user sets none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Value>,
}

/// Kinds of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A function that makes data.
    CalcFunction,
    /// A calculation that runs as a job of a scheduler.
    CalcJob,
    /// A function that calls processes.
    WorkFunction,
    /// An outline of steps that calls processes.
    WorkChain,
    /// A kind of a newer plugin.
    #[serde(other)]
    Unknown,
}

impl Kind {
    /// Returns the kind as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::CalcFunction => "calcfunction",
            Kind::CalcJob => "calcjob",
            Kind::WorkFunction => "workfunction",
            Kind::WorkChain => "workchain",
            Kind::Unknown => "unknown",
        }
    }
}

/// Named ports.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Namespace {
    /// By name.
    #[serde(default)]
    pub ports: BTreeMap<String, Port>,
    /// If set, names that are not listed are taken too, with these data types (empty: any).
    #[serde(default)]
    pub dynamic: Option<Vec<String>>,
}

/// One port.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Port {
    /// Accepted data types (`int`, `str`, `file`, `core.structure`, ...); empty: any.
    #[serde(default)]
    pub types: Vec<String>,
    /// True if it must be given. A port with a default need not be.
    #[serde(default)]
    pub required: bool,
    /// Used, and recorded as an input, when nothing is given.
    #[serde(default)]
    pub default: Option<Value>,
    /// The meaning of the port.
    #[serde(default)]
    pub help: String,
    /// Bounds of a number.
    #[serde(default)]
    pub range: Option<Range>,
    /// The only values allowed; empty: all.
    #[serde(default)]
    pub choices: Vec<Value>,
    /// If set, this is a namespace of ports rather than a value.
    #[serde(default)]
    pub namespace: Option<Namespace>,
}

/// Bounds of a number, each inclusive unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Range {
    /// Smallest value.
    #[serde(default)]
    pub min: Option<f64>,
    /// Largest value.
    #[serde(default)]
    pub max: Option<f64>,
    /// `max` itself is not allowed.
    #[serde(default)]
    pub max_exclusive: bool,
}

/// One way to finish that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitCode {
    /// 200-299 input errors, 300-399 critical, 400 and up free: AiiDA's convention. Below 200: the engine's.
    pub status: u32,
    /// `ERROR_...`.
    pub label: String,
    /// A template; `{name}` is filled in when it happens.
    pub message: String,
    /// A result with this code is never reused.
    #[serde(default)]
    pub invalidates_cache: bool,
}
