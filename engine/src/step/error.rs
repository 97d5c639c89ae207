//! Errors of steps: what becomes of a process when a step does not complete.

use crate::{plugin, scheduler, store, transport};

/// The reason why a step did not complete.
#[derive(Debug)]
pub enum StepError {
    /// Trouble of the store: nothing is recorded, the step is run again soon.
    Store(store::Error),
    /// Trouble of the host: costs no attempt.
    Host(String),
    /// Trouble of the scheduler, or of the cluster where the job is or goes.
    Scheduler(String),
    /// The computer is known to be in trouble, or is disabled: nothing was tried.
    Parked,
    /// No room or quota is left on the computer. Costs no attempt; the step is tried again automatically.
    Full(String),
    /// Trouble of the process itself that may pass: costs an attempt.
    Later(String),
    /// A person must act. The process pauses with the reason and the next step.
    Pause(String),
    /// Back-pressure or an unclear outcome: waits with this status, costs no attempt.
    Wait(String, std::time::Duration),
    /// A plugin host died during the step.
    Died(String),
    /// An unrecoverable error: the process is excepted.
    Except(String),
    /// The owner is ending; the next owner runs the step again.
    Stopping,
}

impl std::fmt::Display for StepError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StepError::Store(error) => error.fmt(f),
            StepError::Stopping => f.write_str("the owner is ending"),
            StepError::Parked => f.write_str("its computer is unreachable or disabled"),
            StepError::Host(text)
            | StepError::Scheduler(text)
            | StepError::Full(text)
            | StepError::Later(text)
            | StepError::Pause(text)
            | StepError::Wait(text, _)
            | StepError::Died(text)
            | StepError::Except(text) => f.write_str(text),
        }
    }
}

impl From<store::Error> for StepError {
    fn from(error: store::Error) -> Self {
        StepError::Store(error)
    }
}

impl From<transport::Error> for StepError {
    fn from(error: transport::Error) -> Self {
        use transport::ErrorKind as Kind;
        let text = error.explained();
        match error.kind() {
            Kind::Unreachable | Kind::TimedOut | Kind::Authentication | Kind::NeedsLogin => {
                StepError::Host(text)
            }
            Kind::CircuitOpen => StepError::Parked,
            Kind::Interrupted => StepError::Wait(text, std::time::Duration::from_secs(1)),
            Kind::StorageFull => StepError::Full(text),
            Kind::PermissionDenied | Kind::Config | Kind::Unsupported | Kind::InvalidPath => {
                StepError::Pause(text)
            }
            _ => StepError::Later(text),
        }
    }
}

impl From<scheduler::Error> for StepError {
    fn from(error: scheduler::Error) -> Self {
        use scheduler::ErrorKind as Kind;
        let text = error.explained();
        match error.kind() {
            Kind::Unreachable | Kind::Ambiguous if scheduler::is_of_link(&error) => StepError::Host(text),
            Kind::Unreachable | Kind::Ambiguous => StepError::Scheduler(text),
            Kind::Busy | Kind::Full | Kind::Quota => {
                StepError::Wait(text, std::time::Duration::from_secs(30))
            }
            Kind::Permanent | Kind::InvalidAccount => StepError::Except(text),
            _ => StepError::Later(text),
        }
    }
}

impl From<plugin::Error> for StepError {
    fn from(error: plugin::Error) -> Self {
        use plugin::ErrorKind as Kind;
        let text = error.to_string();
        match error.kind() {
            Kind::Crashed => StepError::Died(text),
            Kind::Io => StepError::Later(text),
            Kind::ShutDown => StepError::Stopping,
            _ => StepError::Except(text),
        }
    }
}

/// A step's result.
pub type StepResult<T = ()> = Result<T, StepError>;
