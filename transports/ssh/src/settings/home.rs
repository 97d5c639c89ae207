//! The user's home on this machine, and `~` in front of paths.

use std::{env, path::PathBuf};

/// Returns the home directory; the root where it is not known, so that paths stay absolute.
pub(crate) fn home() -> PathBuf {
    env::home_dir().filter(|home| home.is_absolute()).unwrap_or_else(|| PathBuf::from("/"))
}

/// Expands `~` in front of a path.
pub(crate) fn expand(path: &str) -> PathBuf {
    match path.strip_prefix('~') {
        Some("") => home(),
        Some(rest) if rest.starts_with('/') => home().join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}
