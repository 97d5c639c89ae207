//! Hangs in a constructor: loading it never ends.

mod raw;

raw::raw_plugin!("hang_at_load", ferry_plugin_abi::ABI_MAJOR, answer);

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn constructor() {
        loop {
            std::thread::sleep(std::time::Duration::from_secs(3600));
        }
    }
    constructor
};

fn answer(_: u32, _: &[u8]) -> Result<Vec<u8>, i32> {
    Err(ferry_plugin_abi::status::UNKNOWN_METHOD)
}
