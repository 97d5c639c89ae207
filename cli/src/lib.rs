//! ferry's command line, as a library: a thin binary chooses the transports, schedulers and plugins.
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     ferry_cli::App::builder()
//!         .transport(ferry_transport_local::register())
//!         .scheduler(ferry_scheduler_direct::register())
//!         .main()
//! }
//! ```

mod app;
mod args;
mod ask;
mod commands;
mod config_file;
mod error;
mod home;
mod inputs;
mod listing;
mod log_file;
mod logging;
mod output;
mod printable;
mod session;
mod view;
mod words;
mod yaml;

pub use app::{App, AppBuilder};
