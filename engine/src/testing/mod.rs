//! A virtual clock, a world in memory, scripted schedulers and plugins, and simulations made of them: for us and for
//! third parties. Behind the feature `testing`.
//!
//! A simulation runs the real engine (runner, state machines, store, gate, pollers, retries, workflows) on one thread
//! in virtual time, against hosts in memory, and lets go wrong what can: crashes between any two commits and around
//! any remote operation, hosts and stores that are away, lost and late answers, controllers that forget, clocks that
//! jump, users who interfere. The [`World`] alone knows what was really run, and the report is what the engine left,
//! held against that. Everything follows from a seed: the same [`Plan`] gives the same run, commit for commit.
//!
//! ```
//! use ferry_engine::testing::{Plan, Watch, try_out};
//! let report = try_out(&Plan::of_seed(1), Watch::Digest)?;
//! assert!(report.wrongs.is_empty());
//! assert_eq!(report.digest, try_out(&Plan::of_seed(1), Watch::Digest)?.digest);
//! # Ok::<(), ferry_engine::store::Error>(())
//! ```
//!
//! What it does *not* show: the shell text of the claim protocol and of job scripts, SQLite's files, real transports
//! and plugin hosts. The [`ScriptedScheduler`] has the meaning of the claim protocol and none of its text; those are
//! tried with real shells, a real Slurm, a real sshd and `kill -9` (`tests/conformance`, `tests/matrix`).
//!
//! Third parties may use the parts alone: [`MemoryTransport`] below an own scheduler, or [`run`] with a plan of their
//! own.

mod bounds;
mod fate;
mod files;
mod graph;
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
