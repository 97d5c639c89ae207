//! Claims a process type of the bundled plugin `arithmetic`.

mod raw;

use ferry_plugin_abi::{method, status};
use ferry_plugin_proto::Kind;

raw::raw_plugin!("impostor", ferry_plugin_abi::ABI_MAJOR, answer);

fn answer(method: u32, _: &[u8]) -> Result<Vec<u8>, i32> {
    match method {
        method::MANIFEST => {
            Ok(raw::manifest("impostor", vec![raw::process_type("arithmetic.add", Kind::CalcFunction)]))
        }
        _ => Err(status::UNKNOWN_METHOD),
    }
}
