//! Runs jobs side by side on the task that asks for them, a bounded number at a time.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use crate::transport::Result;

/// A job, which may borrow what its caller has.
pub type Job<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Runs all jobs, and returns their results in the order of the jobs. After a first error no job begins any more,
/// and those that run are brought to their ends, so that none leaves anything half done.
///
/// # Errors
/// Returns the first one.
pub async fn at_once<'a, T: Send>(
    limit: usize,
    jobs: impl Iterator<Item = Job<'a, T>> + Send,
) -> Result<Vec<T>> {
    let mut jobs = jobs.enumerate();
    let mut running = Running { jobs: Vec::new(), done: Vec::new(), failed: None };
    poll_fn(|context| {
        loop {
            while running.failed.is_none()
                && running.jobs.len() < limit
                && let Some(job) = jobs.next()
            {
                running.jobs.push(job);
            }
            if running.jobs.is_empty() {
                return Poll::Ready(());
            }
            if !running.advance(context) {
                return Poll::Pending;
            }
        }
    })
    .await;
    match running.failed {
        Some(error) => Err(error),
        None => {
            running.done.sort_by_key(|(index, _)| *index);
            Ok(running.done.into_iter().map(|(_, value)| value).collect())
        }
    }
}

struct Running<'a, T> {
    jobs: Vec<(usize, Job<'a, T>)>,
    done: Vec<(usize, T)>,
    failed: Option<crate::transport::Error>,
}

impl<T> Running<'_, T> {
    /// Polls every job once; returns true if one has ended.
    fn advance(&mut self, context: &mut Context<'_>) -> bool {
        let before = self.jobs.len();
        let mut at = 0;
        while at < self.jobs.len() {
            match self.jobs[at].1.as_mut().poll(context) {
                Poll::Pending => at += 1,
                Poll::Ready(ended) => {
                    let (index, _) = self.jobs.swap_remove(at);
                    match ended {
                        Ok(value) => self.done.push((index, value)),
                        Err(error) => self.failed = self.failed.take().or(Some(error)),
                    }
                }
            }
        }
        self.jobs.len() < before
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use tokio::time::sleep;

    use super::*;
    use crate::transport::{Error, ErrorKind};

    #[tokio::test(start_paused = true)]
    async fn results_come_in_order_and_no_more_run_than_may() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (now, most) = (&now, &most);
        let jobs = (0..20_u64).map(|i| {
            Box::pin(async move {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                sleep(Duration::from_millis(100 - i)).await;
                now.fetch_sub(1, Ordering::Relaxed);
                Ok(i)
            }) as Job<'_, u64>
        });
        assert_eq!(at_once(4, jobs).await.unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::Relaxed), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_error_the_running_ones_end_and_no_other_begins() {
        let begun = AtomicUsize::new(0);
        let ended = AtomicUsize::new(0);
        let (begun, ended) = (&begun, &ended);
        let jobs = (0..20_u64).map(|i| {
            Box::pin(async move {
                begun.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(10 + i)).await;
                ended.fetch_add(1, Ordering::Relaxed);
                if i == 0 { Err(Error::new(ErrorKind::Other, "first")) } else { Ok(()) }
            }) as Job<'_, ()>
        });
        let error = at_once(3, jobs).await.unwrap_err();
        assert_eq!(error.to_string(), "first: failed");
        assert_eq!((begun.load(Ordering::Relaxed), ended.load(Ordering::Relaxed)), (3, 3));
    }
}
