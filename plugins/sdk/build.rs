//! Records the compiler and the target, which a plugin file states about itself. They are information only;
//! nothing compares them.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=FERRY_PLUGIN_RUSTC={}", rustc_version());
    println!("cargo::rustc-env=FERRY_PLUGIN_TARGET={}", env::var("TARGET").unwrap_or_default());
}

/// Returns the output of `rustc -V`; empty if the command fails.
fn rustc_version() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-V").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
