//! Offers process types under names that would break paths, terminals and commands.

mod raw;

use ferry_plugin_abi::{method, status};
use ferry_plugin_proto::Kind;

raw::raw_plugin!("bad_names", ferry_plugin_abi::ABI_MAJOR, answer);

fn answer(method: u32, _: &[u8]) -> Result<Vec<u8>, i32> {
    let names = ["bad_names.../../etc/passwd", "bad_names.\u{1b}[31mred", "no_dot", "bad_names.a b", ""];
    match method {
        method::MANIFEST => {
            let types = names.iter().map(|name| raw::process_type(name, Kind::CalcJob)).collect();
            Ok(raw::manifest("bad_names", types))
        }
        _ => Err(status::UNKNOWN_METHOD),
    }
}
