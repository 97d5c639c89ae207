//! A loaded plugin, in its host. Only this module opens a plugin file and calls into it.
#![allow(
    unsafe_code,
    reason = "loading foreign code and calling it through raw pointers is this file's duty"
)]

use std::{ffi::c_void, mem::offset_of, path::Path};

use ferry_plugin_abi::{self as abi, Buf, Bytes, CallArgs, CallOut, Descriptor, HostApi, status};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::{
    ErrorKind,
    frame::{self, Frame},
    serve::Line,
};

/// The reason why a plugin can't be used.
#[derive(Debug)]
pub(super) struct Refusal {
    /// `Load`, `NotAPlugin`, `Abi`, `TooSmall` or `InitFailed`.
    pub(super) kind: ErrorKind,
    /// The reason in words.
    pub(super) text: String,
}

type Result<T> = std::result::Result<T, Refusal>;

/// A plugin that is loaded, checked and set up.
#[derive(Debug)]
pub(super) struct Loaded {
    descriptor: &'static Descriptor,
}

/// A plugin's answer to one request.
#[derive(Debug)]
pub(super) struct Answer {
    /// A status of the contract, or [`frame::BROKEN`].
    pub(super) tag: u32,
    payload: Buf,
}

impl Loaded {
    /// Loads a plugin file for the rest of this process's life. It is never closed, since thread-local storage,
    /// atexit handlers and buffers may point into it. Constructors in the file run here.
    ///
    /// # Errors
    /// A [`Refusal`]. If loading kills the process, there is none.
    pub(super) fn open(path: &Path, line: &'static Line, max_level: u16) -> Result<Self> {
        let descriptor = find_descriptor(path)?;
        check_prefix(descriptor)?;
        check_functions(descriptor)?;
        // SAFETY: `find_descriptor` gave an aligned address in a library that stays mapped; the prefix says
        // that the struct is of our version and at least as long as ours; its function pointers are not
        // null. A plugin that lies all the same ends this host and nothing else.
        let descriptor = unsafe { &*descriptor };
        if descriptor.codec != abi::CODEC_MESSAGEPACK {
            let message =
                format!("the plugin's messages have codec {}, expected MessagePack", descriptor.codec);
            return Err(refusal(ErrorKind::Abi, message));
        }
        let host = Box::leak(Box::new(host_api(line, max_level)));
        // SAFETY: the signature is the contract's; `host` lives as long as the process.
        match unsafe { (descriptor.init)(host) } {
            status::OK => Ok(Loaded { descriptor }),
            code => {
                Err(refusal(ErrorKind::InitFailed, format!("the plugin's set-up failed with code {code}")))
            }
        }
    }

    /// Returns the `FLAG_*` of the plugin.
    pub(super) fn flags(&self) -> u32 {
        self.descriptor.flags
    }

    /// Passes one request to the plugin and waits for its answer.
    pub(super) fn call(&self, request: &Frame) -> Answer {
        let args = CallArgs {
            size: size_of::<CallArgs>() as u32,
            reserved: 0,
            call: request.id,
            state: Bytes::EMPTY,
            msg: Bytes::new(&request.payload),
        };
        let mut out =
            CallOut { size: size_of::<CallOut>() as u32, reserved: 0, state: Buf::EMPTY, msg: Buf::EMPTY };
        // SAFETY: the signature is the contract's; `args` and what it borrows, and `out`, outlive the call.
        let code = unsafe { (self.descriptor.call)(request.tag, &args, &mut out) };
        match code {
            _ if out.msg.len > frame::PAYLOAD_MAX => {
                // Its length is absurd, so its `free` is not called either.
                let len = std::mem::ManuallyDrop::new(out).msg.len;
                Answer::broken(format!("a reply of {len} bytes; at most {} are allowed", frame::PAYLOAD_MAX))
            }
            status::OK..=status::UNKNOWN_METHOD => Answer { tag: code.cast_unsigned(), payload: out.msg },
            _ => Answer::broken(format!("the unknown status {code}")),
        }
    }

    /// Lets the plugin flush its data. It stays loaded.
    pub(super) fn shutdown(&self) {
        // SAFETY: the signature is the contract's, and no call is under way.
        unsafe { (self.descriptor.shutdown)() }
    }
}

impl Answer {
    fn broken(how: String) -> Self {
        Answer { tag: frame::BROKEN, payload: Buf::from_vec(how.into_bytes()) }
    }

    /// Returns the reply, or a text.
    pub(super) fn payload(&self) -> &[u8] {
        // SAFETY: the buffer is as the plugin returned it, and its length was bounded.
        unsafe { self.payload.as_slice() }
    }
}

fn find_descriptor(path: &Path) -> Result<*const Descriptor> {
    // SAFETY: the file's constructors run, which is what this child is for. Everything undefined shows up
    // now, and no other library can take its symbols.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|cause| {
        refusal(ErrorKind::Load, format!("the system can't load it: {}", loader_text(&cause)))
    })?;
    // SAFETY: a symbol is only an address so far; what it points to is checked before it is used.
    let symbol = unsafe { library.get::<*const Descriptor>(abi::SYMBOL) }
        .map_err(|_| refusal(ErrorKind::NotAPlugin, "it exports no descriptor"))?;
    let descriptor: *const Descriptor = *symbol;
    std::mem::forget(library);
    if descriptor.is_null() || !descriptor.is_aligned() {
        return Err(refusal(ErrorKind::NotAPlugin, "its descriptor has an impossible address"));
    }
    Ok(descriptor)
}

/// Returns the loader's own words, such as a version of glibc that is missing.
fn loader_text(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Checks the part that is the same in all versions, before the rest is read.
fn check_prefix(descriptor: *const Descriptor) -> Result<()> {
    // SAFETY: the address is that of a dynamic symbol, and every descriptor begins with these 16 bytes.
    let (magic, major, size) = unsafe {
        (
            (&raw const (*descriptor).magic).read(),
            (&raw const (*descriptor).abi_major).read(),
            (&raw const (*descriptor).size).read(),
        )
    };
    if magic != abi::MAGIC {
        return Err(refusal(ErrorKind::NotAPlugin, "its descriptor does not begin with ferry's magic bytes"));
    }
    if major != abi::ABI_MAJOR {
        let message = format!("built for ABI {major}, this ferry speaks {}", abi::ABI_MAJOR);
        return Err(refusal(ErrorKind::Abi, message));
    }
    let want = size_of::<Descriptor>();
    if (size as usize) < want {
        return Err(refusal(
            ErrorKind::TooSmall,
            format!("its descriptor has {size} bytes, expected {want}"),
        ));
    }
    Ok(())
}

/// Checks for null pointers. A Rust function pointer is never null, so this happens before a reference is made.
fn check_functions(descriptor: *const Descriptor) -> Result<()> {
    let offsets =
        [offset_of!(Descriptor, init), offset_of!(Descriptor, call), offset_of!(Descriptor, shutdown)];
    let is_null = |offset: usize| {
        // SAFETY: `check_prefix` found the struct long enough; the offset is that of a pointer in it.
        let address = unsafe { descriptor.cast::<u8>().add(offset).cast::<usize>().read() };
        address == 0
    };
    if offsets.into_iter().any(is_null) {
        return Err(refusal(ErrorKind::NotAPlugin, "its descriptor lacks a function"));
    }
    Ok(())
}

fn host_api(line: &'static Line, max_level: u16) -> HostApi {
    HostApi {
        size: size_of::<HostApi>() as u32,
        abi_minor: abi::ABI_MINOR,
        max_level,
        ctx: std::ptr::from_ref(line).cast(),
        log: host_log,
        stop_asked: host_stop_asked,
    }
}

unsafe extern "C" fn host_log(ctx: *const c_void, level: u32, target: Bytes, message: Bytes) {
    // SAFETY: `ctx` is the `&'static Line` of `host_api`; the plugin vouches for the bytes during this call.
    let (line, target, message) = unsafe { (&*ctx.cast::<Line>(), target.get(), message.get()) };
    line.log(level, target, message);
}

unsafe extern "C" fn host_stop_asked(ctx: *const c_void, _call: u64) -> u32 {
    // SAFETY: `ctx` is the `&'static Line` of `host_api`.
    let line = unsafe { &*ctx.cast::<Line>() };
    u32::from(line.is_cut())
}

fn refusal(kind: ErrorKind, text: impl Into<String>) -> Refusal {
    Refusal { kind, text: text.into() }
}
