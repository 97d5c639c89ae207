//! Workfunctions: asynchronous functions over nodes, run by deterministic replay.
//!
//! ```text
//! Resumed { children, timer } -> events, in a fixed order
//!    event -> turn: deliver, poll until nothing is woken -> what the code asked for
//!                 `-> journal: time, event, fingerprints     `-> commands, what to wait for
//! ```
//!
//! The journal is the only state; a live future is a cache of it. [`step`] continues a live future
//! if its position is the end of the journal that the engine sends, and replays the journal otherwise. The code's
//! requests during a replay are compared with the journal, and not carried out. So a restart, an eviction, a panic
//! and a step whose commit failed all cost a replay, and nothing else.
//!
//! Values of large outputs are left out of the journal. A replay gets them by waiting for processes that have ended.
//!
//! **Invariant:** a future is woken by what the engine delivers and by nothing else. Whatever else wakes it, or differs
//! in a replay, excepts the process by name.
//!
//! - [`journal`]: the stored format.
//! - [`core`]: operations, numbered when they are made, and the requests of a turn.
//! - [`live`]: a future and its turns; wakes from elsewhere.
//! - [`cache`]: live futures between steps.
//! - [`step`]: from a request of the engine to the reply.
//! - [`cx`], [`called`], [`combine`]: the author's interface.

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

pub use called::Called;
pub use combine::{Either, First, Join, JoinAll, Joined, first, join, join_all};
pub use cx::{FlowCx, Sleep};
pub use function::{IsCx, NodesOut, ReturnedNodes, WorkFunction};
pub(crate) use step::forget;
