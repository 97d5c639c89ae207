//! The SQLite file itself: its tables and their migrations, and the connections to it.

pub(crate) mod connections;
pub(crate) mod row;
pub(crate) mod schema;
