//! Runs the program as its reader would, with the plugin files that lie beside it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{path::Path, process::Command};

/// The packages whose plugin files it needs.
const PLUGINS: [&str; 3] = ["ferry-bundled-arithmetic", "ferry-bundled-shell", "ferry-example-plugin-file"];

/// Builds the plugin files that are not there. `cargo xtask test` has built them with everything else.
fn build_missing(dir: &Path) {
    let file = |package: &str| dir.join(format!("lib{}.so", package.replace('-', "_")));
    let missing = PLUGINS.iter().filter(|package| !file(package).exists());
    for package in missing {
        let built = Command::new(env!("CARGO")).args(["build", "-q", "-p", package]).status().unwrap();
        assert!(built.success(), "{package}");
    }
}

#[test]
fn a_function_a_command_and_a_job_of_a_plugin_give_their_results() {
    let program = Path::new(env!("CARGO_BIN_EXE_ferry-example-embed"));
    let dir = program.parent().unwrap();
    build_missing(dir);
    let home = tempfile::tempdir().unwrap();
    let run = || {
        let mut command = Command::new(program);
        command.arg(home.path()).arg(dir).arg(dir.join("libferry_example_plugin_file.so"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let first = run();
    for line in ["  result = 5\n", "  stdout = three plain words\n", "  words = 3\n"] {
        assert!(first.contains(line), "{first}");
    }
    // The profile is there again for the next run, whose processes follow the earlier ones.
    let again = run();
    assert!(again.contains("  words = 3\n") && !again.contains("process 1:"), "{again}");
}
