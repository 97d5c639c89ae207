//! Named places between two durable steps where a test build can be made to die, as by `kill -9`.
//!
//! `FERRY_CRASH_AT=NAME` or `NAME:N` ends the program at the N-th passage (default 1) of that place. Compiled out
//! unless the feature `crash-points` is on, which no release build has.

#[cfg(all(feature = "crash-points", not(debug_assertions)))]
compile_error!("crash points are for test builds: a release build must not be told to die");

/// Names of the places: before the intent, between intent and act, between act and outcome, after the outcome.
pub const POINTS: &[&str] = &[
    "launch.before",
    "launch.after",
    "prepare.worked",
    "prepare.stored",
    "upload.begun",
    "upload.published",
    "upload.stored",
    "submit.intended",
    "submit.sent",
    "submit.stored",
    "observed",
    "update.stored",
    "monitor.judged",
    "monitor.stored",
    "monitor.cancelled",
    "stash.intended",
    "stash.made",
    "stash.published",
    "stash.stored",
    "retrieve.fetched",
    "retrieve.stored",
    "parse.worked",
    "parse.stored",
    "step.worked",
    "step.stored",
    "function.worked",
    "function.stored",
    "kill.cancelled",
    "kill.stored",
    "clean.removed",
    "clean.stored",
    "commit.before",
    "commit.after",
];

/// Dies here if the environment says so.
#[cfg(feature = "crash-points")]
pub fn point(name: &'static str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    static TARGET: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let wish = std::env::var("FERRY_CRASH_AT").ok()?;
        let (name, count) = wish.split_once(':').unwrap_or((&wish, "1"));
        Some((name.to_owned(), count.parse().ok()?))
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);

    debug_assert!(POINTS.contains(&name), "`{name}` is not listed");
    if let Some((target, count)) = &*TARGET
        && target == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        // Like a kill from outside: no destructor runs, no buffer is flushed.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Does nothing, in a build without crash points.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn point(_name: &'static str) {}

/// Removes the setting for a program that takes the place of a dead one: a crash point ends one program only.
#[cfg(feature = "crash-points")]
pub fn only_once(successor: &mut std::process::Command) {
    successor.env_remove("FERRY_CRASH_AT");
}

/// Does nothing, in a build without crash points.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn only_once(_successor: &mut std::process::Command) {}
