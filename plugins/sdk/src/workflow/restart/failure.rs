//! Failures of jobs, whatever they calculate: failure classes for handlers, and requests for more of a
//! resource that ran out.

use ferry_plugin_proto::Value;
use serde::{Deserialize, Serialize};

use crate::{
    process::process_type::Process,
    workflow::{draft::Draft, workchain::Child},
};

/// The class of a job's failure, as far as ferry itself can tell: `#[handler(on(JobFailure::OutOfMemory))]`.
/// Its exit codes have AiiDA's numbers where AiiDA has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobFailure {
    /// It needed more memory than it had asked for.
    OutOfMemory,
    /// It needed more time than it had asked for.
    OutOfWalltime,
    /// Its account may not be charged.
    InvalidAccount,
    /// A machine failed, or it was killed from outside.
    NodeFailure,
    /// Its machine was rebooted while it ran.
    LostInReboot,
    /// It had to make room for a job of higher priority.
    Preempted,
    /// It was cancelled, but not by ferry.
    Cancelled,
    /// A monitor has stopped it.
    StoppedByMonitor,
    /// It went well, but what it left could not be put aside.
    StashingFailed,
}

impl JobFailure {
    /// Exit status of [`JobFailure::OutOfMemory`].
    pub const OUT_OF_MEMORY: u32 = 110;
    /// Exit status of [`JobFailure::OutOfWalltime`].
    pub const OUT_OF_WALLTIME: u32 = 120;
    /// Exit status of [`JobFailure::InvalidAccount`].
    pub const INVALID_ACCOUNT: u32 = 131;
    /// Exit status of [`JobFailure::NodeFailure`].
    pub const NODE_FAILURE: u32 = 140;
    /// Exit status of [`JobFailure::LostInReboot`].
    pub const LOST_IN_REBOOT: u32 = 141;
    /// Exit status of [`JobFailure::Preempted`].
    pub const PREEMPTED: u32 = 142;
    /// Exit status of [`JobFailure::Cancelled`].
    pub const CANCELLED: u32 = 143;
    /// Exit status of [`JobFailure::StoppedByMonitor`].
    pub const STOPPED_BY_MONITOR: u32 = 150;
    /// Exit status of [`JobFailure::StashingFailed`].
    pub const STASHING_FAILED: u32 = 160;

    /// Returns the class of an exit status; `None` if it is none of ferry's own.
    pub fn of(status: u32) -> Option<JobFailure> {
        Some(match status {
            JobFailure::OUT_OF_MEMORY => JobFailure::OutOfMemory,
            JobFailure::OUT_OF_WALLTIME => JobFailure::OutOfWalltime,
            JobFailure::INVALID_ACCOUNT => JobFailure::InvalidAccount,
            JobFailure::NODE_FAILURE => JobFailure::NodeFailure,
            JobFailure::LOST_IN_REBOOT => JobFailure::LostInReboot,
            JobFailure::PREEMPTED => JobFailure::Preempted,
            JobFailure::CANCELLED => JobFailure::Cancelled,
            JobFailure::STOPPED_BY_MONITOR => JobFailure::StoppedByMonitor,
            JobFailure::STASHING_FAILED => JobFailure::StashingFailed,
            _ => return None,
        })
    }

    /// Returns whether the same job, unchanged, may well succeed at another attempt.
    pub fn is_transient(self) -> bool {
        matches!(self, JobFailure::NodeFailure | JobFailure::LostInReboot | JobFailure::Preempted)
    }

    /// Returns the resource that was too small; `None` if the failure has another cause.
    pub fn resource(self) -> Option<Resource> {
        match self {
            JobFailure::OutOfMemory => Some(Resource::Memory),
            JobFailure::OutOfWalltime => Some(Resource::Walltime),
            _ => None,
        }
    }
}

impl<P> Child<P> {
    /// Returns the class of the job's failure; `None` if ferry itself could not tell.
    pub fn failure(&self) -> Option<JobFailure> {
        self.exit_status().and_then(JobFailure::of)
    }
}

/// A resource that a job asks for and may need more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The option `max_memory_kb`.
    Memory,
    /// The option `max_wallclock_seconds`.
    Walltime,
}

impl Resource {
    pub(super) const ALL: [Resource; 2] = [Resource::Memory, Resource::Walltime];

    /// Returns the option's name.
    pub fn option(self) -> &'static str {
        match self {
            Resource::Memory => "max_memory_kb",
            Resource::Walltime => "max_wallclock_seconds",
        }
    }
}

/// The limits for raising a resource; an entry of the input `escalation`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// Maximum request, in the unit of the option.
    pub limit: i64,
    /// Factor by which the next job's request grows.
    #[serde(default = "twice")]
    pub factor: f64,
}

fn twice() -> f64 {
    2.0
}

impl Escalation {
    /// Returns the problem with this entry, if there is one.
    pub(super) fn problem(&self) -> Option<String> {
        if self.limit < 1 {
            return Some(format!("its limit must be at least 1, got {}", self.limit));
        }
        (self.factor <= 1.0 || !self.factor.is_finite())
            .then(|| format!("its factor must be above 1, got {}", self.factor))
    }
}

impl<P: Process> Draft<P> {
    /// Asks for `factor` times as much of a resource as before, but for no more than `limit`, in the unit of
    /// its option. Without an earlier request, it asks for the limit. Returns the new request; `None` if it
    /// was at the limit already.
    ///
    /// ```
    /// # use ferry_plugin::{prelude::*, Draft, Resource};
    /// # #[derive(Inputs)] pub struct I { pub n: i64 }
    /// # #[derive(Outputs)] pub struct O { pub n: i64 }
    /// # pub struct Pw;
    /// # #[calcjob(name = "doc.raised")] impl CalcJob for Pw {
    /// #   type Inputs = I; type Outputs = O;
    /// #   fn prepare(_: &I, _: &mut Job) -> Result { Ok(()) }
    /// #   fn parse(_: &I, _: &Finished, _: &mut ODraft) -> Result { Ok(()) }
    /// # }
    /// let mut pw = Draft::<Pw>::new();
    /// pw.metadata().option("max_memory_kb", 1_000_i64);
    /// assert_eq!(pw.raise(Resource::Memory, 2.0, 3_000), Some(2_000));
    /// assert_eq!(pw.raise(Resource::Memory, 2.0, 3_000), Some(3_000));
    /// assert_eq!(pw.raise(Resource::Memory, 2.0, 3_000), None);
    /// ```
    pub fn raise(&mut self, resource: Resource, factor: f64, limit: i64) -> Option<i64> {
        let options = self.metadata().options();
        let before = options.get(resource.option()).and_then(Value::as_int);
        if before.is_some_and(|before| before >= limit) {
            return None;
        }
        let more = before.map_or(limit, |before| {
            // At least one more, whatever the rounding does.
            ((before as f64 * factor).ceil() as i64).max(before.saturating_add(1)).min(limit)
        });
        options.insert(resource.option().to_owned(), Value::Int(more));
        Some(more)
    }
}
