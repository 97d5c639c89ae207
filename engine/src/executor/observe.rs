//! The start of a calcjob step: it takes in what was observed of the job while the process waited.

use std::time::Duration;

use ferry_plugin_proto::JobReport;

use crate::{
    calcjob::{self, Calcjob, Observation, Step},
    crash,
    process::State,
    step::{StepError, StepResult},
    store::{Change, Level, clock_words},
};

/// Starts a created process, or takes in what was observed of the job of a waiting one.
pub(crate) async fn begin(job: &mut Calcjob<'_>, observation: Option<Observation>) -> StepResult {
    if job.process.state == State::Created {
        job.process.run(Some(job.state.step.as_str().to_owned()));
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

/// Time until a job is looked at again that is alive although no listing shows it.
const LIVES: Duration = Duration::from_secs(10);

async fn ended(job: &mut Calcjob<'_>, mut report: JobReport) -> StepResult {
    if report.exit_status.is_none() && report.scheduler_state.is_none() {
        // Nothing says that it ended: it is only missing.
        check_gone(job).await?;
    }
    if job.state.stopped.is_some() {
        // It was stopped, so an early end is not a failure.
        report.engine_exit = None;
    }
    job.row.scheduler_state = Some(report.scheduler_state.clone().unwrap_or_else(|| "done".into()));
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
        "job {} has ended, but its work directory {} is gone from computer `{computer}`: it was removed, or its file \
         system is not mounted; the process continues when it is back (`ferry process play {process}` if it is \
         paused by then); otherwise `ferry process kill {process}`",
        job.row.job_id.as_deref().unwrap_or_default(),
        job.row.work_dir.as_deref().unwrap_or_default(),
    ))
}

/// Jobs of a process that the scheduler may forget before the user must decide.
const FORGOTTEN: u32 = 5;

/// Submits a job again, with a fresh token, that the scheduler forgot before it began. If the old one turns up
/// after all, the start gate lets only one of them run.
///
/// If the gate is not proven there, or after too many times, the user decides. Until then the job may exist: the
/// process waits, and keeps its ticket.
async fn vanished(job: &mut Calcjob<'_>) -> StepResult {
    if job.state.stopped.is_some() {
        // A monitor stopped it before its script began: that is its end.
        return ended(job, JobReport::default()).await;
    }
    check_gone(job).await?;
    let (id, process) = (job.row.job_id.clone().unwrap_or_default(), job.process.id);
    let why = if !job.cx.is_proven(&job.cx.store.computer(job.computer())?.config)? {
        format!(
            "the scheduler forgot job {id}, which left no trace of a start, and no test job has shown yet that jobs \
             of this computer see their work directories (`ferry computer test {} --job`)",
            job.computer(),
        )
    } else if job.state.forgotten >= FORGOTTEN {
        format!(
            "the scheduler has forgotten {} jobs of this process before they started, most recently job {id}; ask \
             the site's support, or check there yourself",
            FORGOTTEN + 1
        )
    } else {
        job.state.forgotten += 1;
        return submit_anew(job, "forgot").await;
    };
    let since = job.mark_unclear();
    let status = format!(
        "unclear since {}: {why}; `ferry process resubmit {process}` submits it again, `ferry process kill --force \
         {process}` ends the process",
        clock_words(since),
    );
    Err(StepError::Wait(status, calcjob::recovery_delay(since)))
}

/// Checks a job that a listing lacks: asks about it, and about the jobs of earlier tries, by their ids.
///
/// # Errors
/// Fails with `Wait` if one of them is alive, or if that can't be found out.
async fn check_gone(job: &mut Calcjob<'_>) -> StepResult {
    let Some((alive, raw)) = calcjob::find_alive(job).await? else { return Ok(()) };
    let is_present = job.row.job_id.as_deref() == Some(&*alive.id.0);
    if !is_present {
        calcjob::adopt(job, alive.clone()).await?;
    }
    let status =
        format!("job {} is not listed, but still exists ({raw}); ferry continues to watch it", alive.id);
    Err(StepError::Wait(status, LIVES))
}

/// Handles a job that the scheduler itself ended before it began. If the start gate is not proven there, or after
/// too many times, that is the end of the job. Otherwise it is submitted again.
async fn given_up(job: &mut Calcjob<'_>, report: JobReport) -> StepResult {
    let is_proven = job.cx.is_proven(&job.cx.store.computer(job.computer())?.config)?;
    if job.state.stopped.is_some() || !is_proven || job.state.forgotten >= FORGOTTEN {
        return ended(job, report).await;
    }
    check_gone(job).await?;
    job.state.forgotten += 1;
    submit_anew(job, "gave up").await
}

/// Submits the job again, with a fresh token.
async fn submit_anew(job: &mut Calcjob<'_>, what_it_did: &str) -> StepResult {
    let id = job.row.job_id.clone().unwrap_or_default();
    let line = format!("the scheduler {what_it_did} job {id} before it started; submitting it again");
    let line = job.log(Level::Warning, line);
    job.row.scheduler_state = None;
    job.leave_behind();
    job.go(Step::Submit);
    job.commit(vec![line, Change::DropTicket(job.process.id)]).await
}
