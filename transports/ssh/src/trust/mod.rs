//! The identity of a server: its key or certificate, held against the known hosts.

mod command;
pub(crate) mod host_key;
pub(crate) mod known_hosts;
pub(crate) mod random;
