//! An empty home directory for what the chores run. Login files of the user's are slow or print, and one that takes a
//! lock leaves it behind when a test kills its shell: every later login shell then waits for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// An empty home, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Home(TempDir);

impl Home {
    /// Makes one in the temporary directory.
    pub(crate) fn new() -> Result<Home> {
        let dir = tempfile::Builder::new().prefix("ferry-user-").tempdir();
        dir.map(Home).context("could not make a temporary directory")
    }

    /// Makes a command start in it. Cargo and rustup keep the directories that they have.
    pub(crate) fn give(&self, command: &mut Command) {
        give(command, self.0.path());
    }
}

/// Makes a command start with this home.
pub(crate) fn give(command: &mut Command, home: &Path) {
    if let Some(own) = std::env::home_dir() {
        for (name, dir) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let dir = std::env::var_os(name).map_or_else(|| own.join(dir), PathBuf::from);
            if dir.is_dir() {
                command.env(name, dir);
            }
        }
    }
    command.env("HOME", home);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_shell_reads_no_file_of_the_user() {
        let home = Home::new().unwrap();
        let mut command = Command::new("bash");
        command.args(["-lc", "ls -A ~"]);
        home.give(&mut command);
        let output = command.output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    }

    #[test]
    fn cargo_is_still_found() {
        let home = Home::new().unwrap();
        let mut command = Command::new("cargo");
        command.arg("--version");
        home.give(&mut command);
        assert!(command.output().unwrap().status.success());
    }
}
