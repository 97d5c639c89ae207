//! Slurm's words for a job's state and reason, and ferry's.

use ferry_engine_core::scheduler::{JobFailure, JobState, JobStatus};

use crate::reason::advice;

/// Every state of the manual, and every state flag, which `squeue` prints in place of the state.
///
/// From `squeue`'s manual, section JOB STATE CODES, Slurm 22.05
/// (<https://slurm.schedmd.com/archive/slurm-22.05.8/squeue.html#SECTION_JOB-STATE-CODES>), and the flags
/// added up to 24.11 (<https://slurm.schedmd.com/job_state_codes.html>).
const STATES: &[(&str, JobState)] = &[
    ("BOOT_FAIL", JobState::Done),
    ("CANCELLED", JobState::Done),
    ("COMPLETED", JobState::Done),
    // Its nodes are still booting: no process of it runs.
    ("CONFIGURING", JobState::Pending),
    // Some of its processes may still be alive, and may still write.
    ("COMPLETING", JobState::Running),
    ("DEADLINE", JobState::Done),
    ("FAILED", JobState::Done),
    ("NODE_FAIL", JobState::Done),
    ("OUT_OF_MEMORY", JobState::Done),
    ("PENDING", JobState::Pending),
    ("POWER_UP_NODE", JobState::Pending),
    ("PREEMPTED", JobState::Done),
    ("RUNNING", JobState::Running),
    ("RESV_DEL_HOLD", JobState::Held),
    ("REQUEUE_FED", JobState::Pending),
    ("REQUEUE_HOLD", JobState::Held),
    ("REQUEUED", JobState::Pending),
    ("RESIZING", JobState::Running),
    // A sibling in another cluster of the federation took over: neither done nor visible from here.
    ("REVOKED", JobState::Unknown),
    ("SIGNALING", JobState::Running),
    ("SPECIAL_EXIT", JobState::Held),
    ("STAGE_OUT", JobState::Running),
    ("STOPPED", JobState::Suspended),
    ("SUSPENDED", JobState::Suspended),
    ("TIMEOUT", JobState::Done),
];

/// Ends that the job itself did not cause, from the same manual.
const FAILURES: &[(&str, JobFailure)] = &[
    ("BOOT_FAIL", JobFailure::NodeFailure),
    ("CANCELLED", JobFailure::Cancelled),
    ("DEADLINE", JobFailure::OutOfWalltime),
    ("NODE_FAIL", JobFailure::NodeFailure),
    ("OUT_OF_MEMORY", JobFailure::OutOfMemory),
    ("PREEMPTED", JobFailure::Preempted),
    ("TIMEOUT", JobFailure::OutOfWalltime),
];

/// Returns a job's state from Slurm's word and reason. Both are kept raw.
pub(crate) fn status(word: &str, reason: &str) -> JobStatus {
    // Accounting adds the user: "CANCELLED by 1000".
    let name = word.split(' ').next().unwrap_or_default();
    let state =
        STATES.iter().find(|(known, _)| *known == name).map_or(JobState::Unknown, |(_, state)| *state);
    // The reason for the wait decides whether a person is needed.
    let advice = if state == JobState::Pending { advice(reason) } else { None };
    let state = if advice.is_some() { JobState::Held } else { state };
    let reason = (!matches!(reason, "" | "None")).then(|| reason.to_owned());
    let failure = FAILURES.iter().find(|(known, _)| *known == name).map(|(_, failure)| *failure);
    JobStatus { state, raw: word.to_owned(), reason, failure, advice, is_completed: name == "COMPLETED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, reason: &str, expect: JobState) {
        let status = status(word, reason);
        assert_eq!((status.state, status.raw.as_str()), (expect, word), "{word} {reason}");
    }

    #[test]
    fn states_and_reasons_have_our_words_and_keep_theirs() {
        check("PENDING", "Resources", JobState::Pending);
        check("PENDING", "Dependency", JobState::Pending);
        check("PENDING", "BeginTime", JobState::Pending);
        check("PENDING", "ReqNodeNotAvail, UnavailableNodes:n4", JobState::Pending);
        check("PENDING", "JobHeldUser", JobState::Held);
        check("PENDING", "JobHeldAdmin", JobState::Held);
        check("PENDING", "DependencyNeverSatisfied", JobState::Held);
        check("PENDING", "BadConstraints", JobState::Held);
        check("PENDING", "user_env_retrieval_failed_requeued_held", JobState::Held);
        check("PENDING", "launch_failed_requeued_held", JobState::Held);
        check("PENDING", "InvalidAccount", JobState::Held);
        check("PENDING", "PartitionTimeLimit", JobState::Held);
        check("PENDING", "QOSMaxMemoryPerJob", JobState::Held);
        check("PENDING", "QOSMaxGRESPerUser", JobState::Pending);
        check("CANCELLED", "JobHeldUser", JobState::Done);
        check("CANCELLED by 1000", "", JobState::Done);
        check("COMPLETING", "None", JobState::Running);
        for word in ["OUT_OF_MEMORY", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "DEADLINE", "BOOT_FAIL", "FAILED"]
        {
            check(word, "None", JobState::Done);
        }
        for (word, failure) in [
            ("OUT_OF_MEMORY", Some(JobFailure::OutOfMemory)),
            ("TIMEOUT", Some(JobFailure::OutOfWalltime)),
            ("NODE_FAIL", Some(JobFailure::NodeFailure)),
            ("PREEMPTED", Some(JobFailure::Preempted)),
            ("CANCELLED by 1000", Some(JobFailure::Cancelled)),
            ("CANCELLED", Some(JobFailure::Cancelled)),
            ("FAILED", None),
        ] {
            assert_eq!(status(word, "").failure, failure, "{word}");
        }
        check("SOMETHING_NEW", "None", JobState::Unknown);
        check("", "", JobState::Unknown);
        assert_eq!(status("RUNNING", "None").reason, None);
        assert_eq!(status("PENDING", "Priority").reason.as_deref(), Some("Priority"));
        assert_eq!(status("PENDING", "Priority").advice, None);
        assert!(status("PENDING", "PartitionTimeLimit").advice.unwrap().contains("TimeLimit"));
        assert_eq!(status("TIMEOUT", "PartitionTimeLimit").advice, None);
    }

    #[test]
    fn no_word_stands_twice() {
        for (index, (word, _)) in STATES.iter().enumerate() {
            assert!(STATES[index + 1..].iter().all(|(other, _)| other != word), "{word}");
        }
    }
}
