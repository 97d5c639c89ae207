//! The ways in which a watch over jobs ends.

/// The reason why a watch ended, see [`Scheduler::watch`](super::Scheduler::watch). It says nothing about a job's
/// state: it is only a reason to look, or not to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEnd {
    /// A job has just reported that it is about to end.
    Told,
    /// One of the jobs was over when the watch began.
    Over,
    /// Nothing happened until the watch timed out.
    Expired,
    /// Ends can't be watched there now.
    Unable,
}
