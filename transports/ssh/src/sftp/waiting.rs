//! The unanswered requests of an SFTP session, and the meaning of a long silence.
//!
//! OpenSSH's server answers one request after another. So if it says nothing, the oldest request is the one that it
//! hangs in, on a dead file system for instance, and the others wait behind it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

use super::packet::Reply;

/// Silence after which new requests go to another session.
const SLOW: Duration = Duration::from_secs(10);

/// The unanswered requests.
#[derive(Debug)]
pub(super) struct Waiting(Mutex<State>);

#[derive(Debug)]
struct State {
    /// By id: the oldest comes first.
    requests: BTreeMap<u32, Waiter>,
    /// The time of the last answer.
    heard: Instant,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Its server hangs in a request: it is left to that one.
    Stuck,
    Over,
}

/// A request and its place for the answer.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) reply: oneshot::Sender<Option<Reply>>,
    since: Instant,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The place of a request that was not answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// It is the one that the server hangs in.
    First,
    /// It waits behind another.
    Behind,
}

impl Waiting {
    pub(super) fn new() -> Waiting {
        let state = State { requests: BTreeMap::new(), heard: Instant::now(), phase: Phase::Open };
        Waiting(Mutex::new(state))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a request. A session that is over answers at once, by dropping the sender.
    pub(super) fn add(
        &self,
        id: u32,
        reply: oneshot::Sender<Option<Reply>>,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        self.with(|state| {
            if state.phase != Phase::Over {
                state.requests.insert(id, Waiter { reply, since: Instant::now(), _permit: permit });
            }
        });
    }

    /// Takes the request that an answer is for.
    pub(super) fn take(&self, id: u32) -> Option<Waiter> {
        self.with(|state| {
            state.heard = Instant::now();
            state.requests.remove(&id)
        })
    }

    /// Ends the session: no request is answered any more.
    pub(super) fn end(&self) {
        let left = self.with(|state| {
            if state.phase == Phase::Open {
                state.phase = Phase::Over;
            }
            std::mem::take(&mut state.requests)
        });
        drop(left);
    }

    /// Returns whether new requests may be sent to it: it is not over, and does not hang.
    pub(super) fn is_fit(&self) -> bool {
        self.with(|state| {
            let since = state.requests.first_key_value().map(|(_, first)| first.since.max(state.heard));
            state.phase == Phase::Open && since.is_none_or(|since| since.elapsed() < SLOW)
        })
    }

    /// Returns whether it ended since its server hung.
    pub(super) fn is_stuck(&self) -> bool {
        self.with(|state| state.phase == Phase::Stuck)
    }

    /// Notes that a request was not answered in time.
    pub(super) fn time_out(&self, id: u32) -> Silence {
        self.with(|state| {
            state.phase = Phase::Stuck;
            match state.requests.first_key_value() {
                Some((first, waiter)) if *first != id && !waiter.reply.is_closed() => Silence::Behind,
                Some((first, _)) if *first != id => {
                    // Nobody waits for the first any more, so nobody else ends the session.
                    state.requests.clear();
                    Silence::Behind
                }
                _ => Silence::First,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(waiting: &Waiting, id: u32) -> oneshot::Receiver<Option<Reply>> {
        let (reply, receiver) = oneshot::channel();
        waiting.add(id, reply, None);
        receiver
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_silent_for_long_gets_no_new_requests() {
        let waiting = Waiting::new();
        tokio::time::advance(SLOW * 2).await;
        assert!(waiting.is_fit(), "nobody waits");
        let _first = ask(&waiting, 1);
        let _second = ask(&waiting, 2);
        tokio::time::advance(SLOW / 2).await;
        waiting.take(1);
        tokio::time::advance(SLOW / 2).await;
        assert!(waiting.is_fit(), "it has answered since");
        tokio::time::advance(SLOW / 2).await;
        assert!(!waiting.is_fit());
        waiting.take(2);
        assert!(waiting.is_fit());
    }

    #[tokio::test]
    async fn the_oldest_request_is_the_one_that_hangs() {
        let waiting = Waiting::new();
        let (first, mut second) = (ask(&waiting, 1), ask(&waiting, 2));
        assert_eq!((waiting.time_out(2), waiting.time_out(1)), (Silence::Behind, Silence::First));
        assert!(second.try_recv().is_err() && !second.is_terminated());
        waiting.end();
        assert!(second.await.is_err() && waiting.is_stuck());
        drop(first);
    }

    #[tokio::test]
    async fn one_that_nobody_waits_for_holds_the_others_no_longer() {
        let waiting = Waiting::new();
        drop(ask(&waiting, 1));
        let second = ask(&waiting, 2);
        assert_eq!(waiting.time_out(2), Silence::Behind);
        assert!(second.await.is_err());
    }
}
