//! The store as a simulated owner meets it: it may fail or be the last thing that the owner does, and all that it
//! takes goes into the trace.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::fate::Fate;
use crate::store::{Change, Error, ErrorKind, NodeId, Reader, Result, Store, testing::Fault};

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
        self.fate.note(format_args!("commit {changes:?}"));
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
            Fault::DieBefore => self.fate.die(&format!("commit, before {changes:?}")).await,
            Fault::DieAfter => {
                let result = self.pass(changes).await;
                self.fate.die(&format!("commit, after it ({})", result.is_ok())).await
            }
        }
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.store.commits()
    }

    fn reader(&self) -> &Reader {
        self.store.reader()
    }
}
