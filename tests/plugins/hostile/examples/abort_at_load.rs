//! Aborts in a constructor, before any check of a loaded library can run.

mod raw;

raw::raw_plugin!("abort_at_load", ferry_plugin_abi::ABI_MAJOR, answer);

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn constructor() {
        std::process::abort()
    }
    constructor
};

fn answer(_: u32, _: &[u8]) -> Result<Vec<u8>, i32> {
    Err(ferry_plugin_abi::status::UNKNOWN_METHOD)
}
