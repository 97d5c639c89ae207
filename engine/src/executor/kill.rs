//! Ending processes at a user's request, down the call tree: called processes end before their caller.

use std::{sync::Arc, time::Duration};

use ferry_plugin_proto::Kind;
use tokio::time::timeout;

use crate::{
    calcjob::{self, Calcjob, Step},
    executor::advance::{Then, kill_plain, store_trouble},
    owner::Context,
    spec::is_workflow,
    step::{StepError, StepResult},
    store::{Change, Level, NodeId, Process},
};

/// Time that a forced kill tries to cancel the job before it leaves that to the reaper.
const LAST_TRY: Duration = Duration::from_secs(5);

/// Ends a workflow after all processes that it called. The kill request has reached those in its own transaction.
pub(crate) async fn kill_workflow(cx: &Context, mut process: Process) -> Then {
    let children = match cx.store.children(process.id) {
        Ok(children) => children,
        Err(error) => return store_trouble(process.id, error),
    };
    let live = children.iter().filter(|child| !child.state.is_terminal()).count();
    if live == 0 {
        return kill_plain(cx, process).await;
    }
    let status = match live {
        1 => "kill pending: 1 process that it called has not ended yet".to_owned(),
        many => format!("kill pending: {many} processes that it called have not ended yet"),
    };
    if process.status.as_deref() != Some(&status) {
        let mut changes: Vec<Change> = process.start().into_iter().collect();
        process.status = Some(status);
        changes.push(process.update());
        if let Err(error) = cx.store.commit(changes).await {
            return store_trouble(process.id, error);
        }
    }
    Then::Idle
}

/// Ends those of the processes that have a kill request and nothing to cancel on a computer. It is for an owner
/// without a loop; the others end when a daemon runs. Callers come after the processes that they called.
pub(crate) async fn kill_at_rest(cx: &Arc<Context>, tops: &[i64]) {
    for top in tops {
        for id in cx.store.live_tree(NodeId(*top)).unwrap_or_default().into_iter().rev() {
            let Ok(process) = cx.store.process(id) else { continue };
            if !process.wishes.kill || process.state.is_terminal() || may_have_job(&process) {
                continue;
            }
            if is_workflow(process.kind) {
                kill_workflow(cx, process).await;
            } else {
                kill_plain(cx, process).await;
            }
        }
    }
}

/// Returns whether a process may have a job that is not known to be over.
fn may_have_job(process: &Process) -> bool {
    let checkpoint = calcjob::Checkpoint::read(process.checkpoint());
    process.kind == Kind::CalcJob
        && checkpoint.map_or(true, |saved| {
            (saved.submission.is_some() || !saved.earlier.is_empty())
                && matches!(saved.step, Step::Submit | Step::Update)
        })
}

/// Cancels the submitted job, then ends the process. A forced kill ends it in any case, and leaves the job to the
/// reaper.
pub(crate) async fn kill_calcjob(job: &mut Calcjob<'_>) -> StepResult {
    let Some(intent) = job.open_submission() else {
        // Best effort: its name belongs to one try alone, so leftovers do no harm.
        let _ = timeout(LAST_TRY, calcjob::discard_stash(job)).await;
        return calcjob::end_killed(job, Vec::new()).await;
    };
    if !job.process.wishes.kill_forced {
        calcjob::cancel_submission(job, &intent).await?;
        return calcjob::end_killed(job, Vec::new()).await;
    }
    let why = match timeout(LAST_TRY, calcjob::cancel_submission(job, &intent)).await {
        Ok(Ok(())) => return calcjob::end_killed(job, Vec::new()).await,
        Ok(Err(StepError::Store(error))) => return Err(StepError::Store(error)),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("its computer did not answer within {} s", LAST_TRY.as_secs()),
    };
    let computer = job.row.computer.clone();
    let job_id = job.row.job_id.clone();
    let name = job_id.as_ref().map_or("its job, if there is one,".into(), |id| format!("its job {id}"));
    let line = format!("killed by force: {name} was not cancelled yet ({why}); ferry keeps trying");
    let changes = vec![
        job.log(Level::Warning, line),
        Change::Orphan { process: job.process.id, computer, job_id, submission: Box::new(intent) },
    ];
    calcjob::end_killed(job, changes).await?;
    job.cx.orphaned.notify_one();
    Ok(())
}
