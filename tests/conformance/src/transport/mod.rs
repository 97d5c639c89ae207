//! The suite for transports: every promise in the docs of [`Transport`], one case each.
//!
//! Cases see the far side only through the transport, so they run alike on this machine and on a distant one.
//! They need `sh` and coreutils there. A failing case reports its line in this crate.

mod cancellation;
mod case;
mod concurrency;
mod errors;
mod exec;
mod files;
mod glob;
mod names;
mod provided;
mod removal;
mod rename;
mod site;
mod streams;
mod transfer;
mod trees;

use std::{
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ferry_engine_core::transport::Transport;
use libtest_mimic::{Completion, Failed, Trial};

use crate::harness;
use case::Case;
pub use provided::WithoutOverrides;
use site::Site;

/// The most that a case may take: beyond it, something hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// An open transport and a place to work.
#[derive(Debug)]
pub struct Fixture<G> {
    /// A connection of its own: one case closes it.
    pub transport: Arc<dyn Transport>,
    /// An absolute directory on the far side that exists and may be written; cases make their own below it.
    pub scratch: PathBuf,
    /// Dropped when the case is over: a temporary directory, a server.
    pub guard: G,
}

/// Returns all cases, named `transport/<name>/<duty>/<case>`; `build` is called once for each.
///
/// # Panics
/// If this machine can't start the threads of a runtime.
pub fn suite<B, F, G>(name: &str, build: B) -> Vec<Trial>
where
    B: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<Fixture<G>, Failed>>,
    G: Send + 'static,
{
    let named = cases().into_iter().map(|case| (case.name.clone(), case));
    harness::trials(&format!("transport/{name}"), named, build, run)
}

/// Returns the cases about methods that [`Transport`] provides, on a transport whose overrides are hidden. They are
/// named as those of [`suite`].
///
/// # Panics
/// As [`suite`].
pub fn suite_without_overrides<B, F, G>(name: &str, build: B) -> Vec<Trial>
where
    B: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<Fixture<G>, Failed>>,
    G: Send + 'static,
{
    let named = cases().into_iter().filter(|case| provided::concerns(&case.name));
    let named = named.map(|case| (case.name.clone(), case));
    let build = move || {
        let built = build();
        async {
            let Fixture { transport, scratch, guard } = built.await?;
            Ok(Fixture { transport: Arc::new(WithoutOverrides(transport)), scratch, guard })
        }
    };
    harness::trials(&format!("transport/{name}"), named, build, run)
}

/// Returns all cases, in the order in which a new transport best gets them right.
fn cases() -> Vec<Case> {
    let duties = [
        ("files", files::cases()),
        ("removal", removal::cases()),
        ("rename", rename::cases()),
        ("exec", exec::cases()),
        ("streams", streams::cases()),
        ("transfer", transfer::cases()),
        ("trees", trees::cases()),
        ("glob", glob::cases()),
        ("names", names::cases()),
        ("errors", errors::cases()),
        ("cancellation", cancellation::cases()),
        ("concurrency", concurrency::cases()),
    ];
    duties
        .into_iter()
        .flat_map(|(duty, cases)| cases.into_iter().map(move |case| case.within(duty)))
        .collect()
}

async fn run<G>(case: Case, fixture: Fixture<G>) -> Result<Completion, Failed> {
    if let Some(lack) = case.lack(&fixture.transport.capabilities()) {
        return Ok(Completion::ignored_with(lack));
    }
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let unique = format!("case-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let site = Site::new(fixture.transport.clone(), fixture.scratch.join(unique));
    site.mkdirs(site.dir()).await?;
    let outcome = harness::within(LIMIT, case.run(site.clone())).await;
    // The case that closes the transport leaves this to its guard.
    let _ = site.remove_tree(site.dir()).await;
    outcome?
}
