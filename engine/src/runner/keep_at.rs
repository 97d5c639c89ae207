//! What has to be done on computers that may not answer now: tried again until it is done, ever more rarely.

use std::time::Duration;

use tokio::sync::Notify;

/// How soon another try follows the first; doubles up to [`SLOWEST`].
const FIRST: Duration = Duration::from_secs(10);
const SLOWEST: Duration = Duration::from_secs(600);
/// What was not even tried, since its computer is known to be in trouble, is looked at more often: that costs nobody
/// anything, and it is to be done soon after the computer is well.
const BARRED: Duration = Duration::from_secs(40);

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    Done,
    Failed,
    /// Nothing was done: its computer is in trouble.
    Barred,
}

/// Does what there is to be done until dropped, one thing after the other; rests while there is nothing. `wake` says
/// that there may be more.
pub(super) async fn keep_at<T, F: Future<Output = Tried>>(
    wake: &Notify,
    list: impl Fn() -> Vec<T>,
    act: impl Fn(T) -> F,
) {
    let mut delay = FIRST;
    loop {
        let all = list();
        if all.is_empty() {
            wake.notified().await;
            delay = FIRST;
            continue;
        }
        let mut left = None;
        for one in all {
            match act(one).await {
                Tried::Done => {}
                Tried::Failed => left = Some(SLOWEST),
                Tried::Barred => left = left.or(Some(BARRED)),
            }
        }
        if let Some(slowest) = left {
            // A new one is tried soon, whatever the old ones' computers do.
            tokio::select! {
                biased;
                () = tokio::time::sleep(delay.min(slowest)) => delay = (delay * 2).min(slowest),
                () = wake.notified() => delay = FIRST,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often one thing is tried within an hour that always comes to this.
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
