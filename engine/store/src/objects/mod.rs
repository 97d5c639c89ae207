//! The bytes of files, by digest: a repository of plain files, packs of small ones, and the pins that a backup holds.

pub(crate) mod pack;
pub(crate) mod pin;
pub(crate) mod repository;
