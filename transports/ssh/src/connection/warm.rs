//! One session that is opened before a command needs it, so that a command takes one round trip instead of two.
//!
//! It is kept only where the server allows enough others beside it, and given up as soon as anybody else needs room.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use russh::{Channel, ChannelMsg, client::Msg};

use crate::connection::{
    Connection,
    session::{Slot, discard},
};

/// An open session that runs nothing yet.
type Session = (Channel<Msg>, Slot);

/// The session that is kept, if any.
#[derive(Default)]
pub(crate) struct Warm(Mutex<State>);

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// True while one is being opened.
    is_opening: bool,
}

impl Warm {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the session, if the server has not closed it meanwhile.
    pub(crate) fn take(&self) -> Option<Session> {
        let mut session = self.with(|state| state.session.take())?;
        is_open(&mut session.0).then_some(session)
    }
}

/// Returns whether a session that runs nothing is still open.
fn is_open(channel: &mut Channel<Msg>) -> bool {
    loop {
        match pin!(channel.wait()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => return true,
            Poll::Ready(None | Some(ChannelMsg::Close | ChannelMsg::Eof)) => return false,
            Poll::Ready(Some(_)) => {}
        }
    }
}

impl Connection {
    /// Opens the next session in the background.
    pub(crate) fn warm_up(self: &Arc<Self>) {
        let is_wanted = self.warm.with(|state| {
            let is_wanted = state.session.is_none() && !state.is_opening;
            state.is_opening |= is_wanted;
            is_wanted
        });
        if is_wanted {
            let connection = self.clone();
            tokio::spawn(async move {
                let session = connection.idle_session().await;
                let unwanted = connection.warm.with(|state| {
                    state.is_opening = false;
                    std::mem::replace(&mut state.session, session)
                });
                connection.give_up(unwanted).await;
            });
        }
    }

    /// Gives the session up: its slot is needed.
    pub(crate) fn cool_down(self: &Arc<Self>) {
        if let Some(session) = self.warm.with(|state| state.session.take()) {
            let connection = self.clone();
            tokio::spawn(async move { connection.give_up(Some(session)).await });
        }
    }

    async fn give_up(&self, session: Option<Session>) {
        if let Some((channel, _slot)) = session {
            discard(&self.handle, channel).await;
        }
    }
}
