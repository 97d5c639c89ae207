//! Lines for a process's report, which its owner reads with `ferry process report`.

use std::cell::RefCell;

use crate::host::{self, Level};

thread_local! {
    /// Lines of the piece of work that runs on this thread; `None` outside of one.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Adds a line to the report of the process that this thread works for; elsewhere the line is logged.
pub fn report(line: String) {
    let left_over = LINES.with_borrow_mut(|lines| match lines {
        Some(lines) => {
            lines.push(line);
            None
        }
        None => Some(line),
    });
    if let Some(line) = left_over {
        host::log(Level::Info, "report", format_args!("{line}"));
    }
}

/// Runs `work` and gives back the lines that it reported.
pub(crate) fn collect<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    LINES.set(Some(Vec::new()));
    let result = work();
    (result, LINES.take().unwrap_or_default())
}

/// Adds a line to the process's report: `report!("restarted from step {step}")`.
#[macro_export]
macro_rules! report {
    ($($message:tt)+) => { $crate::report(::std::format!($($message)+)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_belong_to_the_work_that_reported_them() {
        crate::report!("outside");
        let (sum, lines) = collect(|| {
            crate::report!("step {}", 1);
            2
        });
        assert_eq!((sum, lines), (2, vec!["step 1".to_owned()]));
        assert!(collect(|| ()).1.is_empty());
    }
}
