//! The care of a store as a whole: checks, backups, figures, and the maintenance of its objects.

pub(crate) mod backup;
pub(crate) mod check;
mod check_objects;
pub(crate) mod info;
pub(crate) mod maintain;
