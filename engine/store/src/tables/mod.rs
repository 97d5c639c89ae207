//! The rules and the SQL of each noun: what its rows mean, how they are read, and how a change writes them.

pub(crate) mod cache;
pub(crate) mod cleaning;
pub(crate) mod comments;
pub(crate) mod computers;
pub(crate) mod delete;
pub(crate) mod groups;
pub(crate) mod hosts;
pub(crate) mod links;
pub(crate) mod lists;
pub(crate) mod nodes;
pub(crate) mod plugins;
pub(crate) mod processes;
pub(crate) mod queues;
pub(crate) mod tickets;
pub(crate) mod tree;
