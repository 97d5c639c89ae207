//! The direct scheduler: jobs are children of the computer itself, started at once, without a queue.
//!
//! A job's id is `HOST:BOOT:PID:START`, so neither a reused pid nor a reboot is mistaken for the job. A zombie
//! counts as ended. A job has ended when no process of it runs any more, on the computer where it ran: see
//! `processes`.
//!
//! A job reports its end by a signal to a watcher that waits on the computer (`watch`).
//!
//! It needs Linux's `/proc` on the computer.

mod cgroup;
mod dialect;
mod guard;
mod id;
mod processes;
mod watch;

use std::sync::Arc;

use ferry_engine_core::scheduler::{CliScheduler, Factory, Ready};

pub use dialect::Direct;

/// Its name in computer files.
pub const NAME: &str = "core.direct";

/// Returns the scheduler, ready for `App::scheduler`.
pub fn register() -> Arc<dyn Factory> {
    Arc::new(Ready::new(NAME, CliScheduler::new(Direct)))
}
