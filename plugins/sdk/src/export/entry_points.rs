//! The C side of a plugin file: one descriptor, one note, and one funnel that no panic leaves.
#![allow(unsafe_code, reason = "a C boundary: the host's pointers are read and written here, and only here")]

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook},
    ptr::addr_of_mut,
};

use ferry_plugin_abi::{Buf, CallArgs, CallOut, FLAG_DEBUG, FLAG_PANIC_UNWIND, HostApi, status};

use crate::{
    export::plugin::Plugin,
    host::{self, Level},
};

/// The note of a plugin file, aligned as ELF wants notes.
#[derive(Debug)]
#[repr(C, align(4))]
pub struct Note<const N: usize>(pub [u8; N]);

/// Returns the descriptor's flags for a file that is compiled like this.
pub const fn flags(unwinds: bool, debug: bool) -> u32 {
    let unwinds = if unwinds { FLAG_PANIC_UNWIND } else { 0 };
    let debug = if debug { FLAG_DEBUG } else { 0 };
    unwinds | debug
}

thread_local! {
    /// Text and place of this thread's last panic, from the hook to the funnel.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Implements a plugin's `init`: stores the host and reports panics to it.
///
/// # Safety
/// `host` is null, or points to a [`HostApi`] that stays as it is while the file is loaded.
pub unsafe extern "C" fn init(host: *const HostApi) -> i32 {
    if host.is_null() || !host.is_aligned() {
        return status::BAD_ARGUMENT;
    }
    // SAFETY: not null and aligned; every host has the size first.
    if (unsafe { (*host).size } as usize) < size_of::<HostApi>() {
        return status::BAD_ARGUMENT;
    }
    // SAFETY: as large as this side's struct, and the caller vouches for its life.
    let host: &'static HostApi = unsafe { &*host };
    // The hook is the plugin's own: its standard library is a copy that no other plugin and no host shares.
    let connected = catch_unwind(|| {
        host::connect(host);
        set_hook(Box::new(on_panic));
    });
    if connected.is_ok() { status::OK } else { status::ERROR }
}

/// Implements a plugin's `call`.
///
/// # Safety
/// Each pointer is null, or valid for this call: `args` and what it borrows to be read, `out` to be written.
pub unsafe fn call(plugin: &'static Plugin, method: u32, args: *const CallArgs, out: *mut CallOut) -> i32 {
    if args.is_null() || out.is_null() || !args.is_aligned() || !out.is_aligned() {
        return status::BAD_ARGUMENT;
    }
    // SAFETY: not null, aligned; both structs begin with their size.
    let (args_size, out_size) = unsafe { ((*args).size as usize, (*out).size as usize) };
    if args_size < size_of::<CallArgs>() || out_size < size_of::<CallOut>() {
        return status::BAD_ARGUMENT;
    }
    // SAFETY: as large as this side's struct, and valid for the call.
    let args = unsafe { &*args };
    // SAFETY: borrowed for the call, by the host's word.
    let request = unsafe { args.msg.get() };
    let (status, reply) = host::during(args.call, || contained(|| answer(plugin, method, request)));
    // SAFETY: `out` is valid for writing and as large as this side's struct. The host passes it in empty, so
    // nothing is lost by writing over it.
    unsafe { addr_of_mut!((*out).msg).write(Buf::from_vec(reply)) };
    status
}

/// Implements a plugin's `shutdown`: nothing is buffered here.
///
/// # Safety
/// None to keep; the type is the contract's.
pub unsafe extern "C" fn shutdown() {}

fn answer(plugin: &Plugin, method: u32, request: &[u8]) -> (i32, Vec<u8>) {
    match plugin.call(method, request) {
        Ok(reply) => (status::OK, reply),
        Err(failure) => (failure.status, failure.message.into_bytes()),
    }
}

/// Runs `work`; a panic becomes a status and its text. An unwinding `extern "C"` frame would abort the host.
fn contained(work: impl FnOnce() -> (i32, Vec<u8>)) -> (i32, Vec<u8>) {
    LAST_PANIC.take();
    host::begin();
    // The author's code keeps no state between calls that a panic could have left half-done.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(answer) => answer,
        Err(payload) => {
            let text = LAST_PANIC.take().unwrap_or_else(|| text_of(&*payload).to_owned());
            forget_safely(payload);
            (status::PANIC, text.into_bytes())
        }
    }
}

/// Drops a panic's payload, whose own destructor may panic again. What that leaves is leaked.
fn forget_safely(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
    let (doing, text, place) = (host::now_doing(), text_of(info.payload()), place.unwrap_or_default());
    let text = format!("{doing}{text}{place}");
    host::log(Level::Error, "panic", format_args!("{text}"));
    // A thread that is going away has no such slot any more; the log has the text.
    let _ = LAST_PANIC.try_with(|last| last.replace(Some(text)));
}

fn text_of(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without text")
}

/// Makes a plugin file of a plugin's library crate: `export_plugin!(arithmetic);`, alone in the `lib.rs` of a
/// sibling crate of type `cdylib`.
///
/// It offers only that crate's process types. The plugin has the crate's name, or the name given by
/// `export_plugin!(arithmetic, name = "sums")`. Version and description are the sibling's own.
#[macro_export]
macro_rules! export_plugin {
    ($krate:ident) => {
        $crate::export_plugin!($krate, name = ::core::stringify!($krate));
    };
    ($krate:ident, name = $name:expr) => {
        #[allow(unsafe_code, reason = "exports the descriptor of a plugin file")]
        const _: () = {
            // Without this, the linker would leave the library out, and with it all its process types.
            use ::$krate as _;
            use $crate::abi;

            static PLUGIN: $crate::Plugin = $crate::Plugin {
                name: $name,
                krate: ::core::stringify!($krate),
                version: ::core::env!("CARGO_PKG_VERSION"),
                description: ::core::env!("CARGO_PKG_DESCRIPTION"),
            };
            const FACTS: &[&str] =
                &[PLUGIN_NAME, PLUGIN_VERSION, $crate::SDK_VERSION, $crate::RUSTC, $crate::TARGET];
            const PLUGIN_NAME: &str = $name;
            const PLUGIN_VERSION: &str = ::core::env!("CARGO_PKG_VERSION");

            unsafe extern "C" fn call(
                method: u32,
                args: *const abi::CallArgs,
                out: *mut abi::CallOut,
            ) -> i32 {
                // SAFETY: the host's promises about both pointers are passed on unchanged.
                unsafe { $crate::export::call(&PLUGIN, method, args, out) }
            }

            #[unsafe(no_mangle)]
            static FERRY_PLUGIN_V1: abi::Descriptor = abi::Descriptor {
                magic: abi::MAGIC,
                abi_major: abi::ABI_MAJOR,
                abi_minor: abi::ABI_MINOR,
                size: ::core::mem::size_of::<abi::Descriptor>() as u32,
                flags: $crate::export::flags(::core::cfg!(panic = "unwind"), ::core::cfg!(debug_assertions)),
                codec: abi::CODEC_MESSAGEPACK,
                name: abi::Bytes::new(PLUGIN_NAME.as_bytes()),
                version: abi::Bytes::new(PLUGIN_VERSION.as_bytes()),
                sdk: abi::Bytes::new($crate::SDK_VERSION.as_bytes()),
                rustc: abi::Bytes::new($crate::RUSTC.as_bytes()),
                target: abi::Bytes::new($crate::TARGET.as_bytes()),
                init: $crate::export::init,
                call,
                shutdown: $crate::export::shutdown,
            };

            #[used]
            #[unsafe(link_section = ".note.ferry")]
            static NOTE: $crate::export::Note<{ abi::note_len(FACTS) }> =
                $crate::export::Note(abi::note(FACTS));
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_plugin_abi::{Bytes, method};
    use ferry_plugin_proto::{Manifest, Task, Work, encode};

    static PLUGIN: Plugin =
        Plugin { name: "test", krate: "ferry_plugin", version: "1.2.3", description: "for tests" };

    /// Panics on demand.
    #[crate::calcfunction(name = "test.panics")]
    fn panics(how: String) -> i64 {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in the payload's drop");
            }
        }
        match how.as_str() {
            "text" => panic!("no such {how}"),
            _ => std::panic::panic_any(Bomb),
        }
    }

    fn through_c(method: u32, request: &[u8]) -> (i32, Vec<u8>) {
        let args = CallArgs {
            size: size_of::<CallArgs>() as u32,
            reserved: 0,
            call: 7,
            state: Bytes::EMPTY,
            msg: Bytes::new(request),
        };
        let mut out =
            CallOut { size: size_of::<CallOut>() as u32, reserved: 0, state: Buf::EMPTY, msg: Buf::EMPTY };
        // SAFETY: both structs live on this stack and are of full size.
        let status = unsafe { call(&PLUGIN, method, &args, &mut out) };
        // SAFETY: written by `call` one line above.
        (status, unsafe { out.msg.as_slice() }.to_vec())
    }

    fn work(how: &str) -> Vec<u8> {
        let inputs = crate::testing::inputs().with("how", how.to_owned()).into_nodes();
        let task = Task::Call { sandbox: "/nonexistent".into() };
        encode(&Work { process_type: "test.panics".into(), inputs, task })
    }

    #[test]
    fn the_manifest_comes_through_the_funnel() {
        let (status, reply) = through_c(method::MANIFEST, &[]);
        let manifest: Manifest = ferry_plugin_proto::decode(&reply).unwrap();
        assert_eq!((status, &*manifest.plugin, &*manifest.version), (status::OK, "test", "1.2.3"));
        assert!(manifest.types.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn panics_become_a_status_and_a_text() {
        let (status, text) = through_c(method::WORK, &work("text"));
        let text = String::from_utf8(text).unwrap();
        assert!(status == status::PANIC && text.starts_with("no such text"), "{status} {text}");
        assert_eq!(through_c(method::WORK, &work("bomb")).0, status::PANIC);
    }

    #[test]
    fn what_is_not_understood_has_its_own_status() {
        assert_eq!(through_c(999, &[]).0, status::UNKNOWN_METHOD);
        assert_eq!(through_c(method::WORK, &[0xc1]).0, status::BAD_ARGUMENT);
        let other = Work {
            process_type: "test.other".into(),
            inputs: Default::default(),
            task: Task::Call { sandbox: String::new() },
        };
        let (status, text) = through_c(method::WORK, &encode(&other));
        let text = String::from_utf8(text).unwrap();
        assert!(status == status::ERROR && text.contains("no process type `test.other`"), "{text}");
        assert!(text.contains("it has: ") && text.contains("test.panics"), "{text}");
    }

    #[test]
    fn short_structs_and_null_pointers_are_refused() {
        let mut out = CallOut { size: 8, reserved: 0, state: Buf::EMPTY, msg: Buf::EMPTY };
        let args = CallArgs { size: 48, reserved: 0, call: 0, state: Bytes::EMPTY, msg: Bytes::EMPTY };
        // SAFETY: valid pointers or null, which is what is tried here.
        unsafe {
            assert_eq!(call(&PLUGIN, 0, &args, &mut out), status::BAD_ARGUMENT);
            assert_eq!(call(&PLUGIN, 0, std::ptr::null(), &mut out), status::BAD_ARGUMENT);
            assert_eq!(init(std::ptr::null()), status::BAD_ARGUMENT);
        }
    }
}
