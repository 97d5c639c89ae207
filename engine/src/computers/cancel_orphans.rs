//! Jobs whose processes were killed by force. They are cancelled when their computer answers again.

use std::sync::Arc;

use crate::{
    calcjob,
    owner::{
        Context,
        retry_until_done::{Tried, keep_at},
    },
    scheduler::{JobId, Recovery, Submission},
    step::{StepError, StepResult},
    store::{Change, Level, Orphan},
};

/// Cancels orphaned jobs until dropped.
pub(crate) async fn serve(cx: Arc<Context>) {
    let list = || cx.store.orphans().unwrap_or_default();
    keep_at(&cx.orphaned, list, |orphan| reap(&cx, orphan)).await;
}

async fn reap(cx: &Context, orphan: Orphan) -> Tried {
    let process = orphan.process;
    let epoch = cx.health.epoch(&orphan.computer);
    let (tried, changes) = match cx.tell_host(&orphan.computer, epoch, cancel(cx, &orphan).await).await {
        Ok(what) => {
            let line = Change::Log { process, level: Level::Report, message: what };
            (Tried::Done, vec![Change::Reaped { process, error: None }, line])
        }
        Err((error, tried)) if orphan.error.as_deref() == Some(&error) => return tried,
        Err((error, tried)) => (tried, vec![Change::Reaped { process, error: Some(error) }]),
    };
    match cx.store.commit(changes).await {
        Ok(_) => tried,
        Err(error) => {
            tracing::warn!(%process, %error, "the end of an orphaned job could not be stored");
            Tried::Failed
        }
    }
}

async fn cancel(cx: &Context, orphan: &Orphan) -> StepResult<String> {
    let (row, via) = cx.connect(&orphan.computer).await?;
    let scheduler = cx.scheduler(&row.config).map_err(StepError::Pause)?;
    let found = match &orphan.job_id {
        Some(id) => Some(JobId(id.clone())),
        None => {
            let submission = Submission { proven: cx.is_proven(&row.config)?, ..orphan.submission.clone() };
            match scheduler.recover(&*via, &submission).await? {
                Recovery::Found(id) => Some(id),
                Recovery::NeverSubmitted => None,
                Recovery::Unclear(reason) => {
                    return Err(StepError::Later(format!(
                        "it is unknown whether it was submitted: {reason}"
                    )));
                }
            }
        }
    };
    cx.learn_home(&row.config, &via).await;
    let home = cx.home_cluster(&orphan.computer);
    let jobs = calcjob::all_jobs(&orphan.submission, found, home.as_deref());
    if jobs.is_empty() {
        return Ok("there was no job to cancel".into());
    }
    match calcjob::cancel_jobs(cx, &orphan.computer, &jobs).await? {
        None => {
            let ids: Vec<_> = jobs.iter().map(|job| job.id.to_string()).collect();
            Ok(format!("job {} was cancelled, or had already ended", ids.join(", ")))
        }
        Some(left) => Err(StepError::Later(left)),
    }
}
