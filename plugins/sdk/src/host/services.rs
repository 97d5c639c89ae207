//! Services of the host: a log, and a query whether to stop. Without a host (in tests, or in a plugin that is
//! linked in), log lines go to standard error and nothing asks to stop.

use std::{cell::Cell, fmt, sync::OnceLock};

use ferry_plugin_abi::{Bytes, HostApi};

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// Something failed.
    Error = 1,
    /// Something looks wrong.
    Warn = 2,
    /// Worth knowing.
    Info = 3,
    /// For debugging.
    Debug = 4,
    /// Every detail.
    Trace = 5,
}

static HOST: OnceLock<&'static HostApi> = OnceLock::new();

thread_local! {
    /// The call that this thread is working on.
    static CALL: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Remembers the host for the life of the plugin. The first one stays.
pub(crate) fn connect(host: &'static HostApi) {
    HOST.get_or_init(|| host);
}

/// Runs `work` as the host's call number `call`.
pub(crate) fn during<T>(call: u64, work: impl FnOnce() -> T) -> T {
    let before = CALL.replace(Some(call));
    let result = work();
    CALL.set(before);
    result
}

/// Returns whether the host wants this call to end early: the process was killed, or the daemon shuts down.
/// Poll it in long parsers, and return any error when it is true. It is always false in threads that the
/// plugin started.
pub fn stop_asked() -> bool {
    match (HOST.get(), CALL.get()) {
        // SAFETY: the host vouches for its functions and `ctx` for the plugin's whole life.
        (Some(host), Some(call)) => unsafe { (host.stop_asked)(host.ctx, call) != 0 },
        _ => false,
    }
}

/// Sends a line to the host's log; what [`log!`](crate::log!) expands to.
pub fn log(level: Level, target: &str, message: fmt::Arguments<'_>) {
    let Some(host) = HOST.get() else {
        eprintln!("{level:?} {target}: {message}");
        return;
    };
    if level as u32 <= u32::from(host.max_level) {
        let text = message.to_string();
        // SAFETY: the host vouches for its functions; both byte ranges outlive the call.
        unsafe {
            (host.log)(host.ctx, level as u32, Bytes::new(target.as_bytes()), Bytes::new(text.as_bytes()));
        }
    }
}

/// Writes a line to ferry's log, which the person who runs ferry reads: `log!(Warn, "odd header {line}")`.
///
/// For the scientist who owns the process, use [`report!`](crate::report!).
#[macro_export]
macro_rules! log {
    ($level:ident, $($message:tt)+) => {
        $crate::host::log($crate::Level::$level, ::core::module_path!(), ::core::format_args!($($message)+))
    };
}
