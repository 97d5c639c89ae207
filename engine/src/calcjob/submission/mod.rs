//! A job and its scheduler: the submission, its refusals and recoveries, and its cancellation.

pub(crate) mod cancel;
pub(crate) mod refused;
pub(crate) mod resubmit;
pub(crate) mod share;
pub(crate) mod submit;
pub(crate) mod submit_batch;
