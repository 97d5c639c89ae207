//! Processes as every part of ferry knows them: by their state.

mod state;

pub use state::State;
