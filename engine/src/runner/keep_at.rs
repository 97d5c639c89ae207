//! What has to be done on computers that may not answer now: tried again until it is done, ever more rarely.

use std::time::Duration;

use tokio::sync::Notify;

/// How soon another try follows the first; doubles up to [`SLOWEST`].
const FIRST: Duration = Duration::from_secs(10);
const SLOWEST: Duration = Duration::from_secs(600);

/// Does what there is to be done until dropped, one thing after the other; rests while there is nothing. `act` says
/// whether it is done, and `wake` that there may be more.
pub(super) async fn keep_at<T, F: Future<Output = bool>>(
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
        let mut left = 0;
        for one in all {
            left += usize::from(!act(one).await);
        }
        if left > 0 {
            // A new one is tried soon, whatever the old ones' computers do.
            tokio::select! {
                biased;
                () = tokio::time::sleep(delay) => delay = (delay * 2).min(SLOWEST),
                () = wake.notified() => delay = FIRST,
            }
        }
    }
}
