//! Process states, and the transitions between them.

use serde::{Deserialize, Serialize};

/// The state of a process. *Paused* is a separate flag; *failed* means finished with a non-zero exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Stored, not started.
    Created,
    /// A step or a call of a plugin is running.
    Running,
    /// Waits for a job, a timer, a child or a slot.
    Waiting,
    /// Ended by itself, with an exit status.
    Finished,
    /// Ended by a bug or an unrecoverable error.
    Excepted,
    /// Killed by a user.
    Killed,
}

impl State {
    /// All states, in order of life.
    pub const ALL: [State; 6] =
        [State::Created, State::Running, State::Waiting, State::Finished, State::Excepted, State::Killed];
    /// The states of live processes.
    pub const LIVE: [State; 3] = [State::Created, State::Running, State::Waiting];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Running => "running",
            State::Waiting => "waiting",
            State::Finished => "finished",
            State::Excepted => "excepted",
            State::Killed => "killed",
        }
    }

    /// Returns the state of a name.
    pub fn read(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Returns whether the state is final.
    pub fn is_terminal(self) -> bool {
        matches!(self, State::Finished | State::Excepted | State::Killed)
    }

    /// Returns whether `next` may follow, by AiiDA's table: a created process runs before it waits or finishes.
    /// Only a user's `process resume` leads back, from excepted to the state of its last checkpoint.
    ///
    /// ```
    /// use ferry_engine_core::process::State::*;
    /// assert!(Created.may_become(Running) && Running.may_become(Waiting));
    /// assert!(!Created.may_become(Finished) && !Killed.may_become(Running));
    /// ```
    pub fn may_become(self, next: State) -> bool {
        match self {
            State::Created => matches!(next, State::Running | State::Killed | State::Excepted),
            State::Running | State::Waiting => next != State::Created,
            State::Finished | State::Excepted | State::Killed => false,
        }
    }
}
