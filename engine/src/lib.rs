//! The engine of ferry: it defines processes, stores them, and runs them to their end.
//!
//! The engine owns files, timers, storage and concurrency, and defines the traits that transports and
//! schedulers implement. It knows no transport, scheduler or plugin by name.

pub mod admission;
mod blocking;
pub mod caching;
pub mod calcjob;
pub mod computers;
pub mod daemon;
pub mod embed;
pub mod executor;
pub mod node;
pub mod owner;
pub mod process;
pub mod rpc;
mod spec;
pub mod step;
#[cfg(feature = "testing")]
pub mod testing;
pub mod workflow;

pub use ferry_engine_core::{
    Scheduler, Transport, back_off, clock, computer, error, ids, scheduler, transport,
};
pub use ferry_engine_plugin_host as plugin;
pub use ferry_engine_store as store;
pub use ferry_engine_store::{child, crash, profile};

/// The engine's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
