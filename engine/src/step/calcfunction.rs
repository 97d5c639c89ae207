//! Running a calcfunction: the plugin's work runs once or, after a crash, again; its outputs are committed once.

use std::{fs, sync::Arc, time::Duration};

use ferry_plugin_proto::{Task, Work, WorkReply};

use crate::{
    crash,
    node::lend,
    owner::Context,
    process::State,
    step::{Added, Roots, StepError, StepResult, add_outputs, find_type},
    store::{Change, Level, Process},
};

/// Duration below which a function is never shown as running.
const QUICK: Duration = Duration::from_millis(100);

/// Runs a calcfunction to its end.
///
/// # Errors
/// Fails as a step does; nothing is committed then.
///
/// # Cancel safety
/// May be dropped at any time; it then runs again.
pub(crate) async fn run(cx: &Arc<Context>, mut process: Process) -> StepResult {
    let folder = cx.scratch("call")?;
    let sandbox = folder.path().join("sandbox");
    fs::create_dir(&sandbox).map_err(|error| StepError::Later(error.to_string()))?;
    let inputs = lend::inputs(&cx.store, process.id, &folder.path().join("inputs"))?;
    let task = Task::Call { sandbox: sandbox.to_string_lossy().into_owned() };
    let work = Work { process_type: process.process_type.clone(), inputs, task };
    let WorkReply::Outcome(outcome) = call(cx, &mut process, &work).await? else {
        return Err(StepError::Except("the plugin answered a call with a job".into()));
    };
    crash::point("function.worked");

    let process_type = find_type(&cx.store, &process.plugin, &process.process_type)?;
    let roots = Roots { sandbox: Some(sandbox), ..Roots::default() };
    let Added { mut changes, exit } =
        add_outputs(&cx.store, &process_type, process.uuid, &outcome, roots).await?;
    let id = process.id;
    let log = |level, message| Change::Log { process: id, level, message };
    if process.state == State::Created {
        changes.push(begin(&mut process));
    }
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
    crash::point("function.stored");
    Ok(())
}

/// Sets the state to *running*, and returns the change.
fn begin(process: &mut Process) -> Change {
    process.state = State::Running;
    let change = Change::Update(Box::new(process.clone()));
    process.version += 1;
    change
}

/// Calls the plugin. A slow function is shown as running; for a quick one that change is part of the last commit.
async fn call(cx: &Context, process: &mut Process, work: &Work) -> StepResult<WorkReply> {
    let digest = process.plugin.clone();
    let reply = cx.work(&digest, work);
    tokio::pin!(reply);
    if process.state == State::Created {
        tokio::select! {
            biased;
            reply = &mut reply => return Ok(reply?),
            () = tokio::time::sleep(QUICK) => {}
        }
        let change = begin(process);
        cx.store.commit(vec![change]).await?;
    }
    Ok(reply.await?)
}
