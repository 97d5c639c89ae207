//! The open profile: its store, transports, schedulers, plugins and settings, and the health of its computers.

pub(crate) mod context;
pub(crate) mod exit_cause;
pub(crate) mod health;
mod learn_queue;
pub mod log_levels;
pub(crate) mod logins;
mod retry_plan;
pub(crate) mod retry_until_done;
pub mod settings;
pub(crate) mod setup;
mod supervision;
pub(crate) mod waiters;

pub use context::{Builder, Context, Owner};
pub use exit_cause::{Death, NOT_STARTED};
pub use health::Health;
pub(crate) use health::parked_status;
pub(crate) use retry_plan::LONGEST;
pub use retry_plan::RetryPlan;
pub use settings::Settings;
pub use supervision::Supervision;
