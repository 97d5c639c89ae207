//! Processes: their states, the ports of their types, and their launch.

mod declared;
mod fields;
mod foreign;
mod interface;
mod launch;
mod monitors;
mod options;
mod parser;
mod rehearse;
mod resources;
mod spec;
mod stash;

pub(crate) use declared::check_declared;
pub use ferry_engine_core::process::State;
pub(crate) use launch::{Calling, DEPTH, PINS, in_words, is_workflow, prepare_called};
pub use launch::{InputValue, Launch, Launched, Metadata, Prepared, Refusal, check, prepare};
pub use monitors::input_ports;
pub(crate) use monitors::{MONITORS, Watcher, is_monitor};
pub use options::Options;
pub(crate) use options::counts_for_cache;
pub(crate) use parser::Parser;
pub(crate) use rehearse::{Rehearsal, rehearse};
pub use resources::Resources;
pub use spec::{
    FlatPort, PortProblem, closest as closest_name, coerce, find_type, flatten, lookup as lookup_port,
    parse_literal, type_problem,
};
pub use stash::{Stash, StashMode, Unstash, UnstashTarget};
