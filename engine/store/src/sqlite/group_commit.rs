//! Group commit: many batches in one transaction, with a savepoint each, and one fsync for all. No success is
//! reported before it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::watch;

use crate::{
    change::Change,
    database::{
        connections::{self, Shared, lock},
        schema,
    },
    error::{Error, ErrorKind, Result},
    objects::repository::Objects,
    records::NodeId,
    sqlite::apply,
};

/// The result of each batch of a group.
pub(crate) type Outcomes = Vec<Result<Vec<NodeId>>>;

/// The single writing connection of an owner.
#[derive(Debug)]
pub(crate) struct Committer {
    db: Shared,
    /// The file, to open the connection again; `None` for a database in memory.
    file: Option<PathBuf>,
    objects: Objects,
    epoch: i64,
    commits: watch::Sender<u64>,
}

impl Committer {
    /// Migrates the store and raises the epoch, so that earlier owners can no longer write.
    pub(crate) fn begin(db: Connection, file: Option<&Path>, objects: Objects) -> Result<Committer> {
        let mut db = db;
        schema::migrate(&mut db)?;
        let epoch = raise_epoch(&mut db)?;
        Ok(Committer {
            db: Shared::new(db.into()),
            file: file.map(Path::to_owned),
            objects,
            epoch,
            commits: watch::Sender::new(0),
        })
    }

    /// Returns the connection, for readers that share it.
    #[cfg(feature = "testing")]
    pub(crate) fn shared(&self) -> Shared {
        self.db.clone()
    }

    /// Returns a counter of the commits.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Commits a group. The outer error means that nothing was kept; an inner one means that this batch alone was
    /// rolled back.
    pub(crate) fn commit<'a>(&self, batches: impl Iterator<Item = &'a [Change]>) -> Result<Outcomes> {
        self.transact(|tx| batches.map(|changes| self.apply(tx, changes)).collect())
    }

    /// Runs `work` in a transaction of its own, under the owner's epoch. After a failure the connection is ready
    /// for the next attempt, as soon as the cause is removed.
    pub(crate) fn transact<T>(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut db = lock(&self.db);
        let done = self.attempt(&mut db, work);
        match &done {
            Ok(_) => self.commits.send_modify(|count| *count += 1),
            Err(error) => self.mend(&mut db, error),
        }
        done
    }

    /// Runs work that can't be part of a transaction.
    pub(crate) fn outside(&self, work: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        let mut db = lock(&self.db);
        self.check_epoch(&db)?;
        let done = work(&db);
        if let Err(error) = &done {
            self.mend(&mut db, error);
        }
        done
    }

    fn attempt<T>(
        &self,
        db: &mut Connection,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.check_epoch(&tx)?;
        let done = work(&mut tx)?;
        crate::crash::point("commit.before");
        tx.commit().map_err(after_commit)?;
        crate::crash::point("commit.after");
        Ok(done)
    }

    fn check_epoch(&self, db: &Connection) -> Result<()> {
        let now: i64 = db.prepare_cached("SELECT epoch FROM owner")?.query_row([], |row| row.get(0))?;
        if now == self.epoch {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Fenced, "commit")
            .message("another owner has taken over the store; this one no longer writes")
            .with("epoch", self.epoch)
            .with("epoch of the store", now)
            .help("end this program: `ferry daemon status` shows who owns the profile"))
    }

    fn apply(&self, tx: &mut Transaction<'_>, changes: &[Change]) -> Result<Result<Vec<NodeId>>> {
        run(tx, "SAVEPOINT batch")?;
        match apply::apply(tx, &self.objects, changes) {
            Ok(made) => {
                run(tx, "RELEASE batch")?;
                Ok(Ok(made))
            }
            // A disk error affects all batches: SQLite may have rolled the transaction back already.
            Err(error)
                if matches!(error.kind(), ErrorKind::Full | ErrorKind::ReadOnly) || tx.is_autocommit() =>
            {
                Err(error)
            }
            Err(error) => {
                // Rolls back, and fails if that fails: a batch kept in part would be worse than a lost group.
                run(tx, "ROLLBACK TO batch")?;
                run(tx, "RELEASE batch")?;
                Ok(Err(error))
            }
        }
    }

    /// Replaces a connection after an error. One that met a disk error may hold a half-written log; a new one
    /// reads it again.
    fn mend(&self, db: &mut Connection, error: &Error) {
        if !db.is_autocommit() {
            let _ = db.execute_batch("ROLLBACK");
        }
        if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Rule | ErrorKind::NotFound) {
            return;
        }
        if let Some(file) = &self.file
            && let Ok(fresh) = connections::for_writing(file)
        {
            *db = fresh;
        }
    }
}

/// Runs an SQL statement that every batch needs, prepared once.
fn run(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute([]).map(drop)
}

/// Converts an error of the commit itself. A sync that failed may have reached the disk all the same; on a full or
/// read-only disk it has not.
fn after_commit(error: rusqlite::Error) -> Error {
    let error = Error::from(error);
    match error.kind() {
        ErrorKind::Full | ErrorKind::ReadOnly => error,
        _ => error.effect_unknown(),
    }
}

fn raise_epoch(db: &mut Connection) -> Result<i64> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let epoch = tx.query_row("UPDATE owner SET epoch = epoch + 1 RETURNING epoch", [], |row| row.get(0))?;
    tx.commit()?;
    Ok(epoch)
}
