//! The contents of a work directory, planned before anything is sent: so an upload and a dry run agree.

pub(crate) mod code;
pub(crate) mod job_inputs;
pub(crate) mod layout;
pub(crate) mod location;
pub(crate) mod script;
