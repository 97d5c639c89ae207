//! Reasons why a job failed, beyond the fact that it ended: the same few classes for every scheduler.

/// The reason why a job failed, independent of what it calculated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobFailure {
    /// The job needed more memory than it had asked for.
    OutOfMemory,
    /// The job needed more time than it had asked for.
    OutOfWalltime,
    /// A machine of the job failed.
    NodeFailure,
    /// The job's machine was rebooted while it ran.
    LostInReboot,
    /// The job had to make room for another.
    Preempted,
    /// The job was cancelled.
    Cancelled,
}

impl JobFailure {
    const ALL: [JobFailure; 6] = [
        JobFailure::OutOfMemory,
        JobFailure::OutOfWalltime,
        JobFailure::NodeFailure,
        JobFailure::LostInReboot,
        JobFailure::Preempted,
        JobFailure::Cancelled,
    ];

    /// Returns the word for it. A job script leaves it in `.ferry/failure` where ferry itself enforces a limit.
    pub fn as_str(self) -> &'static str {
        match self {
            JobFailure::OutOfMemory => "out_of_memory",
            JobFailure::OutOfWalltime => "out_of_walltime",
            JobFailure::NodeFailure => "node_failure",
            JobFailure::LostInReboot => "lost_in_reboot",
            JobFailure::Preempted => "preempted",
            JobFailure::Cancelled => "cancelled",
        }
    }

    /// Returns the class that a word stands for; `None` if there is none.
    pub fn of(word: &str) -> Option<JobFailure> {
        JobFailure::ALL.into_iter().find(|failure| failure.as_str() == word)
    }
}
