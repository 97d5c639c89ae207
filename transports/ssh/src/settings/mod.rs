//! The settings of a host: the computer's own over those of the user's OpenSSH.

pub(crate) mod config;
pub(crate) mod endpoint;
pub(crate) mod home;
pub(crate) mod openssh;
pub(crate) mod tokens;
