//! Owning a profile: step its processes, poll their jobs, answer the command line, and stop.
//!
//! A process that is being stepped is a task. A waiting one is a row in the store, and at most an entry in a
//! poller's map. There are no worker slots: a bound on tasks limits how many steps run at once, never how
//! many processes may wait.

mod begin;
mod board;
mod cleaner;
mod client;
mod clusters;
mod context;
mod death;
mod drive;
mod engine;
mod entry;
mod frame;
mod gate;
mod health;
mod holds;
mod keep_at;
mod kill;
pub mod log_levels;
mod many;
mod pace;
mod plain;
mod poller;
mod prober;
mod pulse;
mod queues;
mod ready;
mod reaper;
mod request;
mod retry;
mod reuse;
mod run;
mod server;
mod service;
pub mod settings;
mod settle;
mod setup;
mod socket;
#[cfg(feature = "testing")]
mod stage;
mod steer;
mod step_loop;
mod submitter;
mod supervisor;
mod suspects;
mod tell;
mod timers;

pub use client::{Answered, ClientError, Connection, call};
pub use context::{Builder, Context, Owner, Schedulers};
pub use death::{Death, NOT_STARTED};
pub use engine::{Blocking, Engine, Handle};
pub use entry::{DaemonHooks, TakeSettings, run_daemon};
pub use health::Health;
pub(crate) use holds::Lane;
pub use poller::JobWatch;
pub use request::{
    Hello, HostAction, OwnerStatus, PROTOCOL, Request, Response, SchedulerTrouble, StoreTrouble,
    WATCHED_VARIABLES,
};
pub use retry::RetryPlan;
pub use run::{RunEnd, RunError, RunEvent, attach, run_tree};
pub use settings::Settings;
pub(crate) use settle::parked_status;
#[cfg(feature = "testing")]
pub use stage::{Parts, Stage};
pub use submitter::Submitters;
pub use supervisor::{Supervision, SupervisorEnd, die_with, supervise};

use crate::store::NodeId;

/// The engine's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The events that the step loop receives.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something about a process may have changed: check it.
    Wake(NodeId),
    /// A terminal follows the process: step it, even where only some processes are stepped.
    Attach(NodeId),
    /// The end of the process was requested: interrupt its step.
    Kill(NodeId),
    /// The job of the process was observed.
    Observed(NodeId, poller::Observation),
    /// A request to stop gracefully.
    Stop,
}

fn hello(role: &str) -> Hello {
    Hello { protocol: PROTOCOL, version: VERSION.to_owned(), pid: std::process::id(), role: role.to_owned() }
}
