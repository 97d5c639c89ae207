//! The failure of a process that was called: which, how it ended, and with which exit code its caller ends.

use std::{error::Error as StdError, fmt};

use ferry_plugin_proto::{Ended, Exit};

/// The failure of a process that was called.
///
/// An author may look at it. Passed on by `?`, it does what AiiDA's workflows do: the caller finishes with
/// the same exit code, which is more useful to a scientist than "a bug". If the process was excepted or
/// killed, there is no exit code. Then the caller is excepted with the reason, because no exit code was
/// declared for this case.
///
/// ```
/// # use ferry_plugin::prelude::*;
/// # #[derive(ExitCodes)] pub enum RootExit { #[exit(400, "it is negative")] Negative }
/// /// The whole root of a number.
/// #[calcfunction(name = "doc.root", exit = RootExit)]
/// pub fn root(x: i64) -> Result<i64> {
///     if x < 0 { Err(RootExit::Negative)? }
///     Ok(x.isqrt())
/// }
///
/// /// The root of `x`, or of `other` where `x` has none.
/// #[workfunction(name = "doc.root_or")]
/// pub async fn root_or(cx: Cx, x: Node<i64>, other: Node<i64>) -> Result<Node<i64>> {
///     match cx.call(root::with(&x)).await {
///         Err(failed) if failed.exit_status() == Some(400) => Ok(cx.call(root::with(&other)).await?),
///         result => Ok(result?),
///     }
/// }
/// assert_eq!(testing::call(root_or::with(-1, 9)).value::<i64>(), Ok(3));
/// assert_eq!(testing::call(root_or::with(-1, -1)).status(), 400);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailed {
    process_type: String,
    uuid: Option<String>,
    state: String,
    exit_status: Option<u32>,
    message: String,
}

impl CallFailed {
    pub(crate) fn of(process_type: String, ended: &Ended, message: String) -> Self {
        CallFailed {
            process_type,
            uuid: Some(ended.uuid.clone()),
            state: ended.state.clone(),
            exit_status: ended.exit_status,
            message,
        }
    }

    pub(crate) fn not_called(process_type: String, why: &str) -> Self {
        CallFailed {
            process_type,
            uuid: None,
            state: "not called".to_owned(),
            exit_status: None,
            message: why.to_owned(),
        }
    }

    /// Returns the type of the process.
    pub fn process_type(&self) -> &str {
        &self.process_type
    }

    /// Returns the process's uuid; `None` if its inputs could not be given, so that it was not launched.
    pub fn uuid(&self) -> Option<&str> {
        self.uuid.as_deref()
    }

    /// Returns its state: `finished`, `excepted` or `killed`.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Returns its exit status; `None` if it did not finish.
    pub fn exit_status(&self) -> Option<u32> {
        self.exit_status
    }

    /// Returns the reason as text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the exit code with which a caller finishes that passes this failure on.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let status = self.exit_status.filter(|status| *status != 0)?;
        let is_label = |label: &str| {
            label.starts_with("ERROR_")
                && label.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        };
        let (label, message) = match self.message.split_once(": ") {
            Some((label, message)) if is_label(label) => (label, message),
            _ => ("", self.message.as_str()),
        };
        Some(Exit { status, label: label.to_owned(), message: message.to_owned() })
    }
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.process_type)?;
        if let Some(uuid) = &self.uuid {
            write!(f, " ({uuid})")?;
        }
        match self.exit_status {
            Some(0) => f.write_str(" finished")?,
            Some(status) => write!(f, " finished with exit code {status}")?,
            None => write!(f, " was {}", self.state)?,
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", shortened(&self.message)) }
    }
}

/// Shortens a message about a long chain of callers to its beginning and the cause.
fn shortened(message: &str) -> String {
    const HEAD: usize = 120;
    const TAIL: usize = 480;
    let count = message.chars().count();
    if count <= HEAD + TAIL {
        return message.to_owned();
    }
    let head: String = message.chars().take(HEAD).collect();
    let tail: String = message.chars().skip(count - TAIL).collect();
    format!("{head} [...] {tail}")
}

impl StdError for CallFailed {}
