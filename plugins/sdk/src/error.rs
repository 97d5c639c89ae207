//! The one error of an author's code: an exit code that happened, or anything else that went wrong.
//!
//! `?` makes it of both. An exit code ends the process as *finished* with that code; any other error ends it
//! as *excepted* with the error's text.

mod call_failed;

pub use call_failed::CallFailed;

use std::{error::Error as StdError, fmt};

use ferry_plugin_proto::Exit;

/// The result of an author's function.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// The reason why a piece of work failed.
///
/// Made by `?` of an enum that derives [`ExitCodes`](crate::ExitCodes), of any `std::error::Error`, and of text.
/// It is no `std::error::Error` itself: that is what lets it be made of all of them.
pub struct Error(Kind);

enum Kind {
    Exit(Exit),
    Failure(Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// Makes the error of an exit code.
    pub fn exit(exit: Exit) -> Self {
        Error(Kind::Exit(exit))
    }

    /// Returns the exit code; `None` if it is another error.
    pub fn as_exit(&self) -> Option<&Exit> {
        match &self.0 {
            Kind::Exit(exit) => Some(exit),
            Kind::Failure(_) => None,
        }
    }

    /// Returns the exit code, or the text of any other error.
    ///
    /// # Errors
    /// Returns the text: the error and all its causes.
    pub fn into_exit(self) -> Result<Exit, String> {
        match self.0 {
            Kind::Exit(exit) => Ok(exit),
            Kind::Failure(failure) => Err(with_causes(&*failure)),
        }
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Error {
    fn from(error: E) -> Self {
        let error = error.into();
        // The exit code of a process that was called is passed on as what it is.
        let exit = error.downcast_ref::<CallFailed>().and_then(CallFailed::exit);
        Error(exit.map_or(Kind::Failure(error), Kind::Exit))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Exit(exit) => write!(f, "exit code {} {}: {}", exit.status, exit.label, exit.message),
            Kind::Failure(failure) => f.write_str(&with_causes(&**failure)),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Describes an error and its causes in one line. A cause that the text already contains is left out.
fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_errors_and_exit_codes_become_errors_by_question_mark() {
        fn text() -> Result {
            Err("no energy in line 3")?
        }
        fn number() -> Result<i64> {
            Ok("x".parse::<i64>()?)
        }
        assert_eq!(text().unwrap_err().to_string(), "no energy in line 3");
        assert_eq!(number().unwrap_err().into_exit().unwrap_err(), "invalid digit found in string");
        let exit = Exit { status: 310, label: "ERROR_X".into(), message: "none".into() };
        assert_eq!(Error::exit(exit.clone()).as_exit(), Some(&exit));
    }

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("disk full");
        let outer = std::io::Error::other(inner);
        assert_eq!(Error::from(outer).to_string(), "disk full");
    }
}
