//! A command for the remote side, and its result.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use super::quote_os;

/// A command: argv, never a line; quoted in one place when a shell is in between.
#[derive(Debug, Clone)]
pub struct Command {
    /// Program and arguments: bytes, as file names are.
    pub argv: Vec<OsString>,
    /// Working directory; `None`: the login's default.
    pub cwd: Option<PathBuf>,
    /// Variables set on top of the login's environment.
    pub env: BTreeMap<String, String>,
    /// Standard input; empty: end of file at once.
    pub stdin: Vec<u8>,
    /// The most time that it may take.
    pub timeout: Duration,
    /// True to run it without the user's login files, even if the computer's settings ask for them.
    pub no_login_shell: bool,
    /// True if it waits for long, and may do so only where enough sessions are left for everything else.
    pub spare: bool,
}

impl Command {
    /// The most time that a command may take by default.
    pub const TIMEOUT: Duration = Duration::from_secs(60);

    /// Makes a command from its argv.
    pub fn new<S: Into<OsString>>(argv: impl IntoIterator<Item = S>) -> Self {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            cwd: None,
            env: BTreeMap::new(),
            stdin: Vec::new(),
            timeout: Self::TIMEOUT,
            no_login_shell: false,
            spare: false,
        }
    }

    /// Makes a command that runs a script with `sh`, which reads it from its argument.
    pub fn sh(script: impl Into<String>) -> Self {
        Command::new(["sh", "-c", &script.into()])
    }

    /// Sets the working directory.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// Sets the standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets the time-out.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it without the user's login files.
    #[must_use]
    pub fn no_login_shell(mut self) -> Self {
        self.no_login_shell = true;
        self
    }

    /// Marks a command that waits for long. It runs only where enough sessions are left for everything else.
    /// Otherwise it is refused as `Unsupported`, and nothing was run.
    #[must_use]
    pub fn spare(mut self) -> Self {
        self.spare = true;
        self
    }

    /// Returns the line that means this argv to a POSIX shell.
    pub fn line(&self) -> String {
        self.argv.iter().map(|word| quote_os(word)).collect::<Vec<_>>().join(" ")
    }
}

/// The result of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 + number when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Makes a successful output with this text; for parsers' examples.
    pub fn ok(stdout: &str) -> Self {
        Output { status: 0, stdout: stdout.as_bytes().to_vec(), stderr: Vec::new() }
    }

    /// Returns standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns standard error as text, trimmed.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}
