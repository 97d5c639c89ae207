//! The store of a profile: rows in a database, and the bytes of files in a content-addressed repository.
//!
//! An owner holds a [`Store`]; all others open a [`Reader`]. The embedded implementation is [`SqliteStore`]; the
//! suite in `ferry-conformance` defines what any other must do. One program owns a store at a time ([`Lock`]), and
//! an epoch voids the pending writes of earlier owners.

mod apply;
mod attempts;
mod backup;
mod cache;
mod change;
mod check;
mod check_objects;
pub mod child;
mod cleaning;
mod comments;
mod connections;
pub mod crash;
mod delete;
mod error;
mod group;
mod groups;
mod hosts;
mod info;
mod links;
mod list;
mod lock;
mod maintain;
mod objects;
mod pack;
mod pin;
mod place;
pub mod profile;
mod queues;
mod read;
mod reader;
mod records;
mod schema;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod tickets;
mod transition;
mod tree;
mod writer;

use std::{fmt::Debug, ops::Deref};

use async_trait::async_trait;
use tokio::sync::watch;

pub use attempts::Attempts;
pub use backup::Backup;
pub use cache::CacheEntry;
pub use change::{Caller, Change, FileContent, NewData, NewProcess};
pub use check::Finding;
pub use cleaning::Cleaning;
pub use comments::{Comment, CommentChange};
pub use delete::{Deletion, Follow};
pub use error::{Error, ErrorKind, Result};
pub use groups::GroupChange;
pub use hosts::{BreakerState, Disabled, HostChange, HostRow, clock_words, proof_of};
pub use info::{Count, Info};
pub use links::label_problem;
pub use lock::Lock;
pub use maintain::{Stage, Tidied};
pub use objects::{Content, INLINE_MAX, Objects};
pub use queues::{QueueId, Sharing, queue_of};
pub use read::SqliteReader;
pub use reader::SET_UP;
pub use reader::{NodeFilter, ProcessFilter, Reader, Reads};
pub use records::{
    Child, ComputerRow, GateState, Group, Level, Link, LinkType, Live, LogLine, Node, NodeFile, NodeId,
    NodeKind, Orphan, PluginRow, Process, Ticket,
};
pub use sqlite::SqliteStore;
pub use transition::BY_USER;

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
