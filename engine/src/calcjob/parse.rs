//! *parse*: the plugin reads the retrieved files and makes outputs. Nothing remote happens here.

use std::fs;

use ferry_plugin_proto::{Inputs, Outcome, Task, Work, WorkReply};

use super::{
    Calcjob, Next, Step, end, monitor,
    outcome::store_outcome,
    prepare::job_inputs,
    transfer::retrieve::{RETRIEVED, TEMPORARY, nothing_retrieved},
};
use crate::{
    crash,
    node::lend,
    spec::{
        Parser,
        import::{for_plugin, is_import},
    },
    step::{Roots, StepError, StepResult, find_type},
};

pub(super) async fn run(job: &mut Calcjob<'_>) -> StepResult<Next> {
    if let Some(outcome) = monitor::unparsed(job, true) {
        store_outcome(job, outcome, Roots::default()).await?;
        return Ok(Next::Ended);
    }
    let store = &job.cx.store;
    let found = store.outgoing(job.process.id)?.into_iter().find(|link| link.label == "retrieved");
    let Some(retrieved) = found.map(|link| link.target) else {
        end::finish(job, Some(&nothing_retrieved()), Vec::new()).await?;
        return Ok(Next::Ended);
    };
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
    let inputs = job_inputs(store, job.process.id, &folder.path().join("inputs"))?;
    let (parser, inputs) = parser(job, inputs)?;
    let options = job.options()?;
    let all_options = job.cx.store.node(job.process.id)?.body.get("options").cloned().unwrap_or_default();
    let mut report = job.state.report.clone().unwrap_or_default();
    report.work_dir = job.row.work_dir.clone().unwrap_or_default();
    report.scheduler_stdout = options.scheduler_stdout;
    report.scheduler_stderr = options.scheduler_stderr;
    let temporary = (!description.retrieve_temporary.is_empty()).then(|| staging.join(TEMPORARY));
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let task = Task::Parse {
        retrieved: path(&files),
        temporary: temporary.as_deref().map(path),
        sandbox: path(&sandbox),
        job: report,
        options: ferry_plugin_proto::from_value(&all_options).unwrap_or_default(),
    };
    let work = Work { process_type: parser.process_type, inputs, task };
    let outcome = match job.cx.work(&parser.plugin, &work).await? {
        WorkReply::Outcome(outcome) => outcome,
        _ => Outcome {
            exception: Some("the plugin's answer to `parse` is of the wrong kind".into()),
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

/// Returns the type whose `parse` reads the results, and the inputs that it knows. It is the process's own type,
/// or that of the option `parser_name` as it was when the process was launched.
fn parser(job: &Calcjob<'_>, mut inputs: Inputs) -> StepResult<(Parser, Inputs)> {
    let store = &job.cx.store;
    let body = store.node(job.process.id)?.body;
    if is_import(&body) {
        let own = find_type(store, &job.process.plugin, &job.process.process_type)?;
        for_plugin(&own, &mut inputs);
    }
    match Parser::of(&body).map_err(StepError::Except)? {
        Some(parser) => {
            let process_type = find_type(store, &parser.plugin, &parser.process_type)?;
            let inputs = Parser::inputs(&process_type, inputs).map_err(StepError::Except)?;
            Ok((parser, inputs))
        }
        None => {
            let process_type = job.process.process_type.clone();
            Ok((Parser { plugin: job.process.plugin.clone(), process_type }, inputs))
        }
    }
}
