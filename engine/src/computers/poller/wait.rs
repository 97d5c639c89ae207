//! The poller between two polls. It takes in messages, admits processes that the last poll left room for, and
//! holds a watch over its jobs where they report their ends.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{Poller, Word};
use crate::computers::admit::admit;
use crate::scheduler::{JobRef, WatchEnd};

impl Poller {
    /// Waits for the next poll, and takes in messages meanwhile. Returns false if the executor has ended.
    pub(super) async fn pause(&mut self, inbox: &mut mpsc::UnboundedReceiver<Word>) -> bool {
        let (floor, is_told) = self.manner();
        loop {
            // All messages that have arrived by now belong to one poll.
            while let Ok(word) = inbox.try_recv() {
                self.take(word);
            }
            self.pace.set_told(is_told && self.watcher.is_able());
            self.admit_meanwhile(floor).await;
            if is_told {
                self.begin_watch().await;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.pace.due(floor)) => return true,
                word = inbox.recv() => match word {
                    Some(word) => self.take(word),
                    None => return false,
                },
                end = self.watcher.ended() => match end {
                    WatchEnd::Told => self.pace.told(true),
                    WatchEnd::Over => self.pace.told(false),
                    WatchEnd::Expired | WatchEnd::Unable => {}
                },
                () = self.freed.notified(), if is_told => self.room_came(floor),
            }
        }
    }

    /// Handles a returned ticket. Where polls disturb no other user, a process at the gate need not wait for the
    /// next regular one.
    fn room_came(&mut self, floor: Duration) {
        if self.is_wanted() {
            self.is_asked = true;
            if self.seen.is_none_or(|(_, at)| at.elapsed() >= floor) {
                self.pace.hurry();
            }
        }
    }

    /// Admits processes that have come to the gate since the last poll, as far as it left room: within the floor
    /// there is no fresher listing. Where the scheduler has refused jobs, only a poll shows whether it takes more.
    async fn admit_meanwhile(&mut self, floor: Duration) {
        let fresh = self.seen.filter(|(_, at)| self.is_asked && at.elapsed() < floor);
        if let Some((seen, _)) = fresh
            && !self.cx.has_learned_limit(&self.computer).unwrap_or(true)
        {
            self.is_asked = false;
            admit(&self.cx, &self.computer, seen, &self.events).await;
        }
    }

    /// Begins a watch over all jobs, unless there is one or a poll comes first. It uses only a connection that is
    /// open: to open one, and to find that this fails, is the poll's task.
    async fn begin_watch(&mut self) {
        let is_idle = self.watched.is_empty() || self.pace.is_look_first();
        if is_idle || self.watcher.is_watching() || !self.watcher.is_able() {
            return;
        }
        let Ok(row) = self.cx.store.computer(&self.computer) else { return };
        let Ok(scheduler) = self.cx.scheduler(&row.config) else { return };
        let Some(via) = self.cx.transports.opened(&row.config).await else { return };
        if self.cx.health.admits(&self.computer) {
            let to_watch = self.watched.values().filter(|watched| !watched.is_left);
            let jobs: Vec<JobRef> = to_watch.map(|watched| watched.watch.job.clone()).collect();
            if jobs.is_empty() {
                return;
            }
            self.watcher.begin(scheduler, via, jobs);
        }
    }

    /// Returns the least time between two polls, and whether jobs of the computer report their ends.
    fn manner(&self) -> (Duration, bool) {
        let computer = self.cx.store.computer(&self.computer).ok().map(|row| row.config);
        let scheduler = computer.as_ref().and_then(|config| self.cx.scheduler(config).ok());
        let capabilities = scheduler.map(|scheduler| scheduler.capabilities());
        let own = capabilities.map_or(Duration::from_secs(10), |capabilities| capabilities.poll_floor);
        let floor = computer.and_then(|config| config.poll_interval()).unwrap_or(own);
        (floor, capabilities.is_some_and(|capabilities| capabilities.tells_of_ends))
    }

    pub(super) fn floor(&self) -> Duration {
        self.manner().0
    }
}
