//! The user's home here, and `~` in front of paths.

use std::{env, path::PathBuf};

/// The home directory; the root where nobody knows it, so that paths stay absolute.
pub(crate) fn home() -> PathBuf {
    env::home_dir().filter(|home| home.is_absolute()).unwrap_or_else(|| PathBuf::from("/"))
}

/// A path as a person writes it.
pub(crate) fn expand(path: &str) -> PathBuf {
    match path.strip_prefix('~') {
        Some("") => home(),
        Some(rest) if rest.starts_with('/') => home().join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}
