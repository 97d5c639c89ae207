//! The daemon: a supervisor, the worker that owns the profile, and what is made of a worker's death.

pub(crate) mod runtime_metrics;
pub(crate) mod supervisor;
pub(crate) mod worker;

pub use supervisor::{SupervisorEnd, die_with, supervise};
pub use worker::{DaemonHooks, TakeSettings, run_daemon};

pub use crate::owner::{Death, NOT_STARTED, Supervision};
