//! Removal of work directories, once their computers answer. If an owner dies in between, a directory is removed
//! again. That is harmless, since its name belongs to one calculation alone.

use std::{path::Path, sync::Arc};

use crate::{
    calcjob, crash,
    owner::{
        Context,
        retry_until_done::{Tried, keep_at},
    },
    step::StepResult,
    store::{Change, Cleaning, Level, NodeId},
};

/// Removes work directories until dropped.
pub(crate) async fn serve(cx: Arc<Context>) {
    let list = || cx.store.cleanings().unwrap_or_default();
    keep_at(&cx.cleanings, list, |cleaning| clean(&cx, cleaning)).await;
}

/// Removes the work directories of these processes, as far as their computers answer. It is for an owner without a
/// loop.
pub(crate) async fn clean_at_rest(cx: &Arc<Context>, processes: &[i64]) {
    for cleaning in cx.store.cleanings().unwrap_or_default() {
        if processes.contains(&cleaning.process.0) {
            clean(cx, cleaning).await;
        }
    }
}

async fn clean(cx: &Context, cleaning: Cleaning) -> Tried {
    let process = cleaning.process;
    let (tried, changes) = match remove(cx, process).await {
        Ok(Some(dir)) => {
            crash::point("clean.removed");
            let line = format!("the work directory {dir} was removed");
            let line = Change::Log { process, level: Level::Report, message: line };
            (Tried::Done, vec![Change::Cleaned { process, error: None }, line])
        }
        Ok(None) => (Tried::Done, vec![Change::Unclean(process)]),
        Err((error, tried)) if cleaning.error.as_deref() == Some(&error) => return tried,
        Err((error, tried)) => (tried, vec![Change::Cleaned { process, error: Some(error) }]),
    };
    match cx.store.commit(changes).await {
        Ok(_) => {
            if tried == Tried::Done {
                crash::point("clean.stored");
            }
            tried
        }
        Err(error) => {
            tracing::warn!(%process, %error, "the outcome of removing a work directory could not be stored");
            Tried::Failed
        }
    }
}

/// Removes a work directory and returns it. Returns `None` if it does not belong to the calculation, as for an
/// imported one.
async fn remove(cx: &Context, id: NodeId) -> Result<Option<String>, (String, Tried)> {
    let process = cx.store.process(id).map_err(|error| (error.to_string(), Tried::Failed))?;
    if !calcjob::is_its_own(&process) {
        return Ok(None);
    }
    let dir = process.work_dir().unwrap_or_default().to_owned();
    let computer = process.computer().unwrap_or_default();
    let epoch = cx.health.epoch(computer);
    let done: StepResult = async {
        let (_, via) = cx.connect(computer).await?;
        Ok(via.remove_tree(Path::new(&dir)).await?)
    }
    .await;
    cx.tell_host(computer, epoch, done).await.map(|()| Some(dir))
}
