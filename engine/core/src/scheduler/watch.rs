//! How a watch over jobs came to its end.

/// Says why a watch ended, see [`Scheduler::watch`](super::Scheduler::watch). None of it says anything about a job: it
/// is only a reason to look, or not to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEnd {
    /// A job has just told that it is about to end.
    Told,
    /// One of the jobs was over when the watch began.
    Over,
    /// Nothing happened for as long as one watch lasts.
    Expired,
    /// Ends can't be watched there now.
    Unable,
}
