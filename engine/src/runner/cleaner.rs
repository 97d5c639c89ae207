//! Work directories that are to be removed go when their computers answer. Each is removed again if an owner dies in
//! between, which is harmless: the name is one calculation's alone.

use std::{path::Path, sync::Arc, time::Duration};

use super::Context;
use crate::{
    calcjob, crash,
    store::{Change, Cleaning, Level, NodeId},
};

/// How soon another try follows the first; doubles up to [`SLOWEST`].
const FIRST: Duration = Duration::from_secs(10);
const SLOWEST: Duration = Duration::from_secs(600);

/// Removes work directories until dropped. Rests while there is nothing to be removed.
pub(super) async fn serve(cx: Arc<Context>) {
    let mut delay = FIRST;
    loop {
        let pending = cx.store.cleanings().unwrap_or_default();
        if pending.is_empty() {
            cx.cleanings.notified().await;
            delay = FIRST;
            continue;
        }
        let mut left = 0;
        for cleaning in pending {
            left += usize::from(!clean(&cx, cleaning).await);
        }
        if left > 0 {
            // A new one is tried soon, whatever the old ones' computers do.
            tokio::select! {
                biased;
                () = tokio::time::sleep(delay) => delay = (delay * 2).min(SLOWEST),
                () = cx.cleanings.notified() => delay = FIRST,
            }
        }
    }
}

/// Removes those of these processes whose computers answer. For an owner without a loop.
pub(super) async fn clean_at_rest(cx: &Arc<Context>, processes: &[i64]) {
    for cleaning in cx.store.cleanings().unwrap_or_default() {
        if processes.contains(&cleaning.process.0) {
            clean(cx, cleaning).await;
        }
    }
}

/// Removes one; whether that is settled.
async fn clean(cx: &Context, cleaning: Cleaning) -> bool {
    let process = cleaning.process;
    let (settled, changes) = match remove(cx, process).await {
        Ok(dir) => {
            crash::point("clean.removed");
            let line = format!("the work directory {dir} was removed");
            let line = Change::Log { process, level: Level::Report, message: line };
            (true, vec![Change::Cleaned { process, error: None }, line])
        }
        Err(error) if cleaning.error.as_deref() == Some(&error) => return false,
        Err(error) => (false, vec![Change::Cleaned { process, error: Some(error) }]),
    };
    match cx.store.commit(changes).await {
        Ok(_) => {
            if settled {
                crash::point("clean.stored");
            }
            settled
        }
        Err(error) => {
            tracing::warn!(%process, %error, "what came of a work directory could not be stored");
            false
        }
    }
}

async fn remove(cx: &Context, id: NodeId) -> Result<String, String> {
    let process = cx.store.process(id).map_err(|error| error.to_string())?;
    let dir = process.work_dir.clone().unwrap_or_default();
    if !calcjob::is_its_own(&process) {
        return Err(format!("{dir} is not this calculation's own directory"));
    }
    let (_, via) = cx.connect(process.computer.as_deref()).await.map_err(|error| error.to_string())?;
    via.remove_tree(Path::new(&dir)).await.map_err(|error| error.explained())?;
    Ok(dir)
}
