//! ferry inside another program, and in the foreground (`ferry run`).

pub(crate) mod engine;
pub(crate) mod foreground;
pub(crate) mod running;

pub use engine::{Blocking, Engine, Handle};
pub use foreground::{RunEnd, RunError, RunEvent, attach, run_tree};
