//! A job that is watched for its process, and what observing it can find.

use std::time::Duration;

use ferry_plugin_proto::JobReport;

use crate::{
    scheduler::{Bounds, JobRef},
    store::NodeId,
};

/// A job to be watched for a process that waits.
#[derive(Debug, Clone)]
pub struct JobWatch {
    /// The process that the job belongs to.
    pub process: NodeId,
    /// Label of its computer.
    pub computer: String,
    /// The job.
    pub job: JobRef,
    /// The scheduler's state that is stored.
    pub shown: Option<String>,
    /// The status text for it that is stored.
    pub status: Option<String>,
    /// Time until its monitors are due; `None` if it has no monitors.
    pub look_in: Option<Duration>,
}

/// The result of observing a watched job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Observation {
    /// It runs, and its monitors are due. It stays watched.
    Running,
    /// It has ended.
    Ended(Box<JobReport>),
    /// Another submission took the start gate: that one is the job.
    Adopt(JobRef),
    /// The scheduler forgot it before it began.
    Vanished,
    /// The scheduler itself cancelled it before it began, with this report.
    GivenUp(Box<JobReport>),
    /// It has ended, or was forgotten, and its work directory is gone.
    DirMissing,
    /// It may submit, under these bounds on all tickets of its queue.
    Granted(Bounds),
}
