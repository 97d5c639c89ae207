//! The work of a simulated job: the file `payload` of its work directory, words of `key=value`. `seconds` is its
//! run time, `exit` its exit status, and `value` the number that it writes into `result`. `refuse=1` makes the
//! scheduler refuse it for good, and `rerunnable=1` allows a restart. `ends` is the exit code for the way in which
//! the scheduler ends it.

use std::{path::Path, sync::Arc};

use super::files::Files;

/// The payload of a work directory.
#[derive(Debug, Default)]
pub(super) struct Payload {
    pub(super) seconds: u64,
    pub(super) exit: i32,
    pub(super) value: i64,
    pub(super) is_refused: bool,
    pub(super) is_rerunnable: bool,
    /// The scheduler's word for its end, if the scheduler ends it.
    pub(super) ends: Option<&'static str>,
}

impl Payload {
    /// Reads the payload; a missing number is 0.
    pub(super) fn read(files: &Files, dir: &Path) -> Payload {
        let bytes = files.read(&dir.join("payload")).unwrap_or_else(|_| Arc::from([]));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let number = |key: &str| {
            let word = text.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            word.and_then(|word| word.parse::<i64>().ok()).unwrap_or_default()
        };
        Payload {
            seconds: number("seconds").unsigned_abs(),
            exit: number("exit") as i32,
            value: number("value"),
            is_refused: number("refuse") != 0,
            is_rerunnable: number("rerunnable") != 0,
            ends: match number("ends") {
                110 => Some("OUT_OF_MEMORY"),
                120 => Some("TIMEOUT"),
                140 => Some("NODE_FAIL"),
                142 => Some("PREEMPTED"),
                _ => None,
            },
        }
    }
}
