//! The executor: which process advances next, and what becomes of its errors.
//!
//! A process that is being stepped is a task. A waiting one is a row in the store, and at most an entry in the core
//! and in a poller's map. There are no worker slots: a bound on tasks limits how many steps run at once, never how
//! many processes may wait.
//!
//! `event_loop` is the loop, `core` decides, `advance` takes one process as far as it goes, and `failure`
//! says what follows from an error.

pub(crate) mod advance;
mod cache_hit;
mod calcfunction;
mod core;
pub(crate) mod crash_blame;
pub(crate) mod event_loop;
pub(crate) mod failure;
pub(crate) mod fair_queue;
pub(crate) mod kill;
mod moment;
pub(crate) mod observe;
mod sandbox;
mod slot;
mod timers;
mod trouble;

pub use trouble::StoreTrouble;
