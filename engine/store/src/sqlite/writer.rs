//! The writing thread. It takes all waiting batches, commits them as one group, and only then answers: an
//! acknowledged batch is on disk.

use std::{
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use tokio::sync::oneshot;

use crate::{
    change::Change,
    error::{Error, ErrorKind, Result},
    records::NodeId,
    sqlite::group_commit::Committer,
};
use ferry_engine_core::error::{Effect, Retry};

/// Most batches that share a commit; it bounds the wait of the first one.
const GROUP_MAX: usize = 256;

struct Request {
    changes: Vec<Change>,
    reply: oneshot::Sender<Result<Vec<NodeId>>>,
}

/// The handle of the writing thread. Dropping it waits for queued batches, so that the file is closed after them.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` only while it is being dropped.
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(committer: Arc<Committer>) -> Result<Writer> {
        let (requests, inbox) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("ferry-store".into())
            .spawn(move || serve(&committer, &inbox))
            .map_err(|source| Error::new(ErrorKind::Other, "start store").source(source))?;
        Ok(Writer { requests: Some(requests), thread: Some(thread) })
    }

    /// Commits a batch; returns after it is on disk.
    ///
    /// # Cancel safety
    /// A dropped call may still be committed.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<Vec<NodeId>> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::new(ErrorKind::Other, "store").message("the store's thread has ended");
        let queue = self.requests.as_ref().ok_or_else(gone)?;
        queue.send(Request { changes, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone().effect_unknown())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.requests.take());
        // It has panicked or ended; either way it is over.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(committer: &Committer, inbox: &mpsc::Receiver<Request>) {
    while let Ok(first) = inbox.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = inbox.try_recv()
        {
            group.push(next);
        }
        commit_group(committer, group);
    }
}

fn commit_group(committer: &Committer, group: Vec<Request>) {
    match committer.commit(group.iter().map(|request| request.changes.as_slice())) {
        Ok(outcomes) => {
            for (request, outcome) in group.into_iter().zip(outcomes) {
                // The caller may be gone; then there is nothing to report.
                let _ = request.reply.send(outcome);
            }
        }
        Err(error) => {
            tracing::error!(%error, batches = group.len(), "commit failed; none of its changes were stored");
            for request in group {
                let _ = request.reply.send(Err(for_one_more(&error)));
            }
        }
    }
}

/// Copies the group's error for one of its members.
fn for_one_more(error: &Error) -> Error {
    let mut again = Error::new(*error.kind(), "commit").message(error.to_string());
    if error.retry() == Retry::Later || *error.kind() == ErrorKind::Other {
        again = again.later();
    }
    if error.effect() == Effect::Unknown {
        again = again.effect_unknown();
    }
    match error.help_text() {
        Some(help) => again.help(help),
        None => again,
    }
}
