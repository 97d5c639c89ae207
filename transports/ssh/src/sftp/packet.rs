//! The packets of SFTP version 3, written and read. Pure.
//!
//! It follows draft-ietf-secsh-filexfer-02, and for its extensions OpenSSH's PROTOCOL file, version 9.9. Paths and
//! names are bytes.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
    time::{Duration, SystemTime},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ferry_engine_core::transport::{Entry, FileKind, Metadata};

pub(crate) const INIT: u8 = 1;
pub(crate) const OPEN: u8 = 3;
pub(crate) const CLOSE: u8 = 4;
pub(crate) const READ: u8 = 5;
pub(crate) const WRITE: u8 = 6;
pub(crate) const LSTAT: u8 = 7;
pub(crate) const SETSTAT: u8 = 9;
pub(crate) const OPENDIR: u8 = 11;
pub(crate) const READDIR: u8 = 12;
pub(crate) const REMOVE: u8 = 13;
pub(crate) const MKDIR: u8 = 14;
pub(crate) const RMDIR: u8 = 15;
pub(crate) const STAT: u8 = 17;
pub(crate) const RENAME: u8 = 18;
pub(crate) const SYMLINK: u8 = 20;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
pub(crate) const EXTENDED: u8 = 200;
const EXTENDED_REPLY: u8 = 201;

pub(crate) const FLAG_READ: u32 = 1;
pub(crate) const FLAG_NEW: u32 = 0x02 | 0x08 | 0x20;

const WITH_SIZE: u32 = 1;
const WITH_OWNER: u32 = 2;
const WITH_MODE: u32 = 4;
const WITH_TIMES: u32 = 8;
const WITH_EXTENSIONS: u32 = 0x8000_0000;

/// A server's answer.
#[derive(Debug)]
pub(crate) enum Reply {
    Status(Status),
    Handle(Bytes),
    Data(Bytes),
    Names(Vec<Entry>),
    Attributes(Metadata),
    Extended(Bytes),
}

/// A status: 0 is success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: u32,
    pub(crate) message: String,
}

impl Status {
    pub(crate) const OK: u32 = 0;
    pub(crate) const EOF: u32 = 1;
    pub(crate) const NO_SUCH_FILE: u32 = 2;
    pub(crate) const PERMISSION_DENIED: u32 = 3;
    pub(crate) const FAILURE: u32 = 4;
    pub(crate) const BAD_MESSAGE: u32 = 5;
    pub(crate) const UNSUPPORTED: u32 = 8;
}

/// A request that is being built; its id is filled in when it is sent.
#[derive(Debug)]
pub(crate) struct Request(BytesMut);

impl Request {
    /// Begins a request of this kind.
    pub(crate) fn new(kind: u8) -> Self {
        let mut bytes = BytesMut::with_capacity(256);
        bytes.put_u32(0);
        bytes.put_u8(kind);
        bytes.put_u32(0);
        Request(bytes)
    }

    /// Begins one of OpenSSH's extended requests, by its name.
    pub(crate) fn extended(name: &str) -> Self {
        Request::new(EXTENDED).bytes(name.as_bytes())
    }

    pub(crate) fn path(self, path: &Path) -> Self {
        self.bytes(path.as_os_str().as_bytes())
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.put_slice(bytes);
        self
    }

    pub(crate) fn number(mut self, number: u32) -> Self {
        self.0.put_u32(number);
        self
    }

    pub(crate) fn offset(mut self, offset: u64) -> Self {
        self.0.put_u64(offset);
        self
    }

    /// Adds no attributes, or permission bits alone.
    pub(crate) fn mode(self, mode: Option<u32>) -> Self {
        match mode {
            None => self.number(0),
            Some(mode) => self.number(WITH_MODE).number(mode),
        }
    }

    /// Returns the whole packet, with its length and id.
    pub(crate) fn finish(mut self, id: u32) -> Bytes {
        let length = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0[5..9].copy_from_slice(&id.to_be_bytes());
        self.0.freeze()
    }
}

/// Returns the first packet of a session, which has a version in place of an id.
pub(crate) fn hello() -> Bytes {
    Bytes::from_static(&[0, 0, 0, 5, INIT, 0, 0, 0, 3])
}

/// Returns the extensions that a server names in its first packet, behind the version.
pub(crate) fn extensions(mut rest: Bytes) -> Vec<String> {
    let mut names = Vec::new();
    while let (Some(name), Some(_)) = (string(&mut rest), string(&mut rest)) {
        names.push(String::from_utf8_lossy(&name).into_owned());
    }
    names
}

/// Reads an answer behind its id; `None` if it is invalid.
pub(crate) fn reply(kind: u8, mut body: Bytes) -> Option<Reply> {
    match kind {
        STATUS => {
            let code = body.try_get_u32().ok()?;
            let message = string(&mut body).unwrap_or_default();
            Some(Reply::Status(Status { code, message: String::from_utf8_lossy(&message).into_owned() }))
        }
        HANDLE => string(&mut body).map(Reply::Handle),
        DATA => string(&mut body).map(Reply::Data),
        ATTRS => attributes(&mut body).map(Reply::Attributes),
        NAME => names(body).map(Reply::Names),
        EXTENDED_REPLY => Some(Reply::Extended(body)),
        _ => None,
    }
}

/// Reads the entries of a directory, without `.` and `..`. A name that leaves its directory is an attack: then the
/// whole answer is refused.
fn names(mut body: Bytes) -> Option<Vec<Entry>> {
    let count = body.try_get_u32().ok()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let name = string(&mut body)?;
        string(&mut body)?;
        let metadata = attributes(&mut body)?;
        if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
            return None;
        }
        if &name[..] != b"." && &name[..] != b".." {
            entries.push(Entry { name: OsString::from_vec(name.into()), metadata });
        }
    }
    Some(entries)
}

fn attributes(body: &mut Bytes) -> Option<Metadata> {
    let flags = body.try_get_u32().ok()?;
    let has = |flag| flags & flag != 0;
    let size = if has(WITH_SIZE) { body.try_get_u64().ok()? } else { 0 };
    let (uid, gid) =
        if has(WITH_OWNER) { (body.try_get_u32().ok()?, body.try_get_u32().ok()?) } else { (0, 0) };
    let mode = if has(WITH_MODE) { body.try_get_u32().ok()? } else { 0 };
    let modified = if has(WITH_TIMES) {
        body.try_get_u32().ok()?;
        body.try_get_u32().ok()?
    } else {
        0
    };
    if has(WITH_EXTENSIONS) {
        for _ in 0..body.try_get_u32().ok()? {
            string(body)?;
            string(body)?;
        }
    }
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(modified.into());
    Some(Metadata { kind: kind(mode), size, mode: mode & 0o7777, uid, gid, modified })
}

fn kind(mode: u32) -> FileKind {
    match mode & 0o170_000 {
        0o100_000 => FileKind::File,
        0o040_000 => FileKind::Dir,
        0o120_000 => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

/// Reads a length and that many bytes.
pub(crate) fn string(body: &mut Bytes) -> Option<Bytes> {
    let length = body.try_get_u32().ok()? as usize;
    (length <= body.len()).then(|| body.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_reply(name: &[u8]) -> Option<Reply> {
        let mut body = BytesMut::new();
        body.put_u32(1);
        for text in [name, b"ls line"] {
            body.put_u32(text.len() as u32);
            body.put_slice(text);
        }
        body.put_u32(WITH_MODE);
        body.put_u32(0o100_644);
        reply(NAME, body.freeze())
    }

    #[test]
    fn hostile_names_are_refused() {
        for name in [&b"../x"[..], b"a/b", b"", b"/", b"nul\0"] {
            assert!(name_reply(name).is_none(), "{name:?}");
        }
        assert!(matches!(name_reply(b".."), Some(Reply::Names(names)) if names.is_empty()));
        assert!(matches!(name_reply(b"\xff"), Some(Reply::Names(names)) if names.len() == 1));
    }

    #[test]
    fn short_answers_are_no_answers() {
        for kind in [STATUS, HANDLE, DATA, NAME, ATTRS] {
            assert!(reply(kind, Bytes::from_static(&[0, 0, 0])).is_none(), "{kind}");
        }
        assert!(reply(DATA, Bytes::from_static(&[0, 0, 0, 9, 1])).is_none());
    }

    #[test]
    fn a_request_has_length_kind_and_id() {
        let packet = Request::new(STAT).path("/x".as_ref()).finish(7);
        assert_eq!(&packet[..], b"\0\0\0\x0b\x11\0\0\0\x07\0\0\0\x02/x");
    }
}
