//! The suite for schedulers: a job runs once, its state can be found after a crash, absent is not done.
//!
//! Real jobs run, through the fixture's transport, in directories below its scratch directory. Each job
//! appends a line to a file of its own; those files are the evidence.

mod bench;
mod cases;

use std::{path::PathBuf, sync::Arc, time::Duration};

use ferry_engine_core::{scheduler::Scheduler, transport::Transport};
use libtest_mimic::{Completion, Failed, Trial};

use crate::harness;

pub use bench::{Bench, Outcome};

/// The most that a case may take: beyond it, something hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// A scheduler, a way to its computer, and a place to work.
#[derive(Debug)]
pub struct Fixture<G> {
    /// The scheduler.
    pub scheduler: Arc<dyn Scheduler>,
    /// A connection to its computer.
    pub transport: Arc<dyn Transport>,
    /// An absolute directory there that exists, may be written, and is seen where jobs run.
    pub scratch: PathBuf,
    /// Dropped when the case is over.
    pub guard: G,
}

/// Returns all cases, named `scheduler/<name>/<case>`; `build` is called once for each.
///
/// # Panics
/// If this machine can't start the threads of a runtime.
pub fn suite<B, F, G>(name: &str, build: B) -> Vec<Trial>
where
    B: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<Fixture<G>, Failed>>,
    G: Send + 'static,
{
    let named = cases::all().into_iter().map(|(case, run)| (case.to_owned(), run));
    harness::trials(&format!("scheduler/{name}"), named, build, play)
}

async fn play<G>(case: cases::Run, fixture: Fixture<G>) -> Result<Completion, Failed> {
    let bench = Bench::new(fixture.scheduler, fixture.transport, fixture.scratch);
    let outcome = harness::within(LIMIT, case(bench)).await;
    drop(fixture.guard);
    outcome?.map(|()| Completion::Completed)
}
