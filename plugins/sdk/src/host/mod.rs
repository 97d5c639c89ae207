//! Services of the host that runs a call: a log, a query whether to stop, and the report of the process.

mod doing;
pub(crate) mod report;
mod services;

pub(crate) use doing::{begin, doing, now_doing};
pub use report::report;
pub use services::{Level, log, stop_asked};
pub(crate) use services::{connect, during};
