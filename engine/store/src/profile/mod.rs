//! A profile as all programs of ferry share it: its paths, its locks, and the identities of children.

pub mod child;
pub(crate) mod lock;
mod paths;

pub use paths::Paths;
