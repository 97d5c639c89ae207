//! One open connection: its sessions, its end, and the watch over it.

pub(crate) mod ask;
pub(crate) mod auth;
pub(crate) mod client;
pub(crate) mod keys;
pub(crate) mod open;
pub(crate) mod pace;
pub(crate) mod prompt;
pub(crate) mod proxy;
pub(crate) mod session;
pub(crate) mod warm;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ferry_engine_core::transport::{Error, ErrorKind, Result};
use russh::{Disconnect, client::Handle};
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::{
    connection::{
        client::{Client, Gone, Pulse},
        open::Opened,
        proxy::Cutter,
        session::Slots,
        warm::Warm,
    },
    settings::endpoint::Endpoint,
};

/// Number of unanswered checks after which the peer counts as gone.
const MISSED: u32 = 3;
/// Number of SFTP sessions that may hang in one connection.
const ASIDE: usize = 3;
/// Time that a polite disconnect may take.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// A logged-in connection. Dropping it ends it.
pub(crate) struct Connection {
    pub(crate) endpoint: Endpoint,
    pub(crate) handle: Arc<Handle<Client>>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) warm: Warm,
    gone: Gone,
    line: Arc<Line>,
    watch: AbortHandle,
    /// Number of SFTP sessions in which the server hangs.
    aside: AtomicUsize,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("host", &self.endpoint.name).finish_non_exhaustive()
    }
}

/// The lines that the connection runs through, kept as long as it.
struct Line {
    cutters: Vec<Cutter>,
    _hosts_on_the_way: Vec<Handle<Client>>,
}

impl Connection {
    pub(crate) fn new(endpoint: Endpoint, opened: Opened, keepalive: Duration) -> Arc<Self> {
        let Opened { handle, gone, pulse, cutter, mut through } = opened;
        let (mut cutters, mut handles) = (vec![cutter], Vec::new());
        while let Some(next) = through {
            cutters.push(next.cutter);
            handles.push(next.handle);
            through = next.through;
        }
        let handle = Arc::new(handle);
        let line = Arc::new(Line { cutters, _hosts_on_the_way: handles });
        let watch = tokio::spawn(watch(handle.clone(), gone.clone(), pulse, line.clone(), keepalive));
        tracing::info!(host = %endpoint.name, user = %endpoint.user, "connected");
        let watch = watch.abort_handle();
        Arc::new(Connection {
            endpoint,
            handle,
            slots: Arc::default(),
            warm: Warm::default(),
            gone,
            line,
            watch,
            aside: AtomicUsize::new(0),
        })
    }

    /// Awaits a future as long as the connection lives.
    ///
    /// # Errors
    /// `Unreachable` once the connection is over.
    pub(crate) async fn alive<T>(&self, operation: &'static str, wait: impl Future<Output = T>) -> Result<T> {
        self.check(operation)?;
        tokio::select! {
            done = wait => Ok(done),
            reason = self.gone.wait() => Err(self.lost(operation, &reason)),
        }
    }

    /// Checks that the connection lives.
    ///
    /// # Errors
    /// `Unreachable` if the connection is over.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        match self.gone.reason() {
            Some(reason) => Err(self.lost(operation, &reason)),
            None => Ok(()),
        }
    }

    /// Waits for the connection's end.
    pub(crate) async fn ended(&self) {
        self.gone.wait().await;
    }

    /// Counts an SFTP session in which the server hangs, and which is therefore set aside. The server counts it until
    /// the connection ends. So after a few of them a new connection is better.
    pub(crate) fn set_aside(&self) {
        if self.aside.fetch_add(1, Ordering::Relaxed) + 1 >= ASIDE {
            self.gone.tell("too many requests for files hang in it; a new connection is opened");
            self.line.cut();
        }
    }

    /// Returns the error for a connection that is over.
    pub(crate) fn lost(&self, operation: &'static str, reason: &str) -> Error {
        Error::new(ErrorKind::Unreachable, operation)
            .message(reason)
            .with("host", self.endpoint.address())
            .later()
    }

    /// Returns the error for a failure that russh reports, which is nearly always the connection's end.
    pub(crate) fn fault(&self, operation: &'static str, error: &russh::Error) -> Error {
        match self.gone.reason() {
            Some(reason) => self.lost(operation, &reason),
            None => self.lost(operation, &format!("the connection failed: {error}")),
        }
    }

    /// Disconnects politely and ends it.
    pub(crate) async fn close(&self) {
        self.gone.tell("the transport was closed");
        let bye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        let _ = timeout(GOOD_BYE, bye).await;
        self.cut();
    }

    fn cut(&self) {
        self.watch.abort();
        self.line.cut();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.gone.tell("the transport was closed");
        self.cut();
    }
}

impl Line {
    fn cut(&self) {
        self.cutters.iter().for_each(Cutter::cut);
    }
}

/// Checks at intervals whether the server still answers. If it doesn't, cuts the line, so that no caller waits any
/// longer. russh's own keepalive is not used, since it stops while a write is stuck. On a slow line a ping may
/// wait behind much data, so progress of the data counts as an answer too.
async fn watch(handle: Arc<Handle<Client>>, gone: Gone, pulse: Pulse, line: Arc<Line>, interval: Duration) {
    let patience = interval * MISSED;
    while gone.reason().is_none() {
        sleep(interval).await;
        match timeout(patience, handle.send_ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => gone.tell("the connection was lost"),
            Err(_) if pulse.silence() < patience => {}
            Err(_) => gone.tell(&format!("the server has not answered for {patience:?}")),
        }
    }
    line.cut();
}
