//! Workfunctions: asynchronous functions over nodes, run by deterministic replay.
//!
//! ```text
//! Resumed { children, timer } -> events, in a fixed order
//!    event -> turn: deliver, poll until nothing is woken -> what the code asked for
//!                 `-> journal: time, event, fingerprints     `-> commands, what to wait for
//! ```
//!
//! The journal is all the state that there is; a live future is a cache of it. [`step`] takes up a live future
//! where it stands at the journal that the engine sends, and plays the journal again otherwise. What the code asks
//! for while it is played again is compared with the journal and not done.
//!
//! - [`journal`]: the stored format.
//! - [`core`]: operations, numbered when they are made, and what was asked for in a turn.
//! - [`live`]: a future and its turns; wakes from elsewhere.
//! - [`cache`]: live futures between steps.
//! - [`step`]: from a request of the engine to the reply.
//! - [`cx`], [`called`], [`combine`]: what an author writes with.

mod cache;
mod called;
mod combine;
mod core;
mod cx;
mod function;
mod journal;
mod live;
mod step;
#[cfg(test)]
mod tests;

pub use called::{CallFailed, Called};
pub use combine::{Either, First, Join, JoinAll, Joined, first, join, join_all};
pub use cx::{FlowCx, Sleep};
pub use function::{IsCx, NodesOut, ReturnedNodes, WorkFunction};
pub(crate) use function::{spec, step, validate, work};
pub(crate) use step::forget;
