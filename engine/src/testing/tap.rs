//! The store as a simulated owner meets it: it may fail or be the last thing that the owner does, and all that it
//! takes goes into the trace.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;

use super::fate::Fate;
use crate::store::{Change, Error, ErrorKind, NodeId, Reader, Result, Stage, Store, Tidied, testing::Fault};

/// A store between its owner and fate.
#[derive(Debug)]
pub(super) struct Tap {
    store: Arc<dyn Store>,
    fate: Arc<Fate>,
}

impl Tap {
    pub(super) fn new(store: Arc<dyn Store>, fate: Arc<Fate>) -> Tap {
        Tap { store, fate }
    }

    async fn pass(&self, changes: Vec<Change>) -> Result<Vec<NodeId>> {
        self.fate.note(format_args!("commit {}", Told(&changes)));
        let result = self.store.commit(changes).await;
        if let Err(error) = &result {
            self.fate.note(format_args!("refused: {error}"));
            // Only the store's table of states says this.
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
        match self.fate.commit() {
            Fault::None => self.pass(changes).await,
            Fault::Fail(kind) => {
                self.fate.note(format_args!("commit fails: {kind}"));
                Err(Error::new(kind, "commit").message(format!("{kind}, as planned")).later())
            }
            Fault::DieBefore => self.fate.die(&format!("commit, before {}", Told(&changes))).await,
            Fault::DieAfter => {
                let result = self.pass(changes).await;
                self.fate.die(&format!("commit, after it ({})", result.is_ok())).await
            }
        }
    }

    async fn maintain(&self, stage: Stage) -> Result<(Tidied, Option<Stage>)> {
        self.store.maintain(stage).await
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.store.commits()
    }

    fn reader(&self) -> &Reader {
        self.store.reader()
    }
}

/// Changes as a trace tells them: what a process came to be first, all else after it.
struct Told<'a>(&'a [Change]);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in self.0 {
            if let Change::Update(row) = change {
                let paused = if row.paused { " paused" } else { "" };
                let status = row.status.as_deref().or(row.exit_message.as_deref()).unwrap_or_default();
                write!(f, "[{} v{} {}{paused} `{status}`] ", row.id, row.version, row.state.as_str())?;
            }
        }
        for change in self.0 {
            match change {
                Change::Update(row) => write!(f, "{:?}, ", row.checkpoint)?,
                other => write!(f, "{other:?}, ")?,
            }
        }
        Ok(())
    }
}
