//! Cases as trials: each builds its fixture, runs within a time limit, and is identified by its name.

use std::{sync::Arc, time::Duration};

use libtest_mimic::{Completion, Failed, Trial};
use tokio::{runtime::Runtime, time::timeout};

/// Makes a trial of each named case. `build` is called once for each case, and `run` gets the value that it
/// made.
///
/// # Panics
/// If this machine can't start the threads of a runtime.
pub(crate) fn trials<C, T, B, F, R, E>(
    prefix: &str,
    cases: impl IntoIterator<Item = (String, C)>,
    build: B,
    run: R,
) -> Vec<Trial>
where
    C: Send + 'static,
    B: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<T, Failed>>,
    R: Fn(C, T) -> E + Copy + Send + 'static,
    E: Future<Output = Result<Completion, Failed>>,
{
    let runtime = Arc::new(Runtime::new().expect("a runtime needs threads and descriptors"));
    let trial = |(name, case): (String, C)| {
        let (runtime, build) = (runtime.clone(), build.clone());
        Trial::ignorable_test(format!("{prefix}/{name}"), move || {
            runtime.block_on(async { run(case, build().await?).await })
        })
    };
    cases.into_iter().map(trial).collect()
}

/// Waits for a case, but no longer than `limit`: beyond it, something hangs.
pub(crate) async fn within<T>(limit: Duration, case: impl Future<Output = T>) -> Result<T, Failed> {
    timeout(limit, case).await.map_err(|_| Failed::from(format!("the case did not end within {limit:?}")))
}
