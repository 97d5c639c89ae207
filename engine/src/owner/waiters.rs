//! A register of tasks that wait for the end of a process.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::oneshot;

use crate::store::NodeId;

/// The waiters in this program. The loop notifies them. An end that it can't see, since another program ended the
/// process between two owners, they find by reading the store at intervals.
#[derive(Debug, Default)]
pub(crate) struct Board {
    waiting: Mutex<HashMap<NodeId, Vec<oneshot::Sender<()>>>>,
}

impl Board {
    /// Registers a waiter. The receiver resolves when the process has ended, or the board is dropped.
    pub(crate) fn ended(&self, id: NodeId) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let line = waiting.entry(id).or_default();
        line.retain(|other| !other.is_closed());
        line.push(sender);
        receiver
    }

    /// Notifies all waiters of this process.
    pub(crate) fn tell(&self, id: NodeId) {
        let line = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        for sender in line.unwrap_or_default() {
            // The waiter may be gone.
            let _ = sender.send(());
        }
    }
}
