//! What every part of ferry knows of a process: the state that it is in.

mod state;

pub use state::State;
