//! Reads and commits of the SQLite store. Readers never block the writer, and many batches share one sync.

pub(crate) mod apply;
pub(crate) mod group_commit;
mod place;
pub(crate) mod reader;
pub(crate) mod writer;
