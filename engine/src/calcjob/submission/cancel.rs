//! Cancels the jobs of a calcjob, and asks the scheduler about them. A job counts as over when its scheduler says
//! so about its id, never because a listing lacks it.

use std::time::Duration;

use crate::calcjob::{Calcjob, Step, find_job, recovery_delay};
use crate::{
    crash,
    owner::Context,
    scheduler::{Cancelled, ErrorKind, JobId, JobRef, Presence, Recovery, Submission},
    step::{StepError, StepResult},
};

/// Time between two looks at a job that was cancelled.
const ENDING: Duration = Duration::from_secs(2);

/// Cancels the jobs of a submission and of the attempts before it, and waits for their end.
///
/// # Errors
/// `Wait` while it is not known whether there is a job, it can't be cancelled, or it has not ended yet.
pub(crate) async fn cancel_submission(job: &mut Calcjob<'_>, intent: &Submission) -> StepResult {
    if job.row.job_id.is_none() {
        match find_job(job, intent).await? {
            Recovery::Found(id) => job.row.job_id = Some(job.normal(&id).0),
            Recovery::NeverSubmitted => {}
            Recovery::Unclear(reason) => {
                let since = job.mark_unclear();
                let status = format!("kill pending: it is unknown whether the job was submitted: {reason}");
                return Err(StepError::Wait(status, recovery_delay(since)));
            }
        }
    }
    let jobs = job.jobs_of(intent);
    if jobs.is_empty() {
        return Ok(());
    }
    match cancel_jobs(job.cx, job.computer(), &jobs).await? {
        None => {
            crash::point("kill.cancelled");
            Ok(())
        }
        Some(left) => Err(StepError::Wait(format!("kill pending: {left}"), ENDING)),
    }
}

/// Cancels jobs. Returns `None` if all of them are over; otherwise a text about one that is left.
///
/// # Errors
/// Trouble of the host; `Wait` for a job that can't be cancelled, or asked about, now.
pub(crate) async fn cancel_jobs(cx: &Context, computer: &str, jobs: &[JobRef]) -> StepResult<Option<String>> {
    let (row, via) = cx.connect(computer).await?;
    let scheduler = cx.scheduler(&row.config).map_err(StepError::Pause)?;
    let results = scheduler.cancel(&*via, jobs).await;
    let mut left = None;
    for (job, result) in jobs.iter().zip(results) {
        match result {
            Ok(Cancelled::Over) => {}
            Ok(Cancelled::Ending(raw)) => {
                left = Some(format!("job {} was cancelled but has not ended yet ({raw})", job.id));
            }
            Err(error) if *error.kind() == ErrorKind::Unreachable && !cx.has_other_clusters(computer) => {
                return Err(error.into());
            }
            Err(error) => {
                let status = format!("kill pending: job {} could not be cancelled yet: {error}", job.id);
                return Err(StepError::Wait(status, ENDING));
            }
        }
    }
    Ok(left)
}

/// Finds a job of this process that is alive although it was believed to be gone. Returns it with its state in the
/// scheduler's words; `None`: every job that it ever had is over.
///
/// # Errors
/// Trouble of the host; `Wait` if the scheduler gives no answer about one of them.
pub(crate) async fn find_alive(job: &mut Calcjob<'_>) -> StepResult<Option<(JobRef, String)>> {
    let Some(intent) = job.open_submission() else { return Ok(None) };
    let jobs = job.jobs_of(&intent);
    let (row, via) = job.cx.connect(job.computer()).await?;
    let scheduler = job.cx.scheduler(&row.config).map_err(StepError::Pause)?;
    let answers = scheduler.ask(&*via, &jobs).await;
    for (one, answer) in jobs.into_iter().zip(answers) {
        match answer {
            Ok(presence) if presence.is_over() => {}
            Ok(Presence::Ours(status)) => return Ok(Some((one, status.raw))),
            Ok(_) => {}
            Err(error) => {
                let since = job.mark_unclear();
                let status = format!("the state of job {} is unknown: {error}; asking again", one.id);
                return Err(StepError::Wait(status, recovery_delay(since)));
            }
        }
    }
    Ok(None)
}

impl Calcjob<'_> {
    /// Returns a job's id as it is stored: without its cluster where that is the home cluster.
    pub(crate) fn normal(&self, id: &JobId) -> JobId {
        id.normal(self.cx.home_cluster(self.computer()).as_deref())
    }

    /// Returns the job that an id of a submission means. An id without a cluster is one of the cluster that was
    /// home when the intent was written, even if the computer has moved to another one since.
    pub(crate) fn job_of(&self, intent: &Submission, id: JobId) -> JobRef {
        let home = self.cx.home_cluster(self.computer());
        home_job(intent, id, home.as_deref())
    }

    /// Drops the present submission. Its job, if it had one, may turn up again and stays known.
    pub(crate) fn leave_behind(&mut self) {
        let id = self.row.job_id.take().map(JobId);
        if let (Some(intent), Some(id)) = (self.state.submission.take(), id) {
            let job = self.job_of(&intent, id);
            self.state.earlier.push(job);
        }
    }

    /// Prepares for a job that takes the place of the present one. The present one stays known: it may turn up
    /// again.
    pub(crate) fn displace(&mut self, owner: &JobRef) {
        let present = self.state.submission.clone().zip(self.row.job_id.clone().map(JobId));
        let present = present.map(|(intent, id)| self.job_of(&intent, id));
        displace(&mut self.state.earlier, present, owner);
    }

    /// Returns the submission that may be alive on the computer, with the jobs of earlier attempts. `None`:
    /// nothing was ever submitted, or all of it is known to be over. Where only earlier jobs are left, the last of
    /// them becomes the process's job.
    pub(crate) fn open_submission(&mut self) -> Option<Submission> {
        if !matches!(self.state.step, Step::Submit | Step::Update) {
            return None;
        }
        let mut earlier = self.state.earlier.clone();
        let intent = match self.state.submission.clone() {
            Some(intent) => intent,
            None => {
                let last = earlier.pop()?;
                self.row.job_id = Some(last.id.0.clone());
                Submission::of_job(&last)
            }
        };
        Some(Submission { earlier, ..intent })
    }

    /// Returns every job that this process ever had, as far as its ids are known.
    fn jobs_of(&self, intent: &Submission) -> Vec<JobRef> {
        let id = self.row.job_id.clone().map(JobId);
        let home = self.cx.home_cluster(self.computer());
        all_jobs(intent, id, home.as_deref())
    }
}

/// Returns the job that an id means, see [`Calcjob::job_of`].
pub(crate) fn home_job(intent: &Submission, id: JobId, home: Option<&str>) -> JobRef {
    let cluster = id.cluster().or(intent.home.as_deref()).map(str::to_owned);
    let full = JobId::in_cluster(id.number(), cluster.as_deref());
    intent.job(full.normal(home.or(intent.home.as_deref())))
}

/// Returns the job of a submission, if its id is known, and those of the attempts before it.
pub(crate) fn all_jobs(intent: &Submission, id: Option<JobId>, home: Option<&str>) -> Vec<JobRef> {
    let earlier = intent.earlier.iter().cloned().map(|job| JobRef { id: job.id.normal(home), ..job });
    id.map(|id| home_job(intent, id, home)).into_iter().chain(earlier).collect()
}

/// Updates the list of earlier jobs, see [`Calcjob::displace`].
fn displace(earlier: &mut Vec<JobRef>, present: Option<JobRef>, owner: &JobRef) {
    earlier.extend(present);
    earlier.retain(|job| job != owner);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str, token: &str) -> JobRef {
        JobRef { id: JobId(id.into()), token: token.into(), dir: "/w".into() }
    }

    fn check(id: &str, then: Option<&str>, now: Option<&str>, expect: &str) {
        let intent = Submission { home: then.map(str::to_owned), ..Submission::of_job(&job("0", "t")) };
        assert_eq!(home_job(&intent, JobId(id.into()), now).id.0, expect, "{id}, home {then:?}, now {now:?}");
    }

    #[test]
    fn an_id_without_a_cluster_is_of_the_cluster_that_was_home_then() {
        check("2", Some("alpha"), Some("alpha"), "2");
        check("2", Some("alpha"), Some("gamma"), "2;alpha");
        check("2;beta", Some("alpha"), Some("alpha"), "2;beta");
        check("2;beta", Some("alpha"), Some("beta"), "2");
        // Stored before clusters were known, or where they are not known yet.
        check("2", None, Some("alpha"), "2");
        check("2", Some("alpha"), None, "2");
    }

    #[test]
    fn a_job_whose_place_another_takes_stays_known() {
        let (old, present, owner) = (job("1", "a"), job("2", "b"), job("1", "a"));
        let mut earlier = vec![old, job("0", "z")];
        displace(&mut earlier, Some(present.clone()), &owner);
        assert_eq!(earlier, [job("0", "z"), present]);
        // The same job again displaces no other.
        displace(&mut earlier, Some(owner.clone()), &owner);
        assert_eq!(earlier.len(), 2);
    }
}
