//! The test programs that a build made: where they are, and which tests they have.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use crate::ferry::TEST_FEATURES;
use crate::shell;
use crate::workspace::Workspace;

/// One test program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binary {
    /// The package it belongs to.
    pub(super) package: String,
    /// The name of its target: of the library, the program or the integration test.
    pub(super) name: String,
    /// True for an integration test, which is built apart from what it tests.
    pub(super) is_integration: bool,
    path: PathBuf,
    /// The package's directory, in which tests expect to be started.
    dir: PathBuf,
}

/// Numbers of tests: those that the user asked for, and the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Listed {
    /// Tests whose name contains the filter.
    pub(super) wanted: u64,
    /// The others.
    pub(super) others: u64,
}

/// The outcome of a build.
#[derive(Debug)]
pub(super) struct Built {
    /// False if something does not compile; it has been shown why.
    pub(super) success: bool,
    /// Its time.
    pub(super) took: Duration,
    /// The test programs.
    pub(super) binaries: Vec<Binary>,
}

/// Builds the workspace with all that is tested, in one go: whoever runs a part of it later names the same packages and
/// features, and finds everything built.
pub(super) fn build(workspace: &Workspace) -> Result<Built> {
    let begun = Instant::now();
    let words = ["build", "--workspace", "--all-targets", "--features", TEST_FEATURES];
    let mut command = workspace.cargo(&words);
    let (status, said) = shell::ask(command.arg("--message-format=json-render-diagnostics"))?;
    let messages = said.lines().filter_map(|line| serde_json::from_str(line).ok());
    let binaries = messages.filter_map(|message: Value| Binary::read(workspace, &message)).collect();
    Ok(Built { success: status.success(), took: begun.elapsed(), binaries })
}

impl Binary {
    /// Reads one message of cargo, which is about a test program or about something else.
    fn read(workspace: &Workspace, message: &Value) -> Option<Binary> {
        if message["profile"]["test"] != true {
            return None;
        }
        let dir = PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned();
        let member = workspace.members.iter().find(|member| workspace.root.join(&member.dir) == dir)?;
        Some(Binary {
            package: member.name.clone(),
            name: message["target"]["name"].as_str()?.to_owned(),
            is_integration: message["target"]["kind"][0] == "test",
            path: PathBuf::from(message["executable"].as_str()?),
            dir,
        })
    }

    /// Returns a command that runs it.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.dir).env("NO_COLOR", "1");
        command
    }

    /// Asks it for its tests, in this environment. `None` if it does not tell.
    pub(super) fn list(&self, filter: &str, environment: &[(&str, &str)]) -> Option<Listed> {
        let mut command = self.command();
        let output = command
            .arg("--list")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(Listed::read(&String::from_utf8_lossy(&output.stdout), filter))
    }
}

impl Listed {
    /// Adds up what several programs have.
    pub(super) fn plus(self, other: Listed) -> Listed {
        Listed { wanted: self.wanted + other.wanted, others: self.others + other.others }
    }

    /// Reads `NAME: test`, as libtest and libtest-mimic print it.
    fn read(text: &str, filter: &str) -> Listed {
        let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
        names.fold(Listed::default(), |sum, name| {
            let wanted = u64::from(name.contains(filter));
            sum.plus(Listed { wanted, others: 1 - wanted })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;

    #[test]
    fn names_are_read_and_counted() {
        let text = "a::claim_is_made: test\nb::other: test\n\n2 tests, 0 benchmarks\n";
        assert_eq!(Listed::read(text, "claim"), Listed { wanted: 1, others: 1 });
        assert_eq!(Listed::read("", "claim"), Listed::default());
    }

    #[test]
    fn test_programs_are_told_from_what_else_is_built() {
        let member = Member {
            name: "m".into(),
            dir: "rooms/m".into(),
            dependencies: Vec::new(),
            tests: Vec::new(),
            library: None,
        };
        let workspace = Workspace { root: "/w".into(), target: "/w/target".into(), members: vec![member] };
        let message = |test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": "/w/rooms/m/Cargo.toml",
                "target": {"kind": ["test"], "name": "cells"}, "profile": {"test": test},
                "executable": "/w/target/debug/deps/cells-1",
            })
        };
        let binary = Binary::read(&workspace, &message(true)).unwrap();
        assert_eq!((binary.package.as_str(), binary.name.as_str()), ("m", "cells"));
        assert!(binary.is_integration && binary.dir.ends_with("rooms/m"));
        assert_eq!(Binary::read(&workspace, &message(false)), None);
    }
}
