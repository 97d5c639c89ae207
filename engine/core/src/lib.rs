//! The traits that transports and schedulers implement, and all that they share: computers, errors, the clock, and
//! the protocol that submits each job at most once.
//!
//! An author of a transport or a scheduler depends on this crate alone. It names nothing of the engine above it: no
//! store, no plugins.

pub mod back_off;
pub mod clock;
pub mod computer;
pub mod error;
pub mod ids;
pub mod process;
pub mod scheduler;
pub mod transport;

pub use scheduler::Scheduler;
pub use transport::Transport;
