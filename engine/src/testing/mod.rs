//! A virtual clock, a world in memory, scripted schedulers and plugins, and simulations made of them. For ferry's
//! own tests and for third parties, behind the feature `testing`.
//!
//! A simulation runs the real engine (executor, state machines, store, admission, pollers, workflows) on one
//! thread in virtual time, against hosts in memory. It injects faults: crashes between any two commits and around
//! any remote operation, hosts and stores that are down, lost and late answers. Controllers forget jobs, clocks
//! jump, and users interfere.
//!
//! Only the [`World`] knows which jobs really ran; the report compares the engine's results with that. All events
//! are derived from a seed: the same [`Plan`] gives the same run, commit for commit. So whatever in the engine draws an
//! id asks [`ids`](crate::ids), a time [`clock`](crate::clock), and no order depends on a random hash or on an unbiased
//! `select!`.
//!
//! ```
//! use ferry_engine::testing::{Plan, Watch, try_out};
//! let report = try_out(&Plan::of_seed(1), Watch::Digest)?;
//! assert!(report.wrongs.is_empty());
//! assert_eq!(report.digest, try_out(&Plan::of_seed(1), Watch::Digest)?.digest);
//! # Ok::<(), ferry_engine::store::Error>(())
//! ```
//!
//! It does *not* cover the shell text of the claim protocol and of job scripts, SQLite's files, real transports
//! and plugin hosts. The [`ScriptedScheduler`] has the meaning of the claim protocol and none of its text. Those
//! are tested with real shells, a real Slurm, a real sshd and `kill -9` (`tests/conformance`, `tests/matrix`).
//!
//! Third parties may use the parts alone: [`MemoryTransport`] below a scheduler of their own, or [`run`] with a
//! plan of their own.

mod bounds;
mod fate;
mod files;
mod graph;
mod harness;
mod payload;
mod plan;
mod plugins;
mod queue;
mod rng;
mod scheduler;
mod script;
mod shrink;
mod simulation;
mod tap;
mod trace;
mod transport;
mod verdict;
mod world;

pub use fate::OpFault;
pub use harness::{Parts, Stage};
pub use plan::{Event, HostPlan, Known, LaunchPlan, Plan, SecondPlan};
pub use plugins::ScriptedPlugins;
pub use queue::{HostSettings, Outage, Told, Truth};
pub use rng::Rng;
pub use scheduler::ScriptedScheduler;
pub use shrink::shrink;
pub use simulation::{Report, run, try_out};
pub use trace::Watch;
pub use transport::{MemoryFactory, MemoryTransport};
pub use world::{World, work_dir};
