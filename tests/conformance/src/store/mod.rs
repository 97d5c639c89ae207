//! The suite for stores: acknowledged changes are there, a batch is whole or nothing, rules hold for every
//! writer, and readers never block anyone.
//!
//! ```no_run
//! use ferry_conformance::{libtest_mimic::{Arguments, run}, store::{self, Fixture}};
//! use ferry_engine_store::{Objects, SqliteStore, Store};
//!
//! let trials = store::suite("mine", || async {
//!     let dir = tempfile::tempdir()?;
//!     let store = SqliteStore::open(&dir.path().join("store.db"), Objects::new(dir.path().join("objects")))?;
//!     let reader = store.reader().clone();
//!     Ok(Fixture { store: std::sync::Arc::new(store), reader, reopen: None, guard: dir })
//! });
//! run(&Arguments::from_args(), trials).exit();
//! ```

mod batches;
mod bench;
mod links;
mod objects;
mod owners;
mod processes;
mod provenance;
mod reading;
mod tickets;
mod trees;

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use ferry_engine_store::{Reader, Store};
use libtest_mimic::{Completion, Failed, Trial};

use crate::harness;
pub use bench::{Bench, Outcome};

/// The most that a case may take: beyond it, something hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// Opens the store of a fixture once more.
pub type Reopen =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Arc<dyn Store>, Failed>> + Send>> + Send + Sync>;

/// A store, and other ways to it.
pub struct Fixture<G> {
    /// Empty, and open for its first owner.
    pub store: Arc<dyn Store>,
    /// The same store through another program's eyes: a connection of its own, where there are several.
    pub reader: Reader,
    /// Opens it as its next owner does, while the one before may live. `None` if it ends with its owner.
    pub reopen: Option<Reopen>,
    /// Dropped when the case is over.
    pub guard: G,
}

impl<G> fmt::Debug for Fixture<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Returns all cases, named `store/<name>/<duty>/<case>`; `build` is called once for each.
///
/// # Panics
/// If this machine can't start the threads of a runtime.
pub fn suite<B, F, G>(name: &str, build: B) -> Vec<Trial>
where
    B: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<Fixture<G>, Failed>>,
    G: Send + 'static,
{
    harness::trials(&format!("store/{name}"), all(), build, play)
}

/// A case. It returns `Ignored` if the fixture can't show it.
type Run = fn(Bench) -> Pin<Box<dyn Future<Output = Outcome<Completion>>>>;

fn all() -> Vec<(String, Run)> {
    let duties = [
        ("batches", batches::cases()),
        ("links", links::cases()),
        ("provenance", provenance::cases()),
        ("processes", processes::cases()),
        ("trees", trees::cases()),
        ("tickets", tickets::cases()),
        ("reading", reading::cases()),
        ("objects", objects::cases()),
        ("owners", owners::cases()),
    ];
    duties
        .into_iter()
        .flat_map(|(duty, cases)| cases.into_iter().map(move |(name, run)| (format!("{duty}/{name}"), run)))
        .collect()
}

async fn play<G>(case: Run, fixture: Fixture<G>) -> Result<Completion, Failed> {
    let Fixture { store, reader, reopen, guard } = fixture;
    let outcome = harness::within(LIMIT, case(Bench { store, reader, reopen })).await;
    drop(guard);
    outcome?
}

/// Cases named as their functions.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        vec![$((stringify!($case), |bench| {
            Box::pin(async move { $case(bench).await.map($crate::store::bench::Done::done) })
        })),+]
    };
}
use cases;
