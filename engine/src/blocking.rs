//! Blocking work: on a thread of its own, or in a simulation on the caller's, where the order of events must not
//! depend on threads.

/// Runs `work` where it may block; returns its result.
///
/// # Errors
/// A panic in it, or the end of the runtime, in words.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    #[cfg(any(test, feature = "testing"))]
    if crate::clock::simulated::is_set() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}
