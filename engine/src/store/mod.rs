//! Where everything is kept: SQLite for rows, a content-addressed repository for files.
//!
//! One program owns a store at a time ([`Lock`]) and writes through one thread, which commits many batches
//! with one fsync and answers after it. Readers are read-only and never wait for the writer.

mod change;
mod error;
mod lock;
mod objects;
mod read;
mod records;
mod schema;
mod tree;
mod writer;

use std::{path::Path, sync::Arc};

use tokio::sync::watch;

pub use change::{Caller, Change, FileContent, NewData, NewProcess};
pub use error::{Error, ErrorKind, Result};
pub use lock::Lock;
pub use objects::{Content, INLINE_MAX, Objects};
pub(crate) use read::SET_UP;
pub use read::{ProcessFilter, Reader};
pub use records::{
    Child, ComputerRow, GateState, Group, Level, Link, LinkType, Live, LogLine, Node, NodeFile, NodeId,
    NodeKind, Orphan, PluginRow, Process, Ticket,
};

/// A store opened by its owner, for reading and writing. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    reader: Arc<Reader>,
    writer: writer::Writer,
    commits: Arc<watch::Sender<u64>>,
}

impl Store {
    /// Opens, or makes, the store at `path`. The caller holds the profile's [`Lock`].
    ///
    /// # Errors
    /// `Newer`, `Full`, `ReadOnly`, `Corrupt`, `NetworkFileSystem`.
    pub fn open(path: &Path, objects: Objects) -> Result<Store> {
        let writer = writer::Writer::start(path, objects.clone())?;
        Ok(Store {
            reader: Arc::new(Reader::open(path, objects)?),
            writer,
            commits: Arc::new(watch::Sender::new(0)),
        })
    }

    /// Commits a batch of changes; answers after they are on disk. Returns the numbers of new nodes, in order.
    ///
    /// # Errors
    /// Those of each [`Change`], and the disk's. On error nothing of the batch was kept.
    ///
    /// # Cancel safety
    /// A dropped call may still be committed.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<Vec<NodeId>> {
        let made = self.writer.commit(changes).await;
        self.commits.send_modify(|count| *count += 1);
        made
    }

    /// Changes after each commit: a hint for those who wait for a row, who then read it.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }
}

impl std::ops::Deref for Store {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.reader
    }
}
