//! A plugin as a file: its C side, and the answers to the host's calls.

mod entry_points;
pub(crate) mod plugin;

pub use entry_points::{Note, call, flags, init, shutdown};

/// Version of this crate, as a plugin file states it.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The compiler, as a plugin file states it. It is information only.
pub const RUSTC: &str = env!("FERRY_PLUGIN_RUSTC");
/// The target, as a plugin file states it.
pub const TARGET: &str = env!("FERRY_PLUGIN_TARGET");
