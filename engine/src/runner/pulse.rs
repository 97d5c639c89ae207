//! What the asynchronous runtime is up to, for the log target `runtime`: a line now and then, and a warning when
//! something kept it from its work.

use std::time::Duration;

use tokio::{runtime::Handle, time::Instant};

/// How often the runtime is looked at.
const BEAT: Duration = Duration::from_secs(1);
/// Beats from one line to the next.
const LINE: u32 = 10;
/// A beat so late is worth a warning.
const LATE: Duration = Duration::from_secs(1);

/// Watches the runtime it is spawned on, until dropped.
pub(super) async fn watch() {
    let metrics = Handle::current().metrics();
    for beat in 0_u32.. {
        let due = Instant::now() + BEAT;
        tokio::time::sleep_until(due).await;
        let late = due.elapsed();
        if late > LATE {
            tracing::warn!(target: "runtime", ?late, "the runtime was held up, or this machine slept");
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
