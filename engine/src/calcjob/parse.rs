//! *parse*: the plugin reads what came home and makes outputs. Nothing remote happens here.

use std::fs;

use ferry_plugin_proto::{Outcome, Task, Work, WorkReply};

use super::{
    Calcjob, Next, Step, StepError, StepResult, lend, monitor,
    outcome::{Roots, store_outcome},
    retrieve::{RETRIEVED, TEMPORARY},
};
use crate::crash;

pub(super) async fn run(job: &mut Calcjob<'_>) -> StepResult<Next> {
    if let Some(outcome) = monitor::unparsed(job, true) {
        store_outcome(job, outcome, Roots::default()).await?;
        return Ok(Next::Ended);
    }
    let store = &job.cx.store;
    let retrieved = store
        .outgoing(job.process.id)?
        .into_iter()
        .find(|link| link.label == "retrieved")
        .ok_or_else(|| StepError::Except("the retrieved folder is missing".into()))?
        .target;
    let description = job.state.job.clone().unwrap_or_default();
    let staging = job.cx.paths.staging(&job.process.uuid);
    if !description.retrieve_temporary.is_empty() && !staging.join(TEMPORARY).is_dir() {
        job.go(Step::Retrieve);
        job.commit(Vec::new()).await?;
        return Ok(Next::Step);
    }

    let folder = job.cx.scratch("parse")?;
    let sandbox = folder.path().join("sandbox");
    fs::create_dir(&sandbox).map_err(|error| StepError::Later(error.to_string()))?;
    // The store's own copy, not the staged one: after a crash the staged one may be partial.
    let files = folder.path().join(RETRIEVED);
    lend::folder(store, retrieved, &files)?;
    let inputs = lend::job_inputs(store, job.process.id, &folder.path().join("inputs"))?;
    let options = job.options()?;
    let mut report = job.state.report.clone().unwrap_or_default();
    report.work_dir = job.process.work_dir.clone().unwrap_or_default();
    report.scheduler_stdout = options.scheduler_stdout;
    report.scheduler_stderr = options.scheduler_stderr;
    let temporary = (!description.retrieve_temporary.is_empty()).then(|| staging.join(TEMPORARY));
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let task = Task::Parse {
        retrieved: path(&files),
        temporary: temporary.as_deref().map(path),
        sandbox: path(&sandbox),
        job: report,
    };
    let work = Work { process_type: job.process.process_type.clone(), inputs, task };
    let outcome = match job.cx.work(&job.process.plugin, &work).await? {
        WorkReply::Outcome(outcome) => outcome,
        _ => Outcome {
            exception: Some("the plugin answered parse with something else".into()),
            ..Outcome::default()
        },
    };
    crash::point("parse.worked");
    let stored = job.cx.store.files(retrieved)?;
    let roots = Roots { sandbox: Some(sandbox), retrieved: Some(files), temporary, stored };
    store_outcome(job, outcome, roots).await?;
    crash::point("parse.stored");
    Ok(Next::Ended)
}
