//! The daemon: a supervisor, the worker that owns the profile, and what is made of a worker's death.

pub(crate) mod crash_blame;
pub(crate) mod exit_cause;
pub(crate) mod runtime_metrics;
pub(crate) mod supervisor;
pub(crate) mod worker;

pub use exit_cause::{Death, NOT_STARTED};
pub use supervisor::{Supervision, SupervisorEnd, die_with, supervise};
pub use worker::{DaemonHooks, TakeSettings, run_daemon};
