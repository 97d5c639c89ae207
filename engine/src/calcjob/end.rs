//! The end of a calcjob, with its last commit: finished with or without an exit code, excepted, or killed.

use ferry_plugin_proto::{Exit, JobReport};

use super::Calcjob;
use crate::{
    crash,
    scheduler::{JobFailure, JobStatus, Marker},
    step::StepResult,
    store::{BY_USER, Change},
};

/// Exit code of a job that ended without an exit marker: its computer stopped, or it was killed hard.
const LOST: u32 = 140;
/// Exit code of a job that was cancelled, but not by ferry.
pub(super) const CANCELLED: u32 = 143;

/// Finishes the process: with success, or with an exit code.
pub(super) async fn finish(
    job: &mut Calcjob<'_>,
    exit: Option<&Exit>,
    mut changes: Vec<Change>,
) -> StepResult {
    changes.extend(job.process.finish(exit));
    end(job, changes).await
}

pub(super) async fn except(job: &mut Calcjob<'_>, message: String, mut changes: Vec<Change>) -> StepResult {
    changes.extend(job.process.except(message));
    end(job, changes).await
}

/// Ends a process as killed, on the user's request.
pub(crate) async fn end_killed(job: &mut Calcjob<'_>, mut changes: Vec<Change>) -> StepResult {
    changes.extend(job.process.kill(BY_USER));
    end(job, changes).await?;
    crash::point("kill.stored");
    Ok(())
}

async fn end(job: &mut Calcjob<'_>, mut changes: Vec<Change>) -> StepResult {
    // An excepted process may be resumed, and then needs them.
    if job.process.is_over() {
        changes.extend(job.forget_excluded());
    }
    job.commit(changes).await?;
    // The staging files are needed no more; after a crash they are removed at the next start.
    let _ = std::fs::remove_dir_all(job.cx.paths.staging(&job.process.uuid));
    Ok(())
}

/// Returns the exit code that the engine itself concludes from the end of a job, if any.
fn engine_exit(marker: &Marker, status: Option<&JobStatus>, computer: &str) -> Option<Exit> {
    let raw = status.map(|status| status.raw.as_str());
    let how = raw.map(|raw| format!(" (the scheduler says {raw})")).unwrap_or_default();
    if let Some(failure) = marker.failure.or_else(|| status?.failure) {
        // A script that ended well all the same was quicker than its limit. But a script that hides that a program
        // of it ran out of memory can't be trusted.
        if failure == JobFailure::OutOfMemory || marker.exit != Some(0) {
            return Some(failed(failure, marker.run.is_some() || marker.exit.is_some(), &how));
        }
    }
    // Without its marker, too, the job did not fail.
    if marker.exit.is_some() || status.is_some_and(|status| status.is_completed) {
        return None;
    }
    let message = if marker.run.is_some() {
        format!("the job ended without an exit status: it was killed, or its computer stopped{how}")
    } else {
        format!(
            "the job ended before its script began{how}: it was cancelled, or the compute nodes do not see its work \
             directory; check with `ferry computer test {computer} --job`"
        )
    };
    Some(Exit { status: LOST, label: "ERROR_SCHEDULER_NODE_FAILURE".into(), message })
}

/// Returns the exit code of a failure: AiiDA's where it has one, else ferry's own.
fn failed(failure: JobFailure, has_begun: bool, how: &str) -> Exit {
    let (status, label, what) = match failure {
        JobFailure::OutOfMemory => (110, "ERROR_SCHEDULER_OUT_OF_MEMORY", "the job ran out of memory"),
        JobFailure::OutOfWalltime => (120, "ERROR_SCHEDULER_OUT_OF_WALLTIME", "the job ran out of time"),
        JobFailure::NodeFailure => (LOST, "ERROR_SCHEDULER_NODE_FAILURE", "a machine of the job failed"),
        JobFailure::LostInReboot => {
            (141, "ERROR_LOST_IN_REBOOT", "the job's machine was restarted while it ran")
        }
        JobFailure::Preempted => {
            (142, "ERROR_SCHEDULER_PREEMPTED", "the job was preempted by one of higher priority")
        }
        JobFailure::Cancelled if has_begun => {
            (CANCELLED, "ERROR_SCHEDULER_CANCELLED", "the job was cancelled while it ran")
        }
        JobFailure::Cancelled => {
            (CANCELLED, "ERROR_SCHEDULER_CANCELLED", "the job was cancelled before its script began")
        }
    };
    Exit { status, label: label.into(), message: format!("{what}{how}") }
}

/// Makes the report on a job of this computer for its parser.
pub(crate) fn report(marker: &Marker, status: Option<&JobStatus>, computer: &str) -> JobReport {
    JobReport {
        exit_status: marker.exit.or(status.filter(|status| status.is_completed).map(|_| 0)),
        scheduler_state: status.map(|status| status.raw.clone()),
        engine_exit: engine_exit(marker, status, computer),
        ..JobReport::default()
    }
}

/// Ends a process as excepted, outside of a step's own end.
pub(crate) async fn end_excepted(job: &mut Calcjob<'_>, message: String) -> StepResult {
    except(job, message, Vec::new()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::{JobId, JobState};

    /// Returns the exit status that is concluded from a marker's exit status and the scheduler's class.
    fn concluded(exit: Option<i32>, failure: Option<JobFailure>) -> Option<u32> {
        let run = Some(("t".to_owned(), JobId("7".into())));
        let marker = Marker { sentinel: Some("d".into()), run, exit, ..Marker::default() };
        let status = JobStatus {
            state: JobState::Done,
            raw: "WORD".into(),
            reason: None,
            failure,
            ..JobStatus::default()
        };
        report(&marker, Some(&status), "far").engine_exit.map(|exit| exit.status)
    }

    #[test]
    fn the_scheduler_s_verdicts_have_aiida_s_exit_codes_and_ferry_s_own_beside_them() {
        let of = |failure| concluded(None, Some(failure));
        assert_eq!(of(JobFailure::OutOfMemory), Some(110));
        assert_eq!(of(JobFailure::OutOfWalltime), Some(120));
        assert_eq!(of(JobFailure::NodeFailure), Some(140));
        assert_eq!(of(JobFailure::LostInReboot), Some(141));
        assert_eq!(of(JobFailure::Preempted), Some(142));
        assert_eq!(of(JobFailure::Cancelled), Some(143));
        assert_eq!(concluded(Some(143), Some(JobFailure::Cancelled)), Some(143), "it was told to end");
        assert_eq!(concluded(None, None), Some(140), "it left no exit status");
        assert_eq!(concluded(Some(3), None), None, "that is for its parser");
    }

    #[test]
    fn a_job_that_was_cancelled_while_it_waited_is_called_so() {
        let status = JobStatus {
            state: JobState::Done,
            raw: "CANCELLED by 1000".into(),
            failure: Some(JobFailure::Cancelled),
            ..JobStatus::default()
        };
        let exit = report(&Marker::default(), Some(&status), "far").engine_exit.unwrap();
        assert_eq!((exit.status, &*exit.label), (143, "ERROR_SCHEDULER_CANCELLED"));
        let words = "the job was cancelled before its script began (the scheduler says CANCELLED by 1000)";
        assert_eq!(exit.message, words);
    }

    #[test]
    fn a_script_that_was_quicker_than_its_end_has_not_failed() {
        assert_eq!(concluded(Some(143), Some(JobFailure::OutOfWalltime)), Some(120));
        assert_eq!(concluded(Some(0), Some(JobFailure::OutOfWalltime)), None);
        assert_eq!(concluded(Some(0), Some(JobFailure::OutOfMemory)), Some(110));
    }

    #[test]
    fn what_the_scheduler_calls_completed_has_not_failed() {
        let status = JobStatus {
            state: JobState::Done,
            raw: "COMPLETED".into(),
            is_completed: true,
            ..JobStatus::default()
        };
        // The job removed its markers, or its work directory.
        for run in [None, Some(("t".to_owned(), JobId("7".into())))] {
            let report = report(&Marker { run, ..Marker::default() }, Some(&status), "far");
            assert_eq!((report.exit_status, report.engine_exit), (Some(0), None));
        }
        let marker = Marker { exit: Some(3), ..Marker::default() };
        assert_eq!(report(&marker, Some(&status), "far").exit_status, Some(3), "the marker knows better");
    }

    #[test]
    fn a_limit_that_ferry_keeps_itself_is_told_by_the_marker() {
        let failure = Some(JobFailure::OutOfWalltime);
        let marker = Marker { exit: Some(143), failure, ..Marker::default() };
        let exit = report(&marker, None, "far").engine_exit.unwrap();
        assert_eq!((exit.status, &*exit.message), (120, "the job ran out of time"));
    }
}
