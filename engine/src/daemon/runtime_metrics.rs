//! Metrics of the asynchronous runtime, for the log target `runtime`: a line at intervals, and a warning when the
//! runtime was blocked.

use std::time::Duration;

use tokio::{runtime::Handle, time::Instant};

/// Interval between two checks of the runtime.
const BEAT: Duration = Duration::from_secs(1);
/// Checks from one log line to the next.
const LINE: u32 = 10;
/// Delay of a check that causes a warning.
const LATE: Duration = Duration::from_secs(1);

/// Watches the runtime that it is spawned on, until dropped.
pub(crate) async fn watch() {
    let metrics = Handle::current().metrics();
    for beat in 0_u32.. {
        let due = Instant::now() + BEAT;
        tokio::time::sleep_until(due).await;
        let late = due.elapsed();
        if late > LATE {
            tracing::warn!(target: "runtime", ?late, "the runtime was blocked, or this machine was suspended");
        }
        if beat % LINE == 0 {
            tracing::debug!(
                target: "runtime",
                threads = metrics.num_workers(),
                tasks = metrics.num_alive_tasks(),
                queued = metrics.global_queue_depth(),
                "alive"
            );
        }
    }
}
