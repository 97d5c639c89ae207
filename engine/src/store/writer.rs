//! One thread owns the writing connection. It takes whatever batches are waiting, gives each a savepoint,
//! commits them with one fsync, and only then answers: a caller that was answered is on disk.

use std::{path::Path, sync::mpsc, thread};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Change, Error, ErrorKind, NodeId, Objects, Result, change, schema};

/// Most batches that share a commit: bounds how long the first of them waits.
const GROUP_MAX: usize = 256;

struct Request {
    changes: Vec<Change>,
    reply: oneshot::Sender<Result<Vec<NodeId>>>,
}

/// The way to the writing thread. Clones share it; it ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    requests: mpsc::Sender<Request>,
}

impl Writer {
    /// Opens the store for writing, brings its format up to date and starts the thread.
    pub(super) fn start(path: &Path, objects: Objects) -> Result<Writer> {
        let mut db = open(path)?;
        schema::migrate(&mut db)?;
        let (requests, inbox) = mpsc::channel();
        thread::Builder::new()
            .name("ferry-store".into())
            .spawn(move || serve(&mut db, &objects, &inbox))
            .map_err(|source| Error::new(ErrorKind::Other, "start store").source(source))?;
        Ok(Writer { requests })
    }

    /// Commits a batch; answers after it is on disk.
    ///
    /// # Cancel safety
    /// A dropped call may still be committed.
    pub(super) async fn commit(&self, changes: Vec<Change>) -> Result<Vec<NodeId>> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::new(ErrorKind::Other, "store").message("the store's thread has ended");
        self.requests.send(Request { changes, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn open(path: &Path) -> Result<Connection> {
    let db = Connection::open(path)?;
    schema::check(&db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "busy_timeout", 5000)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

fn serve(db: &mut Connection, objects: &Objects, inbox: &mpsc::Receiver<Request>) {
    while let Ok(first) = inbox.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = inbox.try_recv()
        {
            group.push(next);
        }
        commit_group(db, objects, group);
    }
}

fn commit_group(db: &mut Connection, objects: &Objects, group: Vec<Request>) {
    match write_group(db, objects, &group) {
        Ok(results) => {
            for (request, result) in group.into_iter().zip(results) {
                // A caller that went away has nothing to be told.
                let _ = request.reply.send(result);
            }
        }
        Err(error) => {
            let text = error.to_string();
            tracing::error!(error = %text, batches = group.len(), "commit failed; nobody was acknowledged");
            for request in group {
                let mut again = Error::new(*error.kind(), "commit").message(text.clone()).later();
                if let Some(help) = error.help_text() {
                    again = again.help(help);
                }
                let _ = request.reply.send(Err(again));
            }
        }
    }
}

/// The outer error means that nothing was committed; an inner one that this batch alone was rolled back.
fn write_group(
    db: &mut Connection,
    objects: &Objects,
    group: &[Request],
) -> Result<Vec<Result<Vec<NodeId>>>> {
    let mut tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut results = Vec::with_capacity(group.len());
    for request in group {
        let savepoint = tx.savepoint()?;
        let result = change::apply(&savepoint, objects, &request.changes);
        match result {
            Ok(made) => {
                savepoint.commit()?;
                results.push(Ok(made));
            }
            // The disk's trouble is everybody's: SQLite may have rolled the transaction back already.
            Err(error)
                if matches!(error.kind(), ErrorKind::Full | ErrorKind::ReadOnly | ErrorKind::Corrupt) =>
            {
                return Err(error);
            }
            Err(error) => {
                drop(savepoint);
                results.push(Err(error));
            }
        }
    }
    tx.commit()?;
    Ok(results)
}
