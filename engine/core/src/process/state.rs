//! Process states and which of them may follow which.

use serde::{Deserialize, Serialize};

/// Where a process stands. *Paused* is a flag beside it, *failed* is finished with a non-zero exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Stored, not begun.
    Created,
    /// A step or a piece of work goes on.
    Running,
    /// Waits for a job, a timer, a child or a slot.
    Waiting,
    /// Ended by itself, with an exit status.
    Finished,
    /// Ended by a bug or an unrecoverable error.
    Excepted,
    /// Ended by a user's wish.
    Killed,
}

impl State {
    /// All of them, in order of life.
    pub const ALL: [State; 6] =
        [State::Created, State::Running, State::Waiting, State::Finished, State::Excepted, State::Killed];
    /// Those that go on.
    pub const LIVE: [State; 3] = [State::Created, State::Running, State::Waiting];

    /// The word for it.
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

    /// The state that a word names.
    pub fn read(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing follows.
    pub fn is_terminal(self) -> bool {
        matches!(self, State::Finished | State::Excepted | State::Killed)
    }

    /// Whether `next` may follow. AiiDA's table: a created process runs before it waits or finishes. Only a user's
    /// `process resume` leads back, from excepted to where its last checkpoint stands.
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
