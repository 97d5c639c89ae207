//! Who waits for the end of which process.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::oneshot;

use crate::store::NodeId;

/// Those who wait in this program. The loop tells them; what it can't see (another program that ended a process
/// between two owners) they find by looking again, slowly.
#[derive(Debug, Default)]
pub(crate) struct Board {
    waiting: Mutex<HashMap<NodeId, Vec<oneshot::Sender<()>>>>,
}

impl Board {
    /// Resolves when the process has ended, or the board is gone.
    pub(super) fn ended(&self, id: NodeId) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let line = waiting.entry(id).or_default();
        line.retain(|other| !other.is_closed());
        line.push(sender);
        receiver
    }

    /// Tells all who wait for this one.
    pub(super) fn tell(&self, id: NodeId) {
        let line = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        for sender in line.unwrap_or_default() {
            // Whoever waited may have gone.
            let _ = sender.send(());
        }
    }
}
