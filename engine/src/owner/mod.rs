//! The open profile: its store, transports, schedulers, plugins and settings, and the health of its computers.

pub(crate) mod context;
pub(crate) mod health;
pub mod log_levels;
mod retry_plan;
pub(crate) mod retry_until_done;
pub mod settings;
pub(crate) mod setup;
pub(crate) mod waiters;

pub use context::{Builder, Context, Owner, Schedulers};
pub use health::Health;
pub(crate) use health::parked_status;
pub(crate) use retry_plan::LONGEST;
pub use retry_plan::RetryPlan;
pub use settings::Settings;
