//! A plugin as a file: its C side, and the answers to the host's calls.

mod entry_points;
pub(crate) mod plugin;

pub use entry_points::{Note, call, flags, init, shutdown};
