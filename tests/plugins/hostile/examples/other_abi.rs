//! Has another ABI, in its note and in its descriptor, and crashes any host that calls it all the same.

mod raw;

raw::raw_plugin!("other_abi", ferry_plugin_abi::ABI_MAJOR + 1, answer);

fn answer(_: u32, _: &[u8]) -> Result<Vec<u8>, i32> {
    std::process::abort()
}
