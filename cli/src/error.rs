//! Errors at the edge: what a person reads, and the exit status.

use std::fmt;

use ferry_engine::{rpc::ClientError, store, transport};
use ferry_plugin_proto::Problem;

/// A failed command: exit status 1, or 2 where the words were wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Lines of the message; the first is the headline.
    pub(crate) lines: Vec<String>,
    /// The next step.
    pub(crate) help: Option<String>,
    /// Exit status.
    pub(crate) status: u8,
}

/// A command's result.
pub(crate) type Result<T = (), E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Makes the failure of an operation (exit status 1).
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure { lines: vec![message.into()], help: None, status: 1 }
    }

    /// Makes the failure for wrong arguments (exit status 2).
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure { status: 2, ..Failure::new(message) }
    }

    /// Makes the failure with all problems of a launch (exit status 2).
    pub(crate) fn problems(headline: impl Into<String>, problems: &[Problem]) -> Self {
        let mut failure = Failure::usage(headline);
        failure.lines.extend(problems.iter().map(|problem| match problem.port.as_str() {
            "" => problem.message.clone(),
            port => format!("{port}: {}", problem.message),
        }));
        failure
    }

    /// Adds the next step.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.lines.iter();
        write!(f, "error: {}", lines.next().map_or("", String::as_str))?;
        for line in lines {
            write!(f, "\n  {line}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Failure { help: error.help, ..Failure::new(error.message) }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Failure { help: error.help_text().map(str::to_owned), ..Failure::new(error.to_string()) }
    }
}

impl From<transport::Error> for Failure {
    fn from(error: transport::Error) -> Self {
        Failure { help: error.help_text().map(str::to_owned), ..Failure::new(error.to_string()) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::new(error.to_string())
    }
}
