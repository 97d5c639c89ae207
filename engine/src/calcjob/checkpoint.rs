//! What a calcjob remembers between its steps. Stored as JSON in the process's row, with a version.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use ferry_plugin_proto::{JobDescription, JobReport, Verdict, WantedFile};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::scheduler::{Extras, JobRef, Submission};

/// The version this program writes.
pub const VERSION: u32 = 1;

/// The steps of a calcjob, in order. Each is durable before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The plugin writes files and a job description.
    #[default]
    Prepare,
    /// The files become the work directory.
    Upload,
    /// The scheduler is given the job, once.
    Submit,
    /// The job is watched.
    Update,
    /// What its option `stash` names is put aside on the computer.
    Stash,
    /// Files are brought home.
    Retrieve,
    /// The plugin reads them.
    Parse,
}

impl Step {
    /// The word for it.
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

/// What became of putting something aside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stashing {
    /// Name of the last try, from before it began.
    pub attempt: Option<String>,
    /// Why it failed.
    pub failed: Option<String>,
}

/// How far a monitor is with looking at the job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Monitoring {
    /// When it looked last.
    pub last: Option<Timestamp>,
    /// Whether it is left out.
    pub disabled: bool,
    /// Its failures in a row.
    pub failures: u32,
    /// What it wants to see.
    pub wanted: Option<Vec<WantedFile>>,
}

/// What a monitor decided that wanted the job to be stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stopped {
    /// Its key among the inputs.
    pub monitor: String,
    /// What it said.
    pub verdict: Verdict,
    /// Whether the job is known to be cancelled.
    #[serde(default)]
    pub cancelled: bool,
}

/// A refusal that does not tell for sure whether the job is in all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The scheduler's words.
    pub words: String,
    /// It meant "not now"; otherwise ferry does not know what it meant, and a try is used up.
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

/// What the scheduler refused the process's job with: it tries again when its turn comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The scheduler's words.
    pub words: String,
    /// The number of jobs was the reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quota: bool,
}

impl Held {
    /// What those have in common who wait with it.
    pub(crate) fn reason(&self) -> Option<String> {
        (!self.quota).then(|| self.words.clone())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn is_none(extras: &Extras) -> bool {
    *extras == Extras::default()
}

/// A calcjob's saved state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// The step to do next, or in the middle of which we are.
    pub step: Step,
    /// Failures of this step so far that count.
    #[serde(default)]
    pub attempt: u32,
    /// When it is tried again.
    #[serde(default)]
    pub next_try: Option<Timestamp>,
    /// How long a retry was put off: it never waits longer, whatever the clock does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Duration>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Failures of this step that were the host's, as far as the process could tell.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub host_failures: u32,
    /// What the plugin prepared.
    #[serde(default)]
    pub job: Option<JobDescription>,
    /// The work directory, once it is known.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// What its sentinel says.
    #[serde(default)]
    pub digest: Option<String>,
    /// The intent to submit, from before anything is sent until the process's end.
    #[serde(default)]
    pub submission: Option<Submission>,
    /// What the submit command needs beside the script that was uploaded.
    #[serde(default, skip_serializing_if = "is_none")]
    pub extras: Extras,
    /// Jobs of earlier tries that were taken for gone. They may turn up again, so they are asked about before anything
    /// is submitted anew or called killed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<JobRef>,
    /// Since when the outcome of a submission is unclear.
    #[serde(default)]
    pub unclear_since: Option<Timestamp>,
    /// The user has decided that it is submitted anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resubmit: bool,
    /// A refusal whose submission must be looked up before anything comes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// It was told "not now", and waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Jobs of this process that their scheduler forgot before they began.
    #[serde(default)]
    pub forgotten: u32,
    /// How the job ended.
    #[serde(default)]
    pub report: Option<JobReport>,
    /// Plugin hosts that died on this step.
    #[serde(default)]
    pub deaths: u32,
    /// What became of its option `stash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stash: Option<Stashing>,
    /// Its monitors, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub monitors: BTreeMap<String, Monitoring>,
    /// What a monitor decided that wanted the job to be stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Checkpoint {
            version: VERSION,
            step: Step::default(),
            attempt: 0,
            next_try: None,
            planned: None,
            last_error: None,
            host_failures: 0,
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
            deaths: 0,
            stash: None,
            monitors: BTreeMap::new(),
            stopped: None,
        }
    }
}

impl Checkpoint {
    /// Reads a saved state; none is the beginning.
    ///
    /// # Errors
    /// A text for the process's report: a newer version, or damage.
    pub fn read(text: Option<&str>) -> Result<Checkpoint, String> {
        let Some(text) = text else { return Ok(Checkpoint::default()) };
        let checkpoint: Checkpoint =
            serde_json::from_str(text).map_err(|error| format!("the checkpoint can't be read: {error}"))?;
        if checkpoint.version > VERSION {
            return Err(format!(
                "the checkpoint was written by a newer ferry (version {})",
                checkpoint.version
            ));
        }
        Ok(checkpoint)
    }

    /// Moves to a step; its failures begin anew.
    pub fn go(&mut self, step: Step) {
        self.step = step;
        self.attempt = 0;
        self.next_try = None;
        self.planned = None;
        self.last_error = None;
        self.host_failures = 0;
        self.deaths = 0;
        self.refused = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_version_1_wrote_is_read() {
        let golden = include_str!("checkpoint_v1.json");
        let read = Checkpoint::read(Some(golden)).unwrap();
        assert_eq!(read.step, Step::Submit);
        assert_eq!(read.submission.as_ref().unwrap().token, "01990000-0000-7000-8000-000000000000");
        let again: serde_json::Value = serde_json::to_value(&read).unwrap();
        assert_eq!(
            again,
            serde_json::from_str::<serde_json::Value>(golden).unwrap(),
            "the stored format changed"
        );
    }

    #[test]
    fn a_newer_one_is_refused() {
        assert!(
            Checkpoint::read(Some(r#"{"version": 2, "step": "upload"}"#))
                .unwrap_err()
                .contains("newer ferry")
        );
    }
}
