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

use super::{Change, Error, ErrorKind, NodeId, Reader, Result, Stage, Store, Tidied};

/// What befalls one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It fails with this kind, and nothing is kept.
    Fail(ErrorKind),
    /// The program dies before it: nothing is kept, and the caller never hears of it again.
    DieBefore,
    /// The program dies after it: all is kept, and the caller never hears of it.
    DieAfter,
}

type Plan = dyn Fn(u64, &[Change]) -> Fault + Send + Sync;

/// Passes commits on to another store, but for those that the plan says.
pub struct Faulty {
    store: Arc<dyn Store>,
    count: AtomicU64,
    plan: Box<Plan>,
}

impl Faulty {
    /// Asks `plan` before each commit, with its number (from 1) and its changes. A caller whose commit dies waits
    /// for ever: whoever drives the simulation drops it, as a crash would.
    pub fn new(
        store: Arc<dyn Store>,
        plan: impl Fn(u64, &[Change]) -> Fault + Send + Sync + 'static,
    ) -> Faulty {
        Faulty { store, count: AtomicU64::new(0), plan: Box::new(plan) }
    }

    /// Fails the commit of this number, and no other.
    pub fn failing(store: Arc<dyn Store>, number: u64, kind: ErrorKind) -> Faulty {
        Faulty::new(store, move |count, _| if count == number { Fault::Fail(kind) } else { Fault::None })
    }

    /// How many commits were tried.
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
