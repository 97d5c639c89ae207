//! The socket of a profile's owner: messages, their encoding, both ends, and what each request does.
//!
//! Both ends greet with a [`Hello`]. It holds [`PROTOCOL`], the version of the messages. The client compares it with
//! its own, and refuses to go on with an owner of another version; the server does not compare.

pub(crate) mod client;
pub(crate) mod codec;
pub(crate) mod computer_admin;
pub(crate) mod handlers;
pub(crate) mod launch_many;
pub(crate) mod logins;
mod message;
pub(crate) mod notify;
pub(crate) mod plugin_admin;
pub(crate) mod server;
pub(crate) mod socket;

pub use client::{Answered, ClientError, Connection, call};
pub use message::{Hello, HostAction, LoginState, LoginStep, OwnerStatus, PROTOCOL, Request, Response};

use crate::VERSION;

pub(crate) fn hello(role: &str) -> Hello {
    Hello { protocol: PROTOCOL, version: VERSION.to_owned(), pid: std::process::id(), role: role.to_owned() }
}
