//! Permission to submit: the gates of computers with their limits, the processes that a scheduler refused for now, and
//! the clusters in use. This room holds state and decisions alone; it asks no host and wakes no process.

mod clusters;
mod gates;
mod holds;
mod trouble;

pub(crate) use clusters::Clusters;
pub(crate) use gates::{Gates, Seen};
pub use holds::Held;
pub(crate) use holds::{Holds, Lane};
pub use trouble::SchedulerTrouble;
