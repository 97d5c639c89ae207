//! Facts about a transport and about the files that it finds.

use std::{ffi::OsString, time::SystemTime};

/// The optional features of a transport.
#[derive(Debug, Clone, Copy, Default)]
pub struct Capabilities {
    /// True if commands run on this very machine, so that local tools may look at its children and files.
    pub is_local: bool,
    /// True if [`Transport::rename`](super::Transport::rename) refuses an existing target atomically.
    pub atomic_no_replace: bool,
    /// True if names need not be UTF-8.
    pub any_bytes_in_names: bool,
    /// True if files go by commands, which takes longer, since the far side has no protocol for files.
    pub files_by_commands: bool,
}

/// The kind of file that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A pipe, socket or device.
    Other,
}

/// The metadata of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The kind of file.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: u64,
    /// Permission bits, `0o7777` at the most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification, by the remote side's clock.
    pub modified: SystemTime,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name alone.
    pub name: OsString,
    /// Its metadata, without following a link.
    pub metadata: Metadata,
}
