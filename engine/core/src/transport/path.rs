//! Checks of paths, and unique temporary names.

use std::{
    path::Path,
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Error, ErrorKind, Result};

/// Refuses a path that depends on its context, such as a relative one. Every method of a transport begins with it.
///
/// # Errors
/// `InvalidPath`, effect none: empty, relative, or with a NUL byte in it.
///
/// ```
/// use ferry_engine_core::transport::check_path;
/// assert!(check_path("stat", "/scratch/x".as_ref()).is_ok());
/// assert!(check_path("stat", "x".as_ref()).is_err());
/// ```
pub fn check_path(operation: &'static str, path: &Path) -> Result<()> {
    let wrong = if path.as_os_str().is_empty() {
        "the path is empty"
    } else if !path.is_absolute() {
        "the path is not absolute"
    } else if path.as_os_str().as_encoded_bytes().contains(&0) {
        "the path holds a NUL byte"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidPath, operation).message(wrong).with("path", format!("{path:?}")))
}

/// Returns a unique name for an unfinished file. It is hidden and short, and never derived from the target's name,
/// which may be as long as a name can be.
pub fn fresh_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    format!(".ferry-{}-{:x}-{}", process::id(), now, COUNT.fetch_add(1, Ordering::Relaxed))
}
