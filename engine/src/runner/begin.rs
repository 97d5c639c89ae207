//! How a calcjob takes in what was seen of its job while it waited.

use ferry_plugin_proto::JobReport;

use super::poller::Observation;
use crate::{
    calcjob::{self, Calcjob, Step, StepError, StepResult},
    crash,
    process::State,
    scheduler::Marker,
    store::{Change, Level, clock_words},
};

/// A created process runs now; a waiting one takes in what was seen of its job.
pub(super) async fn begin(job: &mut Calcjob<'_>, observation: Option<Observation>) -> StepResult {
    if job.process.state == State::Created {
        job.process.state = State::Running;
        job.process.status = Some(job.state.step.as_str().to_owned());
        return job.commit(Vec::new()).await;
    }
    match observation {
        Some(Observation::Granted(bounds)) => {
            job.grant = Some(bounds);
            Ok(())
        }
        _ if job.state.step != Step::Update => Ok(()),
        None => Ok(()),
        Some(Observation::Running) => {
            job.is_running = true;
            Ok(())
        }
        Some(Observation::Adopt(owner)) => calcjob::adopt(job, owner).await,
        Some(Observation::Vanished) => vanished(job).await,
        Some(Observation::GivenUp(report)) => given_up(job, *report).await,
        Some(Observation::DirMissing) => Err(dir_missing(job)),
        Some(Observation::Ended(report)) => ended(job, *report).await,
    }
}

async fn ended(job: &mut Calcjob<'_>, mut report: JobReport) -> StepResult {
    if job.state.stopped.is_some() {
        // That it did not come to its own end is nobody's failure.
        report.engine_exit = None;
    }
    job.process.scheduler_state = Some(report.scheduler_state.clone().unwrap_or_else(|| "done".into()));
    job.state.report = Some(report);
    job.state.unclear_since = None;
    job.go_after_job()?;
    crash::point("observed");
    let mut changes = vec![Change::DropTicket(job.process.id)];
    changes.extend(job.forget_excluded());
    job.commit(changes).await?;
    crash::point("update.stored");
    Ok(())
}

fn dir_missing(job: &Calcjob<'_>) -> StepError {
    let (computer, process) = (job.computer(), job.process.id);
    StepError::Later(format!(
        "job {} has ended, and its work directory {} is gone from computer `{computer}`: it was removed, or its file \
         system is not mounted; the process goes on when it is back (`ferry process play {process}` if it was \
         paused by then), else `ferry process kill {process}`",
        job.process.job_id.as_deref().unwrap_or_default(),
        job.process.work_dir.as_deref().unwrap_or_default(),
    ))
}

/// Jobs that a scheduler may forget before their process fails.
const FORGOTTEN: u32 = 5;

/// The scheduler forgot the job before it began: it is submitted again, with a fresh token. Should the old one
/// turn up after all, the start gate lets only one of them run.
///
/// Where nobody has seen that the gate works there, the user decides.
async fn vanished(job: &mut Calcjob<'_>) -> StepResult {
    if job.state.stopped.is_some() {
        // A monitor had it stopped before its script began: that is its end.
        return ended(job, JobReport::default()).await;
    }
    if !job.cx.is_proven(&job.cx.store.computer(job.computer())?.config)? {
        let since = job.mark_unclear();
        let (id, process) = (job.process.job_id.clone().unwrap_or_default(), job.process.id);
        let status = format!(
            "unclear since {}: the scheduler forgot job {id}, which left no trace of having begun, and this computer \
             was not seen yet to share work directories with its jobs (`ferry computer test {} --job` shows that); \
             `ferry process resubmit {process}` submits it anew",
            clock_words(since),
            job.computer(),
        );
        return Err(StepError::Wait(status, calcjob::recovery_delay(since)));
    }
    let computer = job.process.computer.clone().unwrap_or_default();
    let report = calcjob::report(&Marker::default(), None, &computer);
    submit_anew(job, "forgot", report).await
}

/// The scheduler ended the job before it began, for reasons of its own. Where nobody has seen that the start gate
/// works, that is how the job ended.
async fn given_up(job: &mut Calcjob<'_>, report: JobReport) -> StepResult {
    if job.state.stopped.is_some() || !job.cx.is_proven(&job.cx.store.computer(job.computer())?.config)? {
        return ended(job, report).await;
    }
    submit_anew(job, "gave up", report).await
}

/// With a fresh token; after too many times it has ended as reported.
async fn submit_anew(job: &mut Calcjob<'_>, what_it_did: &str, report: JobReport) -> StepResult {
    job.state.forgotten += 1;
    if job.state.forgotten > FORGOTTEN {
        return ended(job, report).await;
    }
    let id = job.process.job_id.take().unwrap_or_default();
    let line = format!("the scheduler {what_it_did} job {id} before it began; submitting anew");
    let line = job.log(Level::Warning, line);
    job.process.scheduler_state = None;
    job.state.submission = None;
    job.go(Step::Submit);
    job.commit(vec![line, Change::DropTicket(job.process.id)]).await
}
