//! The saved state of a calcjob between its steps. Stored as JSON in the process's row, with a version.

use std::{collections::BTreeMap, path::PathBuf};

use ferry_plugin_proto::{JobDescription, JobReport, Verdict, WantedFile};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    admission::Held,
    scheduler::{Extras, JobRef, Submission},
};

/// The version this program writes.
pub const VERSION: u32 = 2;

/// The steps of a calcjob, in order. Each is durable before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The plugin writes files and a job description.
    #[default]
    Prepare,
    /// The files are written into the work directory.
    Upload,
    /// The job is submitted to the scheduler, once.
    Submit,
    /// The job is watched.
    Update,
    /// The files that its option `stash` names are copied or archived on the computer.
    Stash,
    /// Files are fetched from the computer.
    Retrieve,
    /// The plugin reads them.
    Parse,
}

impl Step {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Prepare => "prepare",
            Step::Upload => "upload",
            Step::Submit => "submit",
            Step::Update => "update",
            Step::Stash => "stash",
            Step::Retrieve => "retrieve",
            Step::Parse => "parse",
        }
    }
}

/// The state of a stash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stashing {
    /// Name of the last attempt, stored before it began.
    pub attempt: Option<String>,
    /// The reason why it failed.
    pub failed: Option<String>,
}

/// The state of a monitor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Monitoring {
    /// The time of its last look.
    pub last: Option<Timestamp>,
    /// True if it is left out.
    pub disabled: bool,
    /// Its failures in a row.
    pub failures: u32,
    /// The files that it wants to see.
    pub wanted: Option<Vec<WantedFile>>,
}

/// The decision of a monitor to stop the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stopped {
    /// Its key among the inputs.
    pub monitor: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// True if the job is known to be cancelled.
    #[serde(default)]
    pub cancelled: bool,
}

/// A refusal that does not prove that the job was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The scheduler's words.
    pub words: String,
    /// True if it meant "not now". Otherwise ferry does not know its meaning, and it uses up an attempt.
    #[serde(default)]
    pub busy: bool,
    /// The reason for "not now". Older stores know only of a full queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lack: Option<Lack>,
}

/// The thing that was short when a submission was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lack {
    /// The queue has as many jobs as it takes.
    Queue,
    /// An account, a partition or a quality of service has as many jobs as it may.
    Quota,
}

fn is_none(extras: &Extras) -> bool {
    *extras == Extras::default()
}

/// A calcjob's saved state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// The step to do next, or that is being done.
    pub step: Step,
    /// The job that the plugin prepared.
    #[serde(default)]
    pub job: Option<JobDescription>,
    /// The work directory, once it is known.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// The text of its sentinel.
    #[serde(default)]
    pub digest: Option<String>,
    /// The intent to submit, from before anything is sent until the process's end.
    #[serde(default)]
    pub submission: Option<Submission>,
    /// Input of the submit command beside the script that was uploaded.
    #[serde(default, skip_serializing_if = "is_none")]
    pub extras: Extras,
    /// Jobs of earlier attempts that were believed to be gone. They may turn up again. So they are asked about
    /// before anything is submitted again or reported as killed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<JobRef>,
    /// The time since which the outcome of a submission is unclear.
    #[serde(default)]
    pub unclear_since: Option<Timestamp>,
    /// True if the user has decided that it is submitted again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resubmit: bool,
    /// A refusal whose submission must be looked up before it takes effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// The last refusal "not now", after which it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Jobs of this process that their scheduler forgot before they started.
    #[serde(default)]
    pub forgotten: u32,
    /// The report on the end of the job.
    #[serde(default)]
    pub report: Option<JobReport>,
    /// The state of its stash, if it has the option `stash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stash: Option<Stashing>,
    /// Its monitors, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub monitors: BTreeMap<String, Monitoring>,
    /// The decision of a monitor to stop the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Checkpoint {
            version: VERSION,
            step: Step::default(),
            job: None,
            dir: None,
            digest: None,
            submission: None,
            extras: Extras::default(),
            earlier: Vec::new(),
            unclear_since: None,
            resubmit: false,
            refused: None,
            held: None,
            forgotten: 0,
            report: None,
            stash: None,
            monitors: BTreeMap::new(),
            stopped: None,
        }
    }
}

impl Checkpoint {
    /// Reads a saved state; without one, returns the initial state.
    ///
    /// # Errors
    /// A text for the process's report: a newer version, or a damaged state.
    pub fn read(text: Option<&str>) -> Result<Checkpoint, String> {
        let Some(text) = text else { return Ok(Checkpoint::default()) };
        let mut checkpoint: Checkpoint =
            serde_json::from_str(text).map_err(|error| format!("the checkpoint can't be read: {error}"))?;
        if checkpoint.version > VERSION {
            return Err(format!(
                "the checkpoint was written by a newer ferry (version {})",
                checkpoint.version
            ));
        }
        checkpoint.version = VERSION;
        Ok(checkpoint)
    }

    /// Moves to a step, and clears the refusal of the last one.
    pub fn go(&mut self, step: Step) {
        self.step = step;
        self.refused = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_version_1_wrote_is_read() {
        // Its attempts are a column since version 2.
        let read = Checkpoint::read(Some(include_str!("checkpoint_v1.json"))).unwrap();
        assert_eq!(read, Checkpoint::read(Some(include_str!("checkpoint_v2.json"))).unwrap());
    }

    #[test]
    fn what_version_2_wrote_is_read() {
        let text = include_str!("checkpoint_v2.json");
        let read = Checkpoint::read(Some(text)).unwrap();
        assert_eq!(read.step, Step::Submit);
        assert_eq!(read.submission.as_ref().unwrap().token, "01990000-0000-7000-8000-000000000000");
        assert_eq!(serde_json::to_value(&read).unwrap(), golden(text), "the stored format changed");
    }

    #[test]
    fn a_newer_one_is_refused() {
        assert!(
            Checkpoint::read(Some(r#"{"version": 3, "step": "upload"}"#))
                .unwrap_err()
                .contains("newer ferry")
        );
    }
}
