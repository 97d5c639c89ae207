//! Plugins: this module checks plugin files, keeps private copies of them, and runs their code in *hosts*. Hosts
//! are children of the daemon, so a plugin can end a host but never the daemon.
//!
//! ```text
//! file --elf::inspect--> Library (private copy, by digest) --probe--> Manifest
//!                           |
//!   Hosts::call(digest) ----+--> Host: `ferry plugin-host COPY` <--frames over a socket pair--> host_main
//! ```
//!
//! Only [`host_main`], in the child, ever loads a plugin file. Other modules decide which plugin offers which
//! process type, and which digest a process is pinned to.

mod data;
mod digest;
pub mod elf;
mod frame;
mod host;
mod library;
mod loaded;
mod manifest;
mod output;
mod pool;
mod probe;
mod serve;
mod signal;

use std::{fmt, io, path::Path};

use ferry_engine_core::error;

pub use digest::Digest;
pub use elf::Facts;
pub use library::{Admitted, Library};
pub use manifest::{check as check_manifest, refused as refused_manifest};
pub use pool::{Hosts, PluginHostSettings, Plugins};
pub use probe::probe;
pub use serve::host_main;
pub use signal::signal_words;

/// The subcommand of the host executable that runs [`host_main`].
pub const HOST_COMMAND: &str = "plugin-host";

/// Kinds of plugin error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another user could change the file.
    Unsafe,
    /// Not an ELF file.
    NotElf,
    /// The file ends before its parts do.
    Truncated,
    /// Built for another kind of machine.
    WrongMachine,
    /// A sound file, but no plugin of ferry.
    NotAPlugin,
    /// Built for another version of the contract with ferry.
    Abi,
    /// Its descriptor is shorter than this version's.
    TooSmall,
    /// Built with `panic = "abort"` where panics must be contained. Hosts take such plugins.
    PanicAbort,
    /// The system could not load it; the text is the loader's.
    Load,
    /// Its own set-up failed.
    InitFailed,
    /// It ended its host: a signal or an exit.
    Crashed,
    /// It did not answer in time.
    TimedOut,
    /// It panicked; its host caught the panic.
    Panicked,
    /// It answered with an error.
    Refused,
    /// Its answer can't be read, or makes no sense.
    BadReply,
    /// The private copy is missing or does not match its digest.
    Changed,
    /// The hosts are being shut down.
    ShutDown,
    /// The system refused a resource that ferry needs.
    Io,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Unsafe => "unsafe file permissions",
            ErrorKind::NotElf => "not an ELF file",
            ErrorKind::Truncated => "truncated file",
            ErrorKind::WrongMachine => "built for another machine",
            ErrorKind::NotAPlugin => "not a ferry plugin",
            ErrorKind::Abi => "built for another version of ferry",
            ErrorKind::TooSmall => "descriptor too small",
            ErrorKind::PanicAbort => "built with panic=abort",
            ErrorKind::Load => "can't be loaded",
            ErrorKind::InitFailed => "set-up failed",
            ErrorKind::Crashed => "crashed",
            ErrorKind::TimedOut => "timed out",
            ErrorKind::Panicked => "panicked",
            ErrorKind::Refused => "refused by the plugin",
            ErrorKind::BadReply => "unreadable reply",
            ErrorKind::Changed => "private copy changed",
            ErrorKind::ShutDown => "shutting down",
            ErrorKind::Io => "input/output error",
        })
    }
}

/// A plugin error.
pub type Error = error::Error<ErrorKind>;
/// A plugin result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Returns the plugin error for an I/O error during `operation` on `path`.
fn io_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::new(ErrorKind::Io, operation).with("path", path.display()).source(source)
}
