//! Running a calcfunction: the plugin's work, once or, after a crash, again; its outputs commit once.

use std::{fs, sync::Arc};

use ferry_plugin_proto::{Task, Work, WorkReply};

use super::State;
use crate::{
    calcjob::{Added, Roots, StepError, StepResult, add_outputs, find_type, lend},
    runner::Context,
    store::{Change, Level, Process},
};

/// Runs a calcfunction to its end.
///
/// # Errors
/// Those of a step; nothing is committed then.
///
/// # Cancel safety
/// May be dropped at any time; it then runs again.
pub(crate) async fn run(cx: &Arc<Context>, mut process: Process) -> StepResult {
    if process.state == State::Created {
        process.state = State::Running;
        cx.store.commit(vec![Change::Update(Box::new(process.clone()))]).await?;
        process.version += 1;
    }
    let folder = cx.scratch("call")?;
    let sandbox = folder.path().join("sandbox");
    fs::create_dir(&sandbox).map_err(|error| StepError::Later(error.to_string()))?;
    let inputs = lend::inputs(&cx.store, process.id, &folder.path().join("inputs"))?;
    let task = Task::Call { sandbox: sandbox.to_string_lossy().into_owned() };
    let work = Work { process_type: process.process_type.clone(), inputs, task };
    let WorkReply::Outcome(outcome) = cx.work(&process.plugin, &work).await? else {
        return Err(StepError::Except("the plugin answered a call with a job".into()));
    };

    let process_type = find_type(&cx.store, &process.plugin, &process.process_type)?;
    let roots = Roots { sandbox: Some(sandbox), ..Roots::default() };
    let Added { mut changes, exit } =
        add_outputs(&cx.store, &process_type, process.uuid, &outcome, roots).await?;
    let log = |level, message| Change::Log { process: process.id, level, message };
    changes.extend(outcome.reports.into_iter().map(|line| log(Level::Report, line)));
    process.state = State::Finished;
    process.exit_status = Some(0);
    if let Some(exception) = outcome.exception {
        changes.push(log(Level::Error, format!("excepted: {exception}")));
        process.state = State::Excepted;
        process.exit_status = None;
        process.exit_message = Some(exception);
    } else if let Some(exit) = outcome.exit.or(exit) {
        let text =
            if exit.label.is_empty() { exit.message } else { format!("{}: {}", exit.label, exit.message) };
        changes.push(log(Level::Error, format!("finished with exit code {}: {text}", exit.status)));
        process.exit_status = Some(exit.status);
        process.exit_message = Some(text);
    }
    process.status = None;
    changes.push(Change::Update(Box::new(process)));
    cx.store.commit(changes).await?;
    Ok(())
}
