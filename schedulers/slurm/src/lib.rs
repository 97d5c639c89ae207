//! Slurm's dialect: builds `sbatch`, `squeue`, `sacct` and `scancel` commands and reads their output. It runs
//! nothing; the engine's `CliScheduler` does, with the claim protocol around each submission.
//!
//! A job's name and comment contain its token, and a job is identified by its id *and* its token. A controller
//! that was killed forgets the ids of its last seconds and gives them to other jobs. Every client is bounded by
//! `timeout`, since one that talks to a hung controller waits for minutes.
//!
//! It needs no accounting. Without it, the end of a job is read from the queue, which remembers ended jobs for a
//! while (`MinJobAge`), and from the exit marker. It works from Slurm 20.02; the tests' recorded answers are from
//! 22.05.8.
//!
//! ```
//! use ferry_engine_core::scheduler::{Dialect, JobId, Recorded};
//! use ferry_scheduler_slurm::Slurm;
//!
//! let answer = Recorded { stdout: "42\n".into(), status: Some(0), ..Recorded::default() };
//! assert_eq!(Slurm.parse_submit(&answer).unwrap(), JobId("42".into()));
//! ```

mod accounting;
mod allocation;
mod cancel;
mod client;
mod cluster;
mod dialect;
pub mod directives;
mod given_up;
mod header;
mod queue;
mod reason;
mod record;
mod refusal;
mod state;
mod submit;

use std::sync::Arc;

use ferry_engine_core::scheduler::{CliScheduler, Factory, Ready};

pub use dialect::Slurm;

/// Its name in computer files.
pub const NAME: &str = "core.slurm";

/// Returns the scheduler, ready for `App::scheduler`.
pub fn register() -> Arc<dyn Factory> {
    Arc::new(Ready::new(NAME, CliScheduler::new(Slurm)).allocation(allocation::ALLOCATION))
}
