//! The outcome of a watched job, decided from observations. Pure: the poller observes, this module decides.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    calcjob::{self, JobWatch, Observation},
    scheduler::{JobFailure, JobRef, JobState, JobStatus, Marker},
    store::{Change, Level},
};

/// A watched job, and the polls that did not find it.
pub(super) struct Watched {
    pub(super) watch: JobWatch,
    /// Time at which its monitors are due.
    pub(super) look_at: Option<Instant>,
    /// Number of polls that found neither the job nor an exit marker.
    pub(super) missed: u32,
    /// Time of the first of them.
    pub(super) missing_since: Option<Instant>,
    /// True if its script has ended while part of it was still running: a watch would report it again and again.
    pub(super) is_left: bool,
}

impl Watched {
    /// Resets the count after the job was seen, or could not be looked for: only two polls in a row prove absence.
    /// A scheduler in trouble may answer in part, then not at all, then in part again.
    pub(super) fn forget_absence(&mut self) {
        self.missed = 0;
        self.missing_since = None;
    }
}

/// Decides the outcome of a job that is not listed any more. Returns `None` if another poll is needed.
pub(super) fn judge(
    watched: &mut Watched,
    marker: &Marker,
    status: Option<&JobStatus>,
    given_up: bool,
    confirm_after: Duration,
    home: Option<&str>,
) -> Option<Observation> {
    // Ids are forgotten and reused, and an earlier token may have won. Only both together identify the job.
    let watching = &watched.watch.job;
    let owner = marker.run.clone().map(|(token, id)| JobRef { id, token, dir: watching.dir.clone() });
    let is_it = |owner: &JobRef| owner.token == watching.token && owner.id.is_same(&watching.id, home);
    if let Some(owner) = owner.filter(|owner| !is_it(owner)) {
        return Some(Observation::Adopt(owner));
    }
    if marker.exit.is_none() {
        let since = *watched.missing_since.get_or_insert_with(Instant::now);
        watched.missed += 1;
        if watched.missed < 2 || since.elapsed() < confirm_after {
            return None;
        }
        // A controller that was killed forgets jobs that it had taken; one that never began can be submitted
        // again.
        let is_forgotten = status.is_none_or(|status| status.failure == Some(JobFailure::LostInReboot));
        if is_forgotten && marker.run.is_none() && marker.sentinel.is_some() {
            return Some(Observation::Vanished);
        }
        if marker.sentinel.is_none() && marker.run.is_none() {
            return Some(Observation::DirMissing);
        }
        // The same holds for a node that failed before the script began.
        let failed = status.is_some_and(|status| status.failure == Some(JobFailure::NodeFailure));
        if (given_up || failed) && marker.run.is_none() {
            let report = calcjob::report(marker, status, &watched.watch.computer);
            return Some(Observation::GivenUp(Box::new(report)));
        }
    }
    Some(Observation::Ended(Box::new(calcjob::report(marker, status, &watched.watch.computer))))
}

/// Describes anything unusual about the end of a job, for its report.
pub(super) fn odd(marker: &Marker, status: Option<&JobStatus>) -> Option<String> {
    if marker.is_removed {
        return Some(
            "the job removed the folder `.ferry` of its work directory, where its end is recorded; its shell created \
             it again"
                .into(),
        );
    }
    let completed = status.filter(|status| status.is_completed && marker.exit.is_none())?;
    Some(format!(
        "the scheduler says {}, but the job left no exit status in its work directory; it counts as 0",
        completed.raw
    ))
}

/// Returns the changes to store when the scheduler's state changes, or the reason why a job does not begin yet.
pub(super) fn observed(watched: &mut Watched, status: &JobStatus) -> Vec<Change> {
    watched.forget_absence();
    watched.is_left = status.state == JobState::Left;
    let reason = status.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let advice = status.advice.map(|advice| format!("; {advice}")).unwrap_or_default();
    let words = Some(format!("job {}{reason}{advice}", status.state.as_str()));
    let watch = &mut watched.watch;
    let is_told = matches!(status.state, JobState::Pending | JobState::Held | JobState::Left);
    if watch.shown.as_ref() == Some(&status.raw) && (!is_told || watch.status == words) {
        return Vec::new();
    }
    watch.shown = Some(status.raw.clone());
    watch.status.clone_from(&words);
    let process = watch.process;
    // The report shows later that the job waited for a person to act.
    let report = status.advice.and(words.clone());
    let report = report.map(|message| Change::Log { process, level: Level::Warning, message });
    let shown = Change::Observed { process, status: words, scheduler_state: Some(status.raw.clone()) };
    // A requeued job takes its place in the queue back, even over the bound.
    let ticket = match status.state {
        JobState::Pending | JobState::Held => Some(true),
        JobState::Running | JobState::Suspended => Some(false),
        JobState::Left | JobState::Done | JobState::Unknown => None,
    };
    let ticket = ticket.map(|queued| Change::TicketQueued { process, queued });
    [shown].into_iter().chain(report).chain(ticket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::JobId;
    use crate::store::NodeId;

    fn watched(id: &str, token: &str) -> Watched {
        let watch = JobWatch {
            process: NodeId(1),
            computer: "far".into(),
            job: JobRef { id: JobId(id.into()), token: token.into(), dir: "/w".into() },
            shown: None,
            status: None,
            look_in: None,
        };
        Watched { watch, look_at: None, missed: 0, missing_since: None, is_left: false }
    }

    fn marker(run: Option<(&str, &str)>, exit: Option<i32>) -> Marker {
        let run = run.map(|(token, id)| (token.to_owned(), JobId(id.to_owned())));
        Marker { sentinel: Some("d".into()), run, exit, ..Marker::default() }
    }

    /// Judges twice, and again after the time of confirmation.
    fn look(watched: &mut Watched, marker: &Marker, raw: Option<&str>) -> Option<Observation> {
        let status = raw.map(|raw| JobStatus {
            state: JobState::Done,
            raw: raw.into(),
            reason: None,
            failure: (raw == "rebooted").then_some(JobFailure::LostInReboot),
            ..JobStatus::default()
        });
        let once = |watched: &mut Watched| {
            judge(watched, marker, status.as_ref(), raw == Some("given up"), Duration::ZERO, None)
        };
        once(watched).or_else(|| once(watched))
    }

    #[test]
    fn whoever_took_the_gate_is_the_job() {
        // The same id with another token is another job: the controller has used it twice.
        for (token, id) in [("old", "7"), ("old", "6"), ("new", "8")] {
            let seen = look(&mut watched("7", "new"), &marker(Some((token, id)), None), None);
            let owner = JobRef { id: JobId(id.into()), token: token.into(), dir: "/w".into() };
            assert_eq!(seen, Some(Observation::Adopt(owner)));
        }
        let ended = look(&mut watched("7", "new"), &marker(Some(("new", "7")), Some(3)), None);
        assert!(matches!(ended, Some(Observation::Ended(report)) if report.exit_status == Some(3)));
    }

    #[test]
    fn absent_is_confirmed_before_it_counts() {
        let mut job = watched("7", "t");
        let gone = marker(None, None);
        assert_eq!(judge(&mut job, &gone, None, false, Duration::from_secs(10), None), None);
        assert_eq!(judge(&mut job, &gone, None, false, Duration::from_secs(10), None), None, "too soon");
        assert_eq!(look(&mut watched("7", "t"), &gone, None), Some(Observation::Vanished));
        let lost = look(&mut watched("7", "t"), &marker(Some(("t", "7")), None), None);
        assert!(matches!(lost, Some(Observation::Ended(report)) if report.engine_exit.is_some()));
    }

    #[test]
    fn a_reboot_is_an_end_only_of_what_had_begun() {
        let begun = look(&mut watched("7", "t"), &marker(Some(("t", "7")), None), Some("rebooted"));
        assert!(
            matches!(begun, Some(Observation::Ended(report)) if report.engine_exit.as_ref().unwrap().status == 141)
        );
        let not_begun = look(&mut watched("7", "t"), &marker(None, None), Some("rebooted"));
        assert_eq!(not_begun, Some(Observation::Vanished));
        let at_its_end = look(&mut watched("7", "t"), &marker(Some(("t", "7")), Some(0)), Some("rebooted"));
        assert!(matches!(at_its_end, Some(Observation::Ended(report)) if report.engine_exit.is_none()));
    }

    #[test]
    fn what_was_given_up_before_it_began_can_begin_anew() {
        let fresh = || watched("7", "t");
        let given_up = look(&mut fresh(), &marker(None, None), Some("given up"));
        assert!(matches!(given_up, Some(Observation::GivenUp(report)) if report.engine_exit.is_some()));
        let begun = look(&mut fresh(), &marker(Some(("t", "7")), None), Some("given up"));
        assert!(matches!(begun, Some(Observation::Ended(_))));
        let by_its_user = look(&mut fresh(), &marker(None, None), Some("cancelled"));
        assert!(matches!(by_its_user, Some(Observation::Ended(_))));
    }

    #[test]
    fn a_new_reason_of_a_queued_job_is_told_once() {
        let mut job = watched("7", "t");
        let mut told = |state: JobState, raw: &str, reason: &str| {
            let reason = Some(reason.to_owned());
            let changes =
                observed(&mut job, &JobStatus { state, raw: raw.into(), reason, ..JobStatus::default() });
            changes.into_iter().find_map(|change| match change {
                Change::Observed { status, .. } => status,
                _ => None,
            })
        };
        let pending = |words: &str| Some(format!("job {}: {words}", JobState::Pending.as_str()));
        assert_eq!(told(JobState::Pending, "PENDING", "Dependency"), pending("Dependency"));
        assert_eq!(told(JobState::Pending, "PENDING", "Dependency"), None);
        let never = "DependencyNeverSatisfied";
        assert_eq!(told(JobState::Pending, "PENDING", never), pending(never));
        assert!(told(JobState::Running, "RUNNING", "None").is_some());
        assert_eq!(told(JobState::Running, "RUNNING", "other"), None);
    }

    #[test]
    fn what_is_left_of_a_job_is_named_and_keeps_its_place() {
        let left = |reason: &str| JobStatus {
            state: JobState::Left,
            raw: "ending".into(),
            reason: Some(reason.into()),
            ..JobStatus::default()
        };
        let mut job = watched("7", "t");
        for reason in ["still running: 12 (a)", "still running: 13 (b)"] {
            let changes = observed(&mut job, &left(reason));
            let words = format!("job ending: {reason}");
            assert!(
                matches!(&changes[..], [Change::Observed { status: Some(told), .. }] if *told == words),
                "{changes:?}"
            );
            assert!(job.is_left, "no watch is held over it");
        }
    }

    #[test]
    fn odd_ends_are_told() {
        let good = marker(Some(("t", "7")), Some(0));
        assert_eq!(odd(&good, None), None);
        assert!(odd(&Marker { is_removed: true, ..good.clone() }, None).is_some());
        let done = JobStatus {
            state: JobState::Done,
            raw: "COMPLETED".into(),
            is_completed: true,
            ..JobStatus::default()
        };
        assert_eq!(odd(&good, Some(&done)), None);
        assert!(odd(&marker(None, None), Some(&done)).is_some_and(|text| text.contains("COMPLETED")));
    }

    #[test]
    fn a_job_that_waits_for_a_person_says_what_to_do() {
        let held = JobStatus {
            state: JobState::Held,
            raw: "PENDING".into(),
            reason: Some("PartitionTimeLimit".into()),
            failure: None,
            advice: Some("make it shorter"),
            ..JobStatus::default()
        };
        let mut job = watched("7", "t");
        let words = "job held: PartitionTimeLimit; make it shorter";
        let changes = observed(&mut job, &held);
        let told = |change: &Change| matches!(change, Change::Observed { status: Some(status), .. } if status == words);
        let reported = |change: &Change| matches!(change, Change::Log { message, .. } if message == words);
        assert!(changes.iter().any(told) && changes.iter().any(reported), "{changes:?}");
        assert!(observed(&mut job, &held).is_empty(), "told once");
    }

    #[test]
    fn a_missing_directory_is_no_end() {
        let seen = look(&mut watched("7", "t"), &Marker::default(), Some("COMPLETED"));
        assert_eq!(seen, Some(Observation::DirMissing));
    }
}
