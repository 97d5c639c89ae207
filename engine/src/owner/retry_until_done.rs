//! Tasks on computers that may not answer now: they are retried until they are done, ever more rarely.

use std::time::Duration;

use tokio::sync::Notify;

use crate::back_off::BackOff;

/// The waits between tries.
const WAITS: BackOff = BackOff { first: Duration::from_secs(10), longest: Duration::from_secs(600) };
/// Longest delay for tasks that were not even tried, since their computer is known to be in trouble. It is
/// shorter, since such a check is cheap, and the task should be done soon after the computer is well.
const BARRED: Duration = Duration::from_secs(40);

/// The result of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    Done,
    Failed,
    /// Nothing was done: its computer is in trouble.
    Barred,
}

/// Performs the listed tasks one after the other until dropped, and sleeps while there are none. `wake` is
/// notified when there may be more.
pub(crate) async fn keep_at<T, F: Future<Output = Tried>>(
    wake: &Notify,
    list: impl Fn() -> Vec<T>,
    act: impl Fn(T) -> F,
) {
    let mut failures = 1;
    loop {
        let all = list();
        if all.is_empty() {
            wake.notified().await;
            failures = 1;
            continue;
        }
        let mut left = None;
        for one in all {
            match act(one).await {
                Tried::Done => {}
                Tried::Failed => left = Some(WAITS.longest),
                Tried::Barred => left = left.or(Some(BARRED)),
            }
        }
        if let Some(slowest) = left {
            // A new task is tried soon, whatever the computers of the old ones do.
            tokio::select! {
                biased;
                () = tokio::time::sleep(WAITS.wait(failures).min(slowest)) => failures += 1,
                () = wake.notified() => failures = 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Returns the number of tries of one task within an hour if each has this result.
    async fn tries_in_an_hour(tried: Tried) -> u32 {
        let (count, wake) = (Cell::new(0), Notify::new());
        let act = |()| {
            count.set(count.get() + 1);
            async move { tried }
        };
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, keep_at(&wake, || vec![()], act)).await.is_err(), "it ended");
        count.get()
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_ever_more_rarely_and_what_is_barred_is_looked_at() {
        assert_eq!(tries_in_an_hour(Tried::Failed).await, 11);
        assert_eq!(tries_in_an_hour(Tried::Barred).await, 92);
    }
}
