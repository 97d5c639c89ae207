//! Process types as their plugins declare them: ports, options, monitors, parsers and imports, and what values fit
//! them. Pure, but for look-ups in the store.

mod declared;
mod fields;
pub(crate) mod import;
pub(crate) mod interface;
pub(crate) mod monitors;
mod options;
pub(crate) mod parser;
pub(crate) mod ports;
mod resources;
pub(crate) mod stash;

use ferry_plugin_proto::Kind;

pub(crate) use declared::check_declared;
pub(crate) use import::IMPORTED;
pub use monitors::input_ports;
pub(crate) use monitors::{MONITORS, Watcher, is_monitor};
pub use options::Options;
pub(crate) use options::counts_for_cache;
pub(crate) use parser::Parser;
pub use ports::{
    FlatPort, PortProblem, closest as closest_name, coerce, find_type, flatten, lookup as lookup_port,
    parse_literal, type_problem,
};
pub use resources::Resources;
pub use stash::{Stash, StashMode, Unstash, UnstashTarget};

/// Returns whether processes of this kind call others.
pub(crate) fn is_workflow(kind: Kind) -> bool {
    matches!(kind, Kind::WorkChain | Kind::WorkFunction)
}
