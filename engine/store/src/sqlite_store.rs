//! The embedded store: one SQLite file in WAL mode beside a directory of objects.

use std::{ops::Deref, path::Path, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;

#[cfg(feature = "testing")]
use crate::upkeep::check::Finding;
use crate::{
    change::Change,
    database::connections,
    error::{Error, ErrorKind, Result},
    objects::repository::Objects,
    query::Reader,
    records::NodeId,
    sqlite::{group_commit::Committer, reader::SqliteReader, writer::Writer},
    store::Store,
    upkeep::maintain::{Stage, Tidied, Tidying},
};

/// An embedded store opened by its owner. Clones share it.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    reader: Reader,
    /// The same reader, with its concrete type.
    own: SqliteReader,
    committer: Arc<Committer>,
    /// The writing thread; without one, the calling thread commits.
    writer: Option<Writer>,
}

impl SqliteStore {
    /// Opens or creates the store at `path`, and fences off all earlier owners. The caller holds the profile's
    /// [`Lock`](super::Lock).
    ///
    /// # Errors
    /// Fails with `Newer`, `Full`, `ReadOnly` or `Corrupt`.
    pub fn open(path: &Path, objects: Objects) -> Result<SqliteStore> {
        let db = connections::for_writing(path)?;
        let committer = Arc::new(Committer::begin(db, Some(path), objects.clone())?);
        let writer = Some(Writer::start(committer.clone())?);
        let own = SqliteReader::open(path, objects)?;
        Ok(SqliteStore::new(own, committer, writer))
    }

    /// Creates a store in memory that commits on the calling thread; only `objects` is on disk. It is for
    /// simulations, where a second thread would have a clock of its own.
    ///
    /// # Errors
    /// Returns an error of SQLite if memory is short.
    #[cfg(feature = "testing")]
    pub fn inline(objects: Objects) -> Result<SqliteStore> {
        let committer = Committer::begin(connections::in_memory()?, None, objects.clone())?;
        let own = SqliteReader::sharing(committer.shared(), objects);
        Ok(SqliteStore::new(own, Arc::new(committer), None))
    }

    /// Returns the problems that [`SqliteReader::check`] finds.
    ///
    /// # Errors
    /// Fails as that method does.
    #[cfg(feature = "testing")]
    pub fn check(&self, full: bool) -> Result<Vec<Finding>> {
        self.inner.own.check(full)
    }

    fn new(own: SqliteReader, committer: Arc<Committer>, writer: Option<Writer>) -> SqliteStore {
        SqliteStore { inner: Arc::new(Inner { reader: Reader::new(own.clone()), own, committer, writer }) }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, changes: Vec<Change>) -> Result<Vec<NodeId>> {
        match &self.inner.writer {
            Some(writer) => writer.commit(changes).await,
            None => {
                let mut outcomes = self.inner.committer.commit(std::iter::once(changes.as_slice()))?;
                outcomes.pop().unwrap_or_else(|| Ok(Vec::new()))
            }
        }
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.inner.committer.commits()
    }

    async fn maintain(&self, stage: Stage) -> Result<(Tidied, Option<Stage>)> {
        let inner = self.inner.clone();
        let step = move || Tidying { committer: &inner.committer, reader: &inner.own }.step(stage);
        if self.inner.writer.is_none() {
            return step();
        }
        tokio::task::spawn_blocking(step)
            .await
            .map_err(|source| Error::new(ErrorKind::Other, "tidy store").source(source))?
    }

    fn reader(&self) -> &Reader {
        &self.inner.reader
    }
}

impl Deref for SqliteStore {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.inner.reader
    }
}
