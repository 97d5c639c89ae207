//! The safe interval: the least time between two connections of this program to a host.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

type Openings = HashMap<(String, u16, String), Instant>;

/// The last time when each (host, port, user) was dialled, or will be.
static LAST: LazyLock<Mutex<Openings>> = LazyLock::new(Mutex::default);

/// Waits until the host may be dialled: at once the first time, otherwise `interval` after the last opening.
/// Concurrent callers get their turns one interval apart.
pub(crate) async fn wait(host: &str, port: u16, user: &str, interval: Duration) {
    let turn = {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let place = (host.to_owned(), port, user.to_owned());
        let turn = last.get(&place).map_or(now, |last| (*last + interval).max(now));
        last.insert(place, turn);
        turn
    };
    if turn > Instant::now() {
        tracing::debug!(host, "waiting for the safe interval");
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_is_immediate_and_the_others_wait() {
        let start = Instant::now();
        let interval = Duration::from_millis(200);
        wait("pace.test", 22, "ada", interval).await;
        wait("pace.test", 22, "bob", interval).await;
        assert!(start.elapsed() < interval);
        wait("pace.test", 22, "ada", interval).await;
        assert!(start.elapsed() >= interval);
        wait("pace.test", 22, "ada", Duration::ZERO).await;
        assert!(start.elapsed() < 2 * interval);
    }
}
