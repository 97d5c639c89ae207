//! The work that the author's code does on this thread, for the message of a panic.

use std::{cell::RefCell, fmt};

thread_local! {
    /// A description of the work. It is empty if the place of a panic is enough.
    static DOING: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Records the current work, so that a panic's message contains it.
pub(crate) fn doing(what: fmt::Arguments<'_>) {
    DOING.set(format!("{what}: "));
}

/// Forgets the work of an earlier call on this thread.
pub(crate) fn begin() {
    DOING.take();
}

/// Returns the current work, as the beginning of a message. It is empty in a thread that is going away.
pub(crate) fn now_doing() -> String {
    let doing = DOING.try_with(|doing| doing.try_borrow().map(|doing| doing.clone()).unwrap_or_default());
    doing.unwrap_or_default()
}
