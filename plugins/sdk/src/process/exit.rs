//! Exit codes: the declared ways for a process to finish that are not a success.

use ferry_plugin_proto::{Exit, ExitCode};

use crate::error::Error;

/// An enum of exit codes; made by `#[derive(ExitCodes)]`.
///
/// Each variant carries `#[exit(STATUS, "MESSAGE")]`. The message may name the variant's fields in braces;
/// the label is `ERROR_` and the variant's name, unless `label = ".."` gives another one;
/// `invalidates_cache` keeps a result with this code from being reused.
///
/// ```
/// use ferry_plugin::ExitCodes;
///
/// #[derive(ExitCodes)]
/// pub enum PwExit {
///     #[exit(310, "no output file")]
///     NoOutput,
///     #[exit(410, "not converged in {steps} steps")]
///     NotConverged { steps: u32 },
/// }
///
/// let exit = PwExit::NotConverged { steps: 80 }.exit();
/// assert_eq!((exit.status, &*exit.label), (410, "ERROR_NOT_CONVERGED"));
/// assert_eq!(exit.message, "not converged in 80 steps");
/// assert_eq!(PwExit::NOT_CONVERGED, 410); // where there is no value at hand
/// ```
///
/// Statuses below 200 belong to the engine, and no two variants may share one:
///
/// ```compile_fail
/// #[derive(ferry_plugin::ExitCodes)]
/// pub enum Exit { #[exit(100, "too low")] Low }
/// ```
/// ```compile_fail
/// #[derive(ferry_plugin::ExitCodes)]
/// pub enum Exit { #[exit(300, "one")] One, #[exit(300, "two")] Two }
/// ```
pub trait ExitCodes: Sized {
    /// Returns all exit codes, for the manifest.
    fn declared() -> Vec<ExitCode>;

    /// Returns this exit code, with its message filled in.
    fn exit(&self) -> Exit;
}

/// Makes the error of one of the declared exit codes. The fakes of another plugin's type end with it.
#[doc(hidden)]
pub fn declared_error(status: u32, declared: Vec<ExitCode>) -> Error {
    match declared.into_iter().find(|code| code.status == status) {
        Some(ExitCode { label, message, .. }) => Error::exit(Exit { status, label, message }),
        None => format!("the interface has no exit code {status}").into(),
    }
}

/// No exit codes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoExit {}

impl ExitCodes for NoExit {
    fn declared() -> Vec<ExitCode> {
        Vec::new()
    }

    fn exit(&self) -> Exit {
        match *self {}
    }
}
