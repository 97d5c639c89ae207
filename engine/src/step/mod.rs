//! Steps, as calcjobs, calcfunctions and workflows share them: their errors, and the outputs of a plugin's answer. A
//! calcfunction is one such step and nothing else.

mod error;
mod outputs;

pub use error::{StepError, StepResult};
pub(crate) use outputs::{Added, Roots, add_outputs, find_type};
