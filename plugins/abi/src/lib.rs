//! The binary contract between ferry and a plugin file, and nothing else: `repr(C)`, no dependencies.
//!
//! A plugin file exports one symbol, [`SYMBOL`], a `static` [`Descriptor`]; the host checks its frozen
//! prefix before it calls anything. Beside it an ELF note ([`note`]) tells the same facts to a reader that
//! must not load the file. Everything that may evolve (process types, inputs, job descriptions) travels as
//! bytes through [`Descriptor::call`] and belongs to `ferry-plugin-proto`, not here.
//!
//! Ownership: [`Bytes`] is borrowed for one call; [`Buf`] is released by its maker, through its own `free`.
//! No panic may leave any of the functions; an unwinding `extern "C"` frame would abort the host.
//!
//! ```
//! use ferry_plugin_abi::{note, note_len, read_note};
//! const FACTS: &[&str] = &["arithmetic", "0.1.0"];
//! const NOTE: [u8; note_len(FACTS)] = note(FACTS);
//! let (major, _minor, facts) = read_note(&NOTE).unwrap();
//! assert_eq!((major, facts), (1, "arithmetic\n0.1.0\n"));
//! ```
#![allow(unsafe_code, reason = "a C boundary: raw pointers are its vocabulary")]

use core::ffi::c_void;

/// First bytes of every descriptor and of every note. The control characters catch text-mode transfers.
pub const MAGIC: [u8; 8] = *b"FERRY\r\x1a\n";
/// Changes when an older host could misread a newer plugin, or the other way round. Must be equal.
pub const ABI_MAJOR: u16 = 1;
/// Grows when fields are added at the end of a struct. Informational.
pub const ABI_MINOR: u16 = 0;
/// Name of the one exported symbol, NUL-terminated for `dlsym`.
pub const SYMBOL: &[u8] = b"FERRY_PLUGIN_V1\0";
/// ELF section of the note.
pub const NOTE_SECTION: &str = ".note.ferry";
/// Vendor name inside the ELF note.
pub const NOTE_NAME: &[u8; 6] = b"ferry\0";

/// The plugin was compiled with `panic = "unwind"`, so its panics can be contained.
pub const FLAG_PANIC_UNWIND: u32 = 1;
/// The plugin is a debug build.
pub const FLAG_DEBUG: u32 = 2;

/// Messages are MessagePack maps by field name.
pub const CODEC_MESSAGEPACK: u32 = 1;

/// The methods of [`Descriptor::call`]. The bodies are in `ferry-plugin-proto`.
pub mod method {
    /// The list of process types, their ports and exit codes.
    pub const MANIFEST: u32 = 0;
    /// One step of a process: `(state, event) -> (state, commands)`.
    pub const STEP: u32 = 1;
    /// A function's body, a calcjob's `prepare` or `parse`: may take long, reads and writes its folders.
    pub const WORK: u32 = 2;
    /// Converts the state of an older version.
    pub const MIGRATE: u32 = 3;
    /// Dry run of a running process against this build.
    pub const CHECK: u32 = 4;
    /// Judges inputs before a process is created.
    pub const VALIDATE: u32 = 5;
    /// Reads a data type from a file.
    pub const READ_DATA: u32 = 6;
}

/// The statuses that [`Descriptor::call`] returns. Any other number means a broken plugin.
pub mod status {
    /// `CallOut::msg` holds the reply.
    pub const OK: i32 = 0;
    /// `CallOut::msg` holds an error text in UTF-8.
    pub const ERROR: i32 = 1;
    /// The plugin panicked; `CallOut::msg` holds the panic's text and place.
    pub const PANIC: i32 = 2;
    /// A null pointer, a short struct or an unreadable request.
    pub const BAD_ARGUMENT: i32 = 3;
    /// A step needs its journal, or nodes it did not get; `CallOut::msg` names them.
    pub const NEED: i32 = 4;
    /// The plugin does not know this method.
    pub const UNKNOWN_METHOD: i32 = 5;
}

/// Borrowed bytes, valid for the duration of one call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    /// First byte; may dangle when `len` is 0.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: usize,
}

// SAFETY: `Bytes` is a plain address and length; whoever reads through it states its own safety.
unsafe impl Sync for Bytes {}
// SAFETY: as above.
unsafe impl Send for Bytes {}

impl Bytes {
    /// Nothing.
    pub const EMPTY: Bytes = Bytes::new(&[]);

    /// Borrows `bytes`.
    pub const fn new(bytes: &[u8]) -> Self {
        Bytes { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// Returns the bytes.
    ///
    /// # Safety
    /// `ptr` and `len` must describe memory that stays readable and unchanged for `'a`.
    pub unsafe fn get<'a>(self) -> &'a [u8] {
        if self.len == 0 || self.ptr.is_null() {
            return &[];
        }
        // SAFETY: the caller vouches for the range; it is not empty and not null.
        unsafe { core::slice::from_raw_parts(self.ptr, self.len) }
    }
}

/// Owned bytes, released only by the side that made them, through `free`.
#[repr(C)]
#[derive(Debug)]
pub struct Buf {
    /// First byte.
    pub ptr: *mut u8,
    /// Number of meaningful bytes.
    pub len: usize,
    /// Number of allocated bytes.
    pub cap: usize,
    /// Releases `(ptr, len, cap)`; `None` when there is nothing to release.
    pub free: Option<unsafe extern "C" fn(*mut u8, usize, usize)>,
}

impl Buf {
    /// Nothing, owning nothing.
    pub const EMPTY: Buf = Buf { ptr: core::ptr::null_mut(), len: 0, cap: 0, free: None };

    /// Takes over a vector.
    pub fn from_vec(bytes: Vec<u8>) -> Buf {
        unsafe extern "C" fn free(ptr: *mut u8, len: usize, cap: usize) {
            // SAFETY: the three values come from the `ManuallyDrop`ped vector below, and `Buf::drop`
            // calls this once.
            drop(unsafe { Vec::from_raw_parts(ptr, len, cap) });
        }
        let mut bytes = core::mem::ManuallyDrop::new(bytes);
        Buf { ptr: bytes.as_mut_ptr(), len: bytes.len(), cap: bytes.capacity(), free: Some(free) }
    }

    /// Returns the bytes.
    ///
    /// # Safety
    /// The buffer must come from the other side of this contract unchanged: `ptr` readable for `len`.
    pub unsafe fn as_slice(&self) -> &[u8] {
        if self.len == 0 || self.ptr.is_null() {
            return &[];
        }
        // SAFETY: the caller vouches for the range; it is not empty and not null.
        unsafe { core::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        if let Some(free) = self.free.take() {
            // SAFETY: `free` belongs to the maker of this very buffer and is taken, so it runs once.
            unsafe { free(self.ptr, self.len, self.cap) }
        }
    }
}

/// The arguments of a call.
#[repr(C)]
#[derive(Debug)]
pub struct CallArgs {
    /// Bytes of this struct on the caller's side.
    pub size: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// Number of this call, for [`HostApi::stop_asked`].
    pub call: u64,
    /// A process's saved state, opaque to the host; empty where the method has none.
    pub state: Bytes,
    /// The request.
    pub msg: Bytes,
}

/// The result of a call. The host passes it in empty.
#[repr(C)]
#[derive(Debug)]
pub struct CallOut {
    /// Bytes of this struct on the caller's side.
    pub size: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// The new saved state, for `STEP` and `MIGRATE`.
    pub state: Buf,
    /// The reply, or the text of an error.
    pub msg: Buf,
}

/// Services that the host lends to a plugin for its whole life. Grows at the end only.
#[repr(C)]
#[derive(Debug)]
pub struct HostApi {
    /// Bytes of this struct on the host's side; a field is there only if it lies inside.
    pub size: u32,
    /// The host's [`ABI_MINOR`].
    pub abi_minor: u16,
    /// Most verbose level worth sending: 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub max_level: u16,
    /// Passed back to every function below.
    pub ctx: *const c_void,
    /// Records a log line. May be called from any thread.
    pub log: unsafe extern "C" fn(ctx: *const c_void, level: u32, target: Bytes, msg: Bytes),
    /// Returns whether the given call should end early: 0 no, 1 yes. Long parsers poll it.
    pub stop_asked: unsafe extern "C" fn(ctx: *const c_void, call: u64) -> u32,
}

// SAFETY: the host builds it once and both functions may be called from any thread.
unsafe impl Sync for HostApi {}
// SAFETY: as above.
unsafe impl Send for HostApi {}

/// Signature of [`Descriptor::init`].
pub type InitFn = unsafe extern "C" fn(host: *const HostApi) -> i32;
/// Signature of [`Descriptor::call`].
pub type CallFn = unsafe extern "C" fn(method: u32, args: *const CallArgs, out: *mut CallOut) -> i32;
/// Signature of [`Descriptor::shutdown`].
pub type ShutdownFn = unsafe extern "C" fn();

/// The exported static. Its first 16 bytes never change, in any version.
#[repr(C)]
#[derive(Debug)]
pub struct Descriptor {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`ABI_MAJOR`] of the plugin.
    pub abi_major: u16,
    /// [`ABI_MINOR`] of the plugin.
    pub abi_minor: u16,
    /// Bytes of this struct in the plugin; the host reads a field only if it lies inside.
    pub size: u32,
    /// `FLAG_*`.
    pub flags: u32,
    /// `CODEC_*`.
    pub codec: u32,
    /// The plugin's name.
    pub name: Bytes,
    /// Its version.
    pub version: Bytes,
    /// Version of the SDK it was built with.
    pub sdk: Bytes,
    /// Its compiler. Shown, never compared.
    pub rustc: Bytes,
    /// The target it was built for.
    pub target: Bytes,
    /// Called once after loading, before any `call`. Returns `status::OK` or refuses.
    pub init: InitFn,
    /// The one way in.
    pub call: CallFn,
    /// Flushes; the library stays mapped.
    pub shutdown: ShutdownFn,
}

// SAFETY: a descriptor is immutable static data; its functions state their own rules.
unsafe impl Sync for Descriptor {}

const NOTE_HEADER: usize = 12 + 8;

/// Returns the length of the ELF note that [`note`] makes of `facts`.
pub const fn note_len(facts: &[&str]) -> usize {
    let mut len = NOTE_HEADER + 12;
    let mut i = 0;
    while i < facts.len() {
        len += facts[i].len() + 1;
        i += 1;
    }
    len.next_multiple_of(4)
}

/// Makes a well-formed ELF note: vendor `ferry`, type 1, and as its description [`MAGIC`], the ABI version
/// and one line per fact. It is made at compile time; put it into [`NOTE_SECTION`].
pub const fn note<const N: usize>(facts: &[&str]) -> [u8; N] {
    let mut out = [0u8; N];
    let mut desc_len = 12;
    let mut i = 0;
    while i < facts.len() {
        desc_len += facts[i].len() + 1;
        i += 1;
    }
    put(&mut out, 0, &(NOTE_NAME.len() as u32).to_le_bytes());
    put(&mut out, 4, &(desc_len as u32).to_le_bytes());
    put(&mut out, 8, &1u32.to_le_bytes());
    put(&mut out, 12, NOTE_NAME);
    put(&mut out, NOTE_HEADER, &MAGIC);
    put(&mut out, NOTE_HEADER + 8, &ABI_MAJOR.to_le_bytes());
    put(&mut out, NOTE_HEADER + 10, &ABI_MINOR.to_le_bytes());
    let mut at = NOTE_HEADER + 12;
    let mut i = 0;
    while i < facts.len() {
        put(&mut out, at, facts[i].as_bytes());
        at += facts[i].len();
        out[at] = b'\n';
        at += 1;
        i += 1;
    }
    out
}

const fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    let mut i = 0;
    while i < bytes.len() {
        out[at + i] = bytes[i];
        i += 1;
    }
}

/// Reads a note back: ABI major, ABI minor, and the facts, a line each. `None` if it is not ours or cut.
pub fn read_note(section: &[u8]) -> Option<(u16, u16, &str)> {
    let word = |at: usize| Some(u32::from_le_bytes(section.get(at..at + 4)?.try_into().ok()?));
    if word(0)? != NOTE_NAME.len() as u32 || section.get(12..18)? != NOTE_NAME {
        return None;
    }
    let desc = section.get(NOTE_HEADER..NOTE_HEADER.checked_add(word(4)? as usize)?)?;
    if desc.get(..8)? != MAGIC {
        return None;
    }
    let half = |at: usize| Some(u16::from_le_bytes(desc.get(at..at + 2)?.try_into().ok()?));
    Some((half(8)?, half(10)?, core::str::from_utf8(desc.get(12..)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frozen_prefix_and_the_layout_stay_where_they_are() {
        assert_eq!(core::mem::offset_of!(Descriptor, abi_major), 8);
        assert_eq!(core::mem::offset_of!(Descriptor, size), 12);
        assert_eq!(core::mem::offset_of!(Descriptor, name), 24);
        assert_eq!(core::mem::offset_of!(Descriptor, init), 104);
        assert_eq!(size_of::<Descriptor>(), 128);
        assert_eq!(size_of::<CallArgs>(), 48);
        assert_eq!(size_of::<CallOut>(), 72);
    }

    #[test]
    fn a_cut_note_is_no_note() {
        const FACTS: &[&str] = &["a", "1"];
        const NOTE: [u8; note_len(FACTS)] = note(FACTS);
        assert!(read_note(&NOTE).is_some());
        assert!((0..NOTE_HEADER + 15).all(|len| read_note(&NOTE[..len]).is_none()));
    }

    #[test]
    fn a_buffer_gives_back_what_it_took() {
        let buf = Buf::from_vec(vec![1, 2, 3]);
        // SAFETY: made one line above by this side.
        assert_eq!(unsafe { buf.as_slice() }, [1, 2, 3]);
    }
}
