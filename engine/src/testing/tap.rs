//! The store of a simulated owner. A commit may fail or be the owner's last action, and all commits go into the
//! trace.

use std::{
    fmt, future,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::sleep,
};

use super::fate::Fate;
use crate::store::{Change, Error, ErrorKind, NodeId, Reader, Result, Stage, Store, Tidied, testing::Fault};

/// A store that applies planned faults.
#[derive(Debug)]
pub(super) struct Tap {
    inner: Arc<Inner>,
    /// Commits under way.
    queue: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    fate: Arc<Fate>,
    /// Commits are handled one after the other, in the order of their arrival.
    turn: tokio::sync::Mutex<()>,
}

impl Tap {
    pub(super) fn new(store: Arc<dyn Store>, fate: Arc<Fate>) -> Tap {
        let inner = Inner { store, fate, turn: tokio::sync::Mutex::default() };
        Tap { inner: Arc::new(inner), queue: Mutex::default() }
    }

    /// Drops the commits under way, as the owner died.
    pub(super) fn forget(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Commits as the real writer's queue does: in its turn, after a while, and even if the caller no longer waits
    /// for the answer.
    async fn queue(&self, changes: Vec<Change>) -> Result<Vec<NodeId>> {
        let (answer, answered) = oneshot::channel();
        let inner = self.inner.clone();
        let (before, after) = inner.fate.commit_takes();
        {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            while queue.try_join_next().is_some() {}
            queue.spawn(async move {
                let turn = inner.turn.lock().await;
                sleep(before).await;
                let result = inner.pass(changes).await;
                drop(turn);
                sleep(after).await;
                let _ = answer.send(result);
            });
        }
        match answered.await {
            Ok(result) => result,
            // The owner is dead.
            Err(_) => future::pending().await,
        }
    }
}

impl Inner {
    async fn pass(&self, changes: Vec<Change>) -> Result<Vec<NodeId>> {
        self.fate.note(format_args!("commit {}", Told(&changes)));
        let result = self.store.commit(changes).await;
        if let Err(error) = &result {
            self.fate.note(format_args!("refused: {error}"));
            // Only the store's table of states gives this error.
            if *error.kind() == ErrorKind::Rule && error.to_string().contains("can't become") {
                self.fate.wrong(format!("illegal transition: {error}"));
            }
        }
        result
    }
}

#[async_trait]
impl Store for Tap {
    async fn commit(&self, changes: Vec<Change>) -> Result<Vec<NodeId>> {
        match self.inner.fate.commit() {
            Fault::None => self.queue(changes).await,
            Fault::Fail(kind) => {
                self.inner.fate.note(format_args!("commit fails: {kind}"));
                Err(Error::new(kind, "commit").message(format!("{kind}, as planned")).later())
            }
            Fault::DieBefore => self.inner.fate.die(&format!("commit, before {}", Told(&changes))).await,
            Fault::DieAfter => {
                let _turn = self.inner.turn.lock().await;
                let result = self.inner.pass(changes).await;
                self.inner.fate.die(&format!("commit, after it ({})", result.is_ok())).await
            }
        }
    }

    async fn maintain(&self, stage: Stage) -> Result<(Tidied, Option<Stage>)> {
        self.inner.store.maintain(stage).await
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.inner.store.commits()
    }

    fn reader(&self) -> &Reader {
        self.inner.store.reader()
    }
}

/// Changes in the form for a trace: the new states of processes first, all else after them.
struct Told<'a>(&'a [Change]);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in self.0 {
            if let Change::Update(row) = change {
                let paused = if row.wishes.paused { " paused" } else { "" };
                let status = row.status.as_deref().or(row.end.message.as_deref()).unwrap_or_default();
                write!(f, "[{} v{} {}{paused} `{status}`] ", row.id, row.version, row.state.as_str())?;
            }
        }
        for change in self.0 {
            match change {
                Change::Update(row) => write!(f, "{:?}, ", row.checkpoint())?,
                other => write!(f, "{other:?}, ")?,
            }
        }
        Ok(())
    }
}
