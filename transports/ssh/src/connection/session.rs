//! Sessions on a connection: bounded, never leaked, and as many as the server allows.
//!
//! This module hides the pitfalls of russh's channels. Opening one is not cancel safe, and dropping one leaves it
//! open. A server refuses more than its `MaxSessions`, which it does not announce. Servers free a slot only after
//! the other side's end, so a refusal is first of all a reason to wait.

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ferry_engine_core::{
    back_off::BackOff,
    transport::{Error, ErrorKind, Result},
};
use russh::{
    Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf,
    client::{Handle, Msg},
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep, timeout},
};

use crate::connection::{Connection, client::Client};

/// Most sessions at a time, if the server allows them; OpenSSH's own default is 10.
const MOST: usize = 8;
/// Time for which the server may go on refusing a session.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time for which a slot is awaited while all are in use: commands end in bounded time.
const QUEUE: Duration = Duration::from_secs(60 * 60);
/// Time that the server has to close a session by itself.
const COURTESY: Duration = Duration::from_millis(300);
/// Time that the server has to confirm that it has closed one.
const CLOSING: Duration = Duration::from_secs(30);
/// Time for which a refused opening is repeated before it counts as a limit.
const SOON: Duration = Duration::from_millis(300);
/// The waits between two openings.
const REOPEN: BackOff = BackOff { first: Duration::from_millis(5), longest: SOON };
/// Time for which a learned limit is believed.
const TRUST: Duration = Duration::from_secs(60);
/// Number of sessions that the server must allow at the same time before one of them may be kept for long. The
/// others are for a command and for files.
const WITH_SPARE: usize = 3;

/// The sending half of a channel. It sends end-of-file once, since some servers end the connection at a second one.
pub(crate) struct Outlet {
    half: ChannelWriteHalf<Msg>,
    is_ended: AtomicBool,
}

impl Outlet {
    pub(crate) fn new(half: ChannelWriteHalf<Msg>) -> Self {
        Outlet { half, is_ended: AtomicBool::new(false) }
    }

    /// Sends end-of-file, unless that was done before.
    pub(crate) async fn eof(&self) -> Result<(), russh::Error> {
        if self.is_ended.load(Ordering::Relaxed) {
            return Ok(());
        }
        // If it is cancelled, nothing was sent.
        self.half.eof().await?;
        self.is_ended.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Deref for Outlet {
    type Target = ChannelWriteHalf<Msg>;

    fn deref(&self) -> &Self::Target {
        &self.half
    }
}

/// The number of open sessions, and its limit.
#[derive(Debug)]
pub(crate) struct Slots {
    count: Mutex<Count>,
    freed: Notify,
}

#[derive(Debug)]
struct Count {
    open: usize,
    limit: usize,
    learned: Option<Instant>,
    /// True if the server allows enough of them to keep one for long; `None` until that is known.
    has_spare: Option<bool>,
}

impl Default for Slots {
    fn default() -> Self {
        let count = Count { open: 0, limit: MOST, learned: None, has_spare: None };
        Slots { count: Mutex::new(count), freed: Notify::new() }
    }
}

/// The right to one session. It is dropped when its channel is closed on both sides.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.with(|count| count.open -= 1);
        self.0.freed.notify_one();
    }
}

impl Slots {
    fn with<T>(&self, act: impl FnOnce(&mut Count) -> T) -> T {
        act(&mut self.count.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(self: &Arc<Self>) -> Option<Slot> {
        let is_free = self.with(|count| {
            if count.learned.is_some_and(|learned| learned.elapsed() > TRUST) {
                count.limit = (count.limit + 1).min(MOST);
                count.learned = (count.limit < MOST).then(Instant::now);
            }
            let is_free = count.open < count.limit;
            count.open += usize::from(is_free);
            is_free
        });
        is_free.then(|| Slot(self.clone()))
    }

    /// Records that the server has refused a session while only few were open, so that none can be kept for long.
    fn refused(&self) {
        self.with(|count| {
            if count.open <= WITH_SPARE {
                count.has_spare = Some(false);
            }
        });
    }

    /// Records that the server allows no more sessions than there are now.
    fn learn(&self) {
        self.with(|count| {
            count.limit = count.open.max(1);
            count.learned = Some(Instant::now());
            tracing::debug!(limit = count.limit, "the server allows no more sessions");
        });
    }
}

impl Connection {
    /// Opens a session, waiting for a slot and for the server. `make_room` is called when the server allows too
    /// few; it should give up a session that is only kept for later.
    ///
    /// # Errors
    /// `Unreachable`; `TimedOut` if all sessions stay in use.
    ///
    /// # Cancel safety
    /// A session that is opened after the drop is closed.
    pub(crate) async fn open_session(
        self: &Arc<Self>,
        operation: &'static str,
        make_room: impl Fn(),
    ) -> Result<(Channel<Msg>, Slot)> {
        let mut refused: Option<Instant> = None;
        loop {
            let slot = self.slot(operation, &make_room).await?;
            let error = match self.try_open(slot).await {
                Ok(opened) => return Ok(opened),
                Err(error) => error,
            };
            if !matches!(error, russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)) {
                return Err(self.fault(operation, &error));
            }
            self.slots.refused();
            make_room();
            let since = refused.get_or_insert_with(Instant::now).elapsed();
            if since > SOON {
                self.slots.learn();
            }
            if since > PATIENCE {
                return Err(self.busy(operation));
            }
            self.alive(operation, sleep(REOPEN.wait_by_age(since, 2))).await?;
        }
    }

    /// Returns whether one session may be kept for long, that is, whether the server allows enough others beside
    /// it. The server does not announce that, so that number of sessions is opened once, and closed again.
    ///
    /// # Errors
    /// `Unreachable`.
    pub(crate) async fn has_spare(self: &Arc<Self>, operation: &'static str) -> Result<bool> {
        if let Some(known) = self.slots.with(|count| count.has_spare) {
            return Ok(known);
        }
        let mut opened = Vec::new();
        let is_enough = loop {
            if opened.len() == WITH_SPARE {
                break true;
            }
            // Other sessions are in use: a later call asks again.
            let Some(slot) = self.slots.take() else { break false };
            match self.try_open(slot).await {
                Ok(session) => opened.push(session),
                Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)) => {
                    self.slots.with(|count| count.has_spare = Some(false));
                    break false;
                }
                Err(error) => return Err(self.fault(operation, &error)),
            }
        };
        for (channel, slot) in opened {
            discard(&self.handle, channel).await;
            drop(slot);
        }
        // Another opening may have been refused meanwhile.
        Ok(self.slots.with(|count| {
            if is_enough && count.has_spare.is_none() {
                count.has_spare = Some(true);
            }
            count.has_spare == Some(true)
        }))
    }

    /// Opens a session to be kept for later, where the server allows enough others beside it and none is waited for.
    pub(crate) async fn idle_session(self: &Arc<Self>) -> Option<(Channel<Msg>, Slot)> {
        if !self.has_spare("session").await.ok()? || !self.slots.with(|count| count.open + 2 < count.limit) {
            return None;
        }
        self.try_open(self.slots.take()?).await.ok()
    }

    /// Waits for a free slot.
    async fn slot(&self, operation: &'static str, make_room: &impl Fn()) -> Result<Slot> {
        let deadline = Instant::now() + QUEUE;
        loop {
            let freed = self.slots.freed.notified();
            if let Some(slot) = self.slots.take() {
                return Ok(slot);
            }
            make_room();
            // Only for a short time: room may be made without a notification.
            let _ = self.alive(operation, timeout(SOON, freed)).await?;
            if Instant::now() > deadline {
                return Err(self.busy(operation));
            }
        }
    }

    /// Closes a channel, and waits until the server has closed it too.
    ///
    /// The server gets the chance to close it first, after the end of its program. For a channel that we close
    /// first, russh (0.65.1) never reports the end, and keeps a little memory. Where children hold the streams
    /// open, we must close it. The server answers in order, so its answer to a later ping confirms the close.
    pub(crate) async fn close_channel(&self, mut read: ChannelReadHalf, write: Outlet) {
        let _ = write.eof().await;
        let closed = async { while !matches!(read.wait().await, Some(ChannelMsg::Close) | None) {} };
        if timeout(COURTESY, closed).await.is_err() {
            // A connection that is over has closed it.
            let _ = write.close().await;
            let _ = timeout(CLOSING, self.handle.send_ping()).await;
        }
    }

    fn busy(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::TimedOut, operation)
            .message(format!("the server opened no session within {PATIENCE:?}"))
            .with("host", self.endpoint.address())
            .help("its `MaxSessions` is low, or commands hang there")
            .later()
    }

    /// Opens a channel in a task of its own, which closes it if the caller has gone.
    async fn try_open(self: &Arc<Self>, slot: Slot) -> Result<(Channel<Msg>, Slot), russh::Error> {
        let (sender, receiver) = oneshot::channel();
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let opened = handle.channel_open_session().await.map(|channel| (channel, slot));
            if let Err(Ok((channel, _slot))) = sender.send(opened) {
                discard(&handle, channel).await;
            }
        });
        tokio::select! {
            opened = receiver => opened.unwrap_or(Err(russh::Error::SendError)),
            // The connection is over: no answer will come.
            () = self.ended() => Err(russh::Error::SendError),
        }
    }
}

/// Closes a channel without a program.
pub(crate) async fn discard(handle: &Handle<Client>, channel: Channel<Msg>) {
    // A connection that is over has closed all channels.
    let _ = channel.close().await;
    let _ = timeout(CLOSING, handle.send_ping()).await;
}
