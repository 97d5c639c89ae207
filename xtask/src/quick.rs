//! `cargo xtask quick`: the unit tests of all crates, for the minutes between two edits. It needs no root, starts no
//! services and installs nothing; integration tests, doc tests, conformance suites and the matrix are
//! `cargo xtask test`.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::ferry::TEST_FEATURES;
use crate::flags::QuickFlags;
use crate::shell;
use crate::workspace::Workspace;

/// Runs the chore.
pub(crate) fn run(workspace: &Workspace, flags: &QuickFlags) -> Result<ExitCode> {
    let words = words(shell::has("cargo-nextest"), flags.filter.as_deref());
    let mut command = workspace.cargo(&words);
    println!("$ {}", shell::words(&command));
    let status = command.status().context("could not start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the words for cargo. They name all crates and the features of `cargo xtask test`, so that each chore finds
/// what the other has built.
fn words(has_nextest: bool, filter: Option<&str>) -> Vec<&str> {
    let runner: &[&str] = if has_nextest { &["nextest", "run"] } else { &["test"] };
    let what =
        ["--no-fail-fast", "--workspace", "--lib", "--bins", "--features", TEST_FEATURES].iter().copied();
    let mut words: Vec<_> = runner.iter().copied().chain(what).collect();
    if let Some(filter) = filter {
        words.extend(has_nextest.then_some("--no-tests=warn"));
        words.extend(["--", filter]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_stands_behind_the_runner_s_own_words() {
        assert_eq!(words(true, None)[..3], ["nextest", "run", "--no-fail-fast"]);
        assert!(words(true, Some("claim")).ends_with(&["--no-tests=warn", "--", "claim"]));
        assert!(words(false, Some("claim")).ends_with(&[TEST_FEATURES, "--", "claim"]));
        assert_eq!(words(false, None)[..2], ["test", "--no-fail-fast"]);
    }
}
