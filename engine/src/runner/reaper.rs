//! Jobs whose processes were ended by force: they are cancelled when their computer answers again.

use std::sync::Arc;

use super::{Context, keep_at::keep_at};
use crate::{
    scheduler::{JobId, JobRef, Recovery, Submission},
    store::{Change, Level, Orphan},
};

/// Cancels orphans until dropped.
pub(super) async fn serve(cx: Arc<Context>) {
    let list = || cx.store.orphans().unwrap_or_default();
    keep_at(&cx.orphaned, list, |orphan| reap(&cx, orphan)).await;
}

/// Cancels one; whether it is settled.
async fn reap(cx: &Context, orphan: Orphan) -> bool {
    let process = orphan.process;
    let (settled, changes) = match cancel(cx, &orphan).await {
        Ok(what) => {
            let line = Change::Log { process, level: Level::Report, message: what };
            (true, vec![Change::Reaped { process, error: None }, line])
        }
        Err(error) if orphan.error.as_deref() == Some(&error) => return false,
        Err(error) => (false, vec![Change::Reaped { process, error: Some(error) }]),
    };
    match cx.store.commit(changes).await {
        Ok(_) => settled,
        Err(error) => {
            tracing::warn!(%process, %error, "the end of an orphan could not be stored");
            false
        }
    }
}

async fn cancel(cx: &Context, orphan: &Orphan) -> Result<String, String> {
    let (row, via) = cx.connect(Some(&orphan.computer)).await.map_err(|error| error.to_string())?;
    let scheduler = cx.scheduler(&row.config.scheduler)?;
    let id = match &orphan.job_id {
        Some(id) => JobId(id.clone()),
        None => {
            let proven = cx.is_proven(&row.config).map_err(|error| error.to_string())?;
            let submission = Submission { proven, ..orphan.submission.clone() };
            match scheduler.recover(&*via, &submission).await.map_err(|error| error.to_string())? {
                Recovery::Found(id) => id,
                Recovery::NeverSubmitted => return Ok("there was no job to cancel".into()),
                Recovery::Unclear(reason) => {
                    return Err(format!("whether it was submitted is unclear: {reason}"));
                }
            }
        }
    };
    let reference = JobRef { id: id.clone(), token: orphan.submission.token.clone() };
    match scheduler.cancel(&*via, std::slice::from_ref(&reference)).await.pop() {
        None | Some(Ok(())) => Ok(format!("job {id} is cancelled")),
        Some(Err(error)) => Err(error.to_string()),
    }
}
