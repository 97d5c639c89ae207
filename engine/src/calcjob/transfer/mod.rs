//! Files of a job on their way: to its work directory, back, and aside for later.

pub(crate) mod collect;
pub(crate) mod remote;
pub(crate) mod retrieve;
pub(crate) mod stash;
pub(crate) mod unstash;
pub(crate) mod upload;
