//! The trait of a store as its owner has it: commits, reads and maintenance.

use std::{fmt::Debug, ops::Deref};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    change::Change,
    error::Result,
    query::Reader,
    records::NodeId,
    upkeep::maintain::{Stage, Tidied},
};

/// A store opened by its owner, for reading and writing. Dereferences to its [`Reader`].
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Commits a batch of changes, all or none; returns after they are on disk. Returns the numbers of new nodes,
    /// in order. Batches that are committed at the same time may share a transaction, but never each other's
    /// errors.
    ///
    /// # Errors
    /// Fails as each [`Change`] does; then nothing of the batch was kept. The same holds for a disk error (`Full`,
    /// `ReadOnly`, `Other`), unless the error says that its effect is unknown; then read again before going on.
    /// Fails with `Fenced` if another owner has opened the store since.
    ///
    /// # Cancel safety
    /// A dropped call may still be committed.
    async fn commit(&self, changes: Vec<Change>) -> Result<Vec<NodeId>>;

    /// Returns a counter that changes after each commit. It is a hint to read again a row that is waited for.
    fn commits(&self) -> watch::Receiver<u64>;

    /// Runs one bounded step of maintenance. Returns its results and the next step; begin with [`Stage::FIRST`].
    /// Commits and reads may run meanwhile, and a crash does no harm.
    ///
    /// # Errors
    /// Returns an I/O error, or `Owned` while a backup is being made.
    async fn maintain(&self, stage: Stage) -> Result<(Tidied, Option<Stage>)>;

    /// Returns the reader of the store.
    fn reader(&self) -> &Reader;
}

impl Deref for dyn Store {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        self.reader()
    }
}
