//! The launch of processes.

mod data_type_validators;
mod launch;

pub use ferry_engine_core::process::State;
pub(crate) use launch::{Calling, DEPTH, PINS, in_words, judged, lent, prepare_called, problem};
pub use launch::{InputValue, Launch, Launched, Metadata, Prepared, Refusal, check, prepare};

pub use crate::spec::{
    FlatPort, Options, PortProblem, Resources, Stash, StashMode, Unstash, UnstashTarget, closest_name,
    coerce, find_type, flatten, input_ports, lookup_port, parse_literal, type_problem,
};
