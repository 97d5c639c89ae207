//! The commands: a module a group, each with its words and what they do.

pub(crate) mod cache;
pub(crate) mod calcjob;
pub(crate) mod code;
pub(crate) mod completions;
pub(crate) mod computer;
pub(crate) mod config;
pub(crate) mod daemon;
pub(crate) mod group;
pub(crate) mod launch;
pub(crate) mod limit;
pub(crate) mod node;
pub(crate) mod plugin;
pub(crate) mod process;
pub(crate) mod run;
mod shares;
pub(crate) mod status;
pub(crate) mod storage;
pub(crate) mod submit;
