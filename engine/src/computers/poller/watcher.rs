//! The watch that a poller holds over its jobs where they report their ends. It only triggers polls; polling
//! continues whatever happens to the watch.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    scheduler::{JobRef, Scheduler, WatchEnd},
    transport::Transport,
};

/// Time after which a watch counts as failed, whatever the other side says.
const HANGS: Duration = Duration::from_secs(90);
/// Time without a watch after one that could not be held.
const REST: Duration = Duration::from_secs(30);

/// The holder of at most one watch at a time. Dropping it ends the watch.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    watch: JoinSet<WatchEnd>,
    /// Time from which the next watch may begin.
    rests_until: Option<Instant>,
}

impl Watcher {
    /// Returns whether ends are reported, or will be as soon as a watch begins.
    pub(super) fn is_able(&self) -> bool {
        self.rests_until.is_none_or(|until| until <= Instant::now())
    }

    pub(super) fn is_watching(&self) -> bool {
        !self.watch.is_empty()
    }

    /// Begins a watch.
    pub(super) fn begin(
        &mut self,
        scheduler: Arc<dyn Scheduler>,
        via: Arc<dyn Transport>,
        jobs: Vec<JobRef>,
    ) {
        self.watch.spawn(async move {
            match timeout(HANGS, scheduler.watch(&*via, &jobs)).await {
                Ok(Ok(end)) => end,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "jobs can't be watched");
                    WatchEnd::Unable
                }
                Err(_) => WatchEnd::Unable,
            }
        });
    }

    /// Ends the watch, also on the computer.
    pub(super) fn stop(&mut self) {
        self.watch = JoinSet::new();
    }

    /// Waits for the end of the watch; forever if there is none.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(super) async fn ended(&mut self) -> WatchEnd {
        let Some(ended) = self.watch.join_next().await else { return std::future::pending().await };
        let end = ended.unwrap_or(WatchEnd::Unable);
        self.rests_until = (end == WatchEnd::Unable).then(|| Instant::now() + REST);
        end
    }
}
