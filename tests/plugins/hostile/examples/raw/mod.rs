//! The contract by hand, without the SDK: one descriptor, one note, one function that answers.
//!
//! Included by the examples as a module; [`raw_plugin`] makes a file's exports.

use ferry_plugin_abi as abi;
use ferry_plugin_proto::{Kind, ProcessType};

/// Answers a method: the reply, or a status.
pub type Answer = fn(method: u32, request: &[u8]) -> Result<Vec<u8>, i32>;

/// Makes the exports of a plugin file: its name, the ABI it claims, and its [`Answer`].
macro_rules! raw_plugin {
    ($name:literal, $major:expr, $answer:path) => {
        const FACTS: &[&str] = &[$name, "0.1.0", "none", "unknown", "unknown"];

        #[used]
        #[unsafe(link_section = ".note.ferry")]
        static NOTE: raw::Note<{ ferry_plugin_abi::note_len(FACTS) }> =
            raw::Note(raw::claiming(ferry_plugin_abi::note(FACTS), $major));

        /// The symbol that the host looks for.
        #[unsafe(no_mangle)]
        pub static FERRY_PLUGIN_V1: ferry_plugin_abi::Descriptor = raw::descriptor($name, $major, call);

        unsafe extern "C" fn call(
            method: u32,
            args: *const ferry_plugin_abi::CallArgs,
            out: *mut ferry_plugin_abi::CallOut,
        ) -> i32 {
            // SAFETY: the host passes valid structs for the duration of the call.
            unsafe { raw::dispatch($answer, method, args, out) }
        }
    };
}
pub(crate) use raw_plugin;

/// A note, aligned as ELF wants notes.
#[repr(C, align(4))]
pub struct Note<const N: usize>(pub [u8; N]);

/// Returns the note with another major version.
pub const fn claiming<const N: usize>(mut note: [u8; N], major: u16) -> [u8; N] {
    // 12 bytes of header, 8 of padded vendor name, 8 of magic; then the version.
    let bytes = major.to_le_bytes();
    note[28] = bytes[0];
    note[29] = bytes[1];
    note
}

/// Returns a descriptor that is right except for the major version.
pub const fn descriptor(name: &'static str, major: u16, call: abi::CallFn) -> abi::Descriptor {
    abi::Descriptor {
        magic: abi::MAGIC,
        abi_major: major,
        abi_minor: abi::ABI_MINOR,
        size: size_of::<abi::Descriptor>() as u32,
        flags: abi::FLAG_PANIC_UNWIND,
        codec: abi::CODEC_MESSAGEPACK,
        name: abi::Bytes::new(name.as_bytes()),
        version: abi::Bytes::new(b"0.1.0"),
        sdk: abi::Bytes::new(b"none"),
        rustc: abi::Bytes::new(b"unknown"),
        target: abi::Bytes::new(b"unknown"),
        init,
        call,
        shutdown,
    }
}

/// Answers a call.
///
/// # Safety
/// `args` and `out` must be valid for the duration of the call.
pub unsafe fn dispatch(
    answer: Answer,
    method: u32,
    args: *const abi::CallArgs,
    out: *mut abi::CallOut,
) -> i32 {
    // SAFETY: the caller vouches for both pointers, and for the bytes that `args` borrows.
    let (request, out) = unsafe { ((*args).msg.get(), &mut *out) };
    match answer(method, request) {
        Ok(reply) => {
            out.msg = abi::Buf::from_vec(reply);
            abi::status::OK
        }
        Err(status) => status,
    }
}

/// Makes a process type without ports.
#[allow(dead_code, reason = "not every file that includes this has types")]
pub fn process_type(name: &str, kind: Kind) -> ProcessType {
    ProcessType {
        name: name.to_owned(),
        kind,
        doc: "Not what it seems.".to_owned(),
        inputs: Default::default(),
        outputs: Default::default(),
        exit_codes: Vec::new(),
        aliases: Vec::new(),
        cache_version: 0,
        options: Default::default(),
    }
}

/// Encodes a manifest of these types, for an [`Answer`].
#[allow(dead_code, reason = "not every file that includes this has a manifest")]
pub fn manifest(plugin: &str, types: Vec<ProcessType>) -> Vec<u8> {
    ferry_plugin_proto::encode(&ferry_plugin_proto::Manifest {
        proto: ferry_plugin_proto::PROTO,
        plugin: plugin.to_owned(),
        version: "0.1.0".to_owned(),
        description: "hostile".to_owned(),
        types,
        ..Default::default()
    })
}

unsafe extern "C" fn init(_: *const abi::HostApi) -> i32 {
    abi::status::OK
}

unsafe extern "C" fn shutdown() {}
