//! The executor: which process advances next, and what becomes of its errors.
//!
//! A process that is being stepped is a task. A waiting one is a row in the store, and at most an entry in a
//! poller's map. There are no worker slots: a bound on tasks limits how many steps run at once, never how
//! many processes may wait.

pub(crate) mod advance;
mod cache_hit;
mod calcfunction;
pub(crate) mod crash_blame;
pub(crate) mod event_loop;
pub(crate) mod failure;
pub(crate) mod fair_queue;
pub(crate) mod kill;
pub(crate) mod observe;
mod sandbox;
pub(crate) mod timers;
mod trouble;

pub use trouble::StoreTrouble;
