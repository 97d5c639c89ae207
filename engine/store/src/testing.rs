//! A store that fails on purpose, for simulations.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    change::Change,
    error::{Error, ErrorKind, Result},
    query::Reader,
    records::NodeId,
    store::Store,
    upkeep::maintain::{Stage, Tidied},
};

/// The fault of one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No fault.
    None,
    /// The commit fails with this kind, and nothing is kept.
    Fail(ErrorKind),
    /// The program dies before the commit: nothing is kept, and the caller never gets an answer.
    DieBefore,
    /// The program dies after the commit: all is kept, and the caller never gets an answer.
    DieAfter,
}

type Plan = dyn Fn(u64, &[Change]) -> Fault + Send + Sync;

/// A store that passes commits on to another one, except those that the plan selects.
pub struct Faulty {
    store: Arc<dyn Store>,
    count: AtomicU64,
    plan: Box<Plan>,
}

impl Faulty {
    /// Creates a store that asks `plan` before each commit, with its number (from 1) and its changes. A caller
    /// whose commit dies waits forever; the driver of the simulation drops it, as a crash would.
    pub fn new(
        store: Arc<dyn Store>,
        plan: impl Fn(u64, &[Change]) -> Fault + Send + Sync + 'static,
    ) -> Faulty {
        Faulty { store, count: AtomicU64::new(0), plan: Box::new(plan) }
    }

    /// Creates a store that fails the commit of this number, and no other.
    pub fn failing(store: Arc<dyn Store>, number: u64, kind: ErrorKind) -> Faulty {
        Faulty::new(store, move |count, _| if count == number { Fault::Fail(kind) } else { Fault::None })
    }

    /// Returns the number of commits that were tried.
    pub fn tried(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty")
            .field("store", &self.store)
            .field("tried", &self.tried())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for Faulty {
    async fn commit(&self, changes: Vec<Change>) -> Result<Vec<NodeId>> {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        match (self.plan)(number, &changes) {
            Fault::None => self.store.commit(changes).await,
            Fault::Fail(kind) => {
                Err(Error::new(kind, "commit").message(format!("{kind}, as planned")).later())
            }
            Fault::DieBefore => std::future::pending().await,
            Fault::DieAfter => {
                self.store.commit(changes).await?;
                std::future::pending().await
            }
        }
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.store.commits()
    }

    async fn maintain(&self, stage: Stage) -> Result<(Tidied, Option<Stage>)> {
        self.store.maintain(stage).await
    }

    fn reader(&self) -> &Reader {
        self.store.reader()
    }
}
