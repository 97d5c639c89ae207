//! Submissions of one computer, gathered: what comes while a round trip is under way goes with the next one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::Context;
use crate::scheduler::{Error, ErrorKind, JobId, Result, Submission};

/// Most submissions in one go.
const BATCH: usize = 32;

type Item = (Submission, oneshot::Sender<Result<JobId>>);

/// The submitters of all computers; each begins with its first job.
#[derive(Debug)]
pub struct Submitters {
    cx: Arc<Context>,
    queues: Mutex<HashMap<String, mpsc::UnboundedSender<Item>>>,
    /// Ends the tasks with itself: they hold the profile.
    tasks: Mutex<JoinSet<()>>,
}

impl Submitters {
    pub(super) fn new(cx: Arc<Context>) -> Self {
        Submitters { cx, queues: Mutex::default(), tasks: Mutex::default() }
    }

    /// Submits one job, together with others of the same computer.
    ///
    /// # Errors
    /// As [`crate::scheduler::Scheduler::submit`].
    ///
    /// # Cancel safety
    /// A dropped call may have submitted, like an `Ambiguous` one.
    pub(crate) async fn submit(&self, computer: &str, submission: Submission) -> Result<JobId> {
        let (reply, answer) = oneshot::channel();
        let lost =
            || Error::new(ErrorKind::Ambiguous, "submit").message("the submitter has ended").effect_unknown();
        self.queue(computer).send((submission, reply)).map_err(|_| lost())?;
        answer.await.map_err(|_| lost())?
    }

    fn queue(&self, computer: &str) -> mpsc::UnboundedSender<Item> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues
            .entry(computer.to_owned())
            .or_insert_with(|| {
                let (sender, inbox) = mpsc::unbounded_channel();
                let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
                tasks.spawn(serve(self.cx.clone(), computer.to_owned(), inbox));
                sender
            })
            .clone()
    }
}

async fn serve(cx: Arc<Context>, computer: String, mut inbox: mpsc::UnboundedReceiver<Item>) {
    let mut batch = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        let (jobs, replies): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let results = submit(&cx, &computer, &jobs).await;
        for (reply, result) in replies.into_iter().zip(results) {
            // Whoever asked may have been cancelled; its intent is on disk.
            let _ = reply.send(result);
        }
    }
}

async fn submit(cx: &Context, computer: &str, jobs: &[Submission]) -> Vec<Result<JobId>> {
    let failed = |kind: ErrorKind, text: String| {
        jobs.iter().map(|_| Err(Error::new(kind, "submit").message(text.clone()).later())).collect()
    };
    match cx.connect(Some(computer)).await {
        Err(error) => failed(ErrorKind::Unreachable, error.to_string()),
        Ok((row, via)) => match cx.scheduler(&row.config.scheduler) {
            Ok(scheduler) => scheduler.submit(&*via, jobs).await,
            // No end of a job: another ferry may have it.
            Err(text) => failed(ErrorKind::Unreadable, text),
        },
    }
}
