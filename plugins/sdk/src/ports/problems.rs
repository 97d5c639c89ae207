//! Problems of a set of inputs, collected so that all are reported at once.

use std::fmt;

use ferry_plugin_proto::Problem;

use crate::ports::input::macros::join;

/// Everything that is wrong with a set of inputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem with the value of `port` (dotted when nested). The message says what is wrong, and what
    /// would be right.
    pub fn at(&mut self, port: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { port: port.into(), message: message.into() });
    }

    /// Adds a problem of inputs that do not fit together.
    pub fn together(&mut self, message: impl Into<String>) {
        self.at("", message);
    }

    /// Returns whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the problems one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Adds the problems of a namespace.
    pub(crate) fn nest(&mut self, name: &str, inner: Problems) {
        for Problem { port, message } in inner.0 {
            let port = if port.is_empty() { name.to_owned() } else { join(name, &port) };
            self.at(port, message);
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl fmt::Display for Problems {
    /// Writes all problems in one line: `x: is required; y: 300 does not fit into u8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            match problem.port.as_str() {
                "" => write!(f, "{separator}{}", problem.message)?,
                port => write!(f, "{separator}{port}: {}", problem.message)?,
            }
        }
        Ok(())
    }
}
