//! Batched submissions of one computer: those that arrive during a round trip go with the next one.
//!
//! At no time are more under way than the computer's `max_parallel_submits`. One batch at a time is sent, and its
//! wrapper keeps to the bound. A batch whose answer was lost may still be running on the host. So the next one
//! waits until all of it is settled, or until its wrapper must have ended.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use crate::{
    computer::PARALLEL_SUBMITS_MAX,
    owner::Context,
    scheduler::{Error, ErrorKind, JobId, Result, Submission, WRAPPER_DEADLINE},
};

/// Most submissions in one batch.
const BATCH: usize = 32;
/// Time after which a wrapper has ended in any case.
const WRAPPER_LIFE: Duration = WRAPPER_DEADLINE.saturating_add(Duration::from_secs(10));

type Item = (Submission, oneshot::Sender<Result<JobId>>);

/// The submitters of all computers; each starts with its first job.
#[derive(Debug)]
pub struct Submitters {
    cx: Arc<Context>,
    lanes: Mutex<HashMap<String, Lane>>,
    /// Start of this owner. An earlier one may have sent submissions until then.
    began: Instant,
    /// The submitter tasks. They hold the profile, so they end when this is dropped.
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug, Clone)]
struct Lane {
    queue: mpsc::UnboundedSender<Item>,
    doubts: Arc<Doubts>,
}

impl Submitters {
    pub(crate) fn new(cx: Arc<Context>) -> Self {
        Submitters { cx, lanes: Mutex::default(), began: Instant::now(), tasks: Mutex::default() }
    }

    /// Submits one job, together with others of the same computer.
    ///
    /// # Errors
    /// Fails as [`crate::scheduler::Scheduler::submit`] does.
    ///
    /// # Cancel safety
    /// A dropped call may have submitted, as with an `Ambiguous` error.
    pub(crate) async fn submit(&self, computer: &str, submission: Submission) -> Result<JobId> {
        let (reply, answer) = oneshot::channel();
        let lost =
            || Error::new(ErrorKind::Ambiguous, "submit").message("the submitter has ended").effect_unknown();
        let lane = self.lane(computer);
        // It has not been sent yet, whatever the store says.
        lane.doubts.settle(&submission.token);
        lane.queue.send((submission, reply)).map_err(|_| lost())?;
        answer.await.map_err(|_| lost())?
    }

    /// Records that a submission of this token is settled: it happened, or never will.
    pub(crate) fn settled(&self, computer: &str, token: &str) {
        self.lane(computer).doubts.settle(token);
    }

    fn lane(&self, computer: &str) -> Lane {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes
            .entry(computer.to_owned())
            .or_insert_with(|| {
                let (queue, inbox) = mpsc::unbounded_channel();
                let doubts = Arc::new(Doubts::default());
                let until = self.began + WRAPPER_LIFE;
                if Instant::now() < until {
                    doubts.add(unsettled(&self.cx, computer), until);
                }
                let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
                tasks.spawn(serve(self.cx.clone(), computer.to_owned(), inbox, doubts.clone()));
                Lane { queue, doubts }
            })
            .clone()
    }
}

/// Returns the tokens of submissions that have begun and whose outcome is not stored.
fn unsettled(cx: &Context, computer: &str) -> HashSet<String> {
    let tickets = cx.store.tickets(computer).unwrap_or_default();
    let is_open = |process| cx.store.process(process).is_ok_and(|row| row.job_id().is_none());
    tickets.into_iter().filter(|ticket| is_open(ticket.process)).map(|ticket| ticket.token).collect()
}

/// Submissions that may still be under way.
#[derive(Debug, Default)]
struct Doubts {
    /// Each token with the time by which its wrapper must have ended.
    tokens: Mutex<HashMap<String, Instant>>,
    changed: Notify,
}

impl Doubts {
    fn add(&self, tokens: impl IntoIterator<Item = String>, until: Instant) {
        let mut all = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(tokens.into_iter().map(|token| (token, until)));
    }

    fn settle(&self, token: &str) {
        let mut all = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if all.remove(token).is_some() {
            self.changed.notify_one();
        }
    }

    /// Returns the time by which the last wrapper in doubt must have ended, if there is any.
    fn last(&self) -> Option<Instant> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).values().max().copied()
    }

    /// Waits until no submission is in doubt.
    async fn cleared(&self) {
        while let Some(until) = self.last() {
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(until) => {
                    self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clear();
                }
            }
        }
    }
}

/// The number of submissions that the scheduler takes at once. It starts at the maximum, falls to one after a lack
/// of room or a lost answer, and doubles after each batch that was taken.
#[derive(Debug)]
struct Width(usize);

impl Width {
    fn learn<T>(&mut self, results: &[Result<T>]) {
        let is = |kinds: &[ErrorKind], result: &Result<T>| {
            result.as_ref().is_err_and(|error| kinds.contains(error.kind()))
        };
        let is_trouble =
            |result| is(&[ErrorKind::Full, ErrorKind::Ambiguous, ErrorKind::Unreachable], result);
        // A busy answer may concern one job alone, or the host: then all jobs get it.
        let is_held = |result| is(&[ErrorKind::Busy], result);
        let most = PARALLEL_SUBMITS_MAX as usize;
        let is_bad = results.iter().any(is_trouble) || results.iter().all(is_held);
        self.0 = if is_bad { 1 } else { (self.0 * 2).min(most) };
    }
}

async fn serve(
    cx: Arc<Context>,
    computer: String,
    mut inbox: mpsc::UnboundedReceiver<Item>,
    doubts: Arc<Doubts>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut width = Width(PARALLEL_SUBMITS_MAX as usize);
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        doubts.cleared().await;
        let (jobs, replies): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let until = Instant::now() + WRAPPER_LIFE;
        let results = submit(&cx, &computer, &jobs, &width).await;
        width.learn(&results);
        let is_lost = |result: &Result<JobId>| {
            result.as_ref().is_err_and(|error| *error.kind() == ErrorKind::Ambiguous)
        };
        // One answer for all of them was lost, and the wrapper may still run.
        if results.iter().all(is_lost) {
            doubts.add(jobs.into_iter().map(|job| job.token), until);
        }
        for (reply, result) in replies.into_iter().zip(results) {
            // The caller may have been cancelled; its intent is on disk.
            let _ = reply.send(result);
        }
    }
}

async fn submit(cx: &Context, computer: &str, jobs: &[Submission], width: &Width) -> Vec<Result<JobId>> {
    let failed = |kind: ErrorKind, text: String| {
        jobs.iter().map(|_| Err(Error::new(kind, "submit").message(text.clone()).later())).collect()
    };
    match cx.connect(computer).await {
        Err(error) => failed(ErrorKind::Unreachable, error.to_string()),
        Ok((row, via)) => match cx.scheduler(&row.config) {
            Ok(scheduler) => {
                let at_once = row.config.parallel_submits().min(width.0);
                scheduler.submit(&*via, jobs, at_once).await
            }
            // No end of a job: another version of ferry may know the scheduler.
            Err(text) => failed(ErrorKind::Unreadable, text),
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_until_an_earlier_one_is_settled_or_must_have_ended() {
        let doubts = Arc::new(Doubts::default());
        doubts.cleared().await;
        doubts.add(["a".to_owned(), "b".to_owned()], Instant::now() + WRAPPER_LIFE);
        let waits = tokio::spawn({
            let doubts = doubts.clone();
            async move { doubts.cleared().await }
        });
        advance(Duration::from_secs(1)).await;
        doubts.settle("a");
        advance(Duration::from_secs(1)).await;
        assert!(!waits.is_finished());
        doubts.settle("b");
        waits.await.unwrap();

        let start = Instant::now();
        doubts.add(["c".to_owned()], start + WRAPPER_LIFE);
        doubts.cleared().await;
        assert!(start.elapsed() >= WRAPPER_LIFE);
        assert_eq!(doubts.last(), None);
    }

    #[test]
    fn a_scheduler_without_room_is_sent_one_at_a_time_until_it_takes_more() {
        let mut width = Width(32);
        let refused = |kind| Err(Error::new(kind, "submit").later());
        width.learn(&[Ok(()), refused(ErrorKind::Busy)]);
        assert_eq!(width.0, 32, "one job alone");
        width.learn(&[Ok(()), refused(ErrorKind::Full)]);
        assert_eq!(width.0, 1);
        for expect in [2, 4, 8, 16, 32, 32] {
            // A refusal is an answer like another.
            width.learn(&[Ok(()), Err(Error::new(ErrorKind::Permanent, "submit"))]);
            assert_eq!(width.0, expect);
        }
    }
}
