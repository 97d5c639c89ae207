//! Handlers of a restart workchain, and the order in which they are asked.

use std::{cmp::Reverse, collections::BTreeMap, fmt};

use super::{Override, Restart};
use crate::{error::Result, workflow::workchain::Child};

/// The decision of a handler after it looked at a child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it has no opinion.
    Pass,
    /// Run the child again, unless a later handler decides otherwise.
    Restart,
    /// Run the child again, and ask no other handler.
    RestartNow,
    /// The results are good as they are, also those of a child that failed.
    Done,
}

/// One handler.
pub struct Handler<R: Restart> {
    /// The method's name.
    pub name: &'static str,
    /// Priority. Handlers of a higher priority are asked first.
    pub priority: i32,
    /// Exit statuses that it looks at; empty: every end, also success.
    pub on: &'static [u32],
    /// True if the handler is asked when the input `handler_overrides` does not mention it.
    pub enabled: bool,
    /// The method.
    pub handle: fn(&mut R, &Child<R::Child>) -> Result<Next>,
}

impl<R: Restart> Handler<R> {
    /// Returns whether the handler looks at an end with this exit status.
    pub(super) fn looks_at(&self, status: Option<u32>) -> bool {
        self.on.is_empty() || status.is_some_and(|status| self.on.contains(&status))
    }
}

impl<R: Restart> fmt::Debug for Handler<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler")
            .field("name", &self.name)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

/// Returns the handlers to ask, in order.
pub(super) fn in_order<R: Restart>(overrides: &BTreeMap<String, Override>) -> Vec<Handler<R>> {
    let mut handlers = R::handlers();
    for handler in &mut handlers {
        let said = overrides.get(handler.name).copied().unwrap_or_default();
        handler.enabled = said.enabled.unwrap_or(handler.enabled);
        handler.priority = said.priority.unwrap_or(handler.priority);
    }
    handlers.retain(|handler| handler.enabled);
    // Stable: handlers of the same priority stay in the order of the block.
    handlers.sort_by_key(|handler| Reverse(handler.priority));
    handlers
}
