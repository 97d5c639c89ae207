//! Process types that call no others: calcjobs, calcfunctions and monitors, and how all types are registered.

pub(crate) mod calcfunction;
pub(crate) mod calcjob;
pub(crate) mod command;
pub(crate) mod exit;
pub(crate) mod finished;
pub(crate) mod job;
pub(crate) mod monitor;
pub(crate) mod option;
pub(crate) mod process_type;
pub(crate) mod registry;
