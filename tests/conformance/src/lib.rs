//! Conformance tests for transports, schedulers and stores, as named cases that anybody can run on their own.
//!
//! A third party's `tests/conformance.rs`, with `harness = false` in its manifest:
//!
//! ```no_run
//! use ferry_conformance::{libtest_mimic::{Arguments, run}, transport::{self, Fixture}};
//! use ferry_engine_core::computer::Computer;
//!
//! let trials = transport::suite("local", || async {
//!     let dir = tempfile::tempdir()?;
//!     let transport = ferry_transport_local::register().open(&Computer::default()).await?;
//!     Ok(Fixture { transport, scratch: dir.path().into(), guard: dir })
//! });
//! run(&Arguments::from_args(), trials).exit();
//! ```
//!
//! `cargo test --test conformance -- transport/local/rename` then runs the cases of one duty. A case that needs
//! what the transport says it lacks is reported as ignored, with the reason.

mod harness;
pub mod scheduler;
#[cfg(feature = "store")]
pub mod store;
pub mod transport;

pub use libtest_mimic;
