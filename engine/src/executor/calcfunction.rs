//! Running a calcfunction: the plugin's work runs once or, after a crash, again; its outputs are committed once.

use std::{sync::Arc, time::Duration};

use ferry_plugin_proto::{Task, Work, WorkReply};

use super::sandbox::Sandbox;
use crate::{
    crash,
    node::lend,
    owner::Context,
    process::State,
    step::{Added, Roots, StepError, StepResult, add_outputs, find_type},
    store::{Level, Process},
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
    let sandbox = Sandbox::new(cx)?;
    let inputs = lend::inputs(&cx.store, process.id, sandbox.inputs())?;
    let task = Task::Call { sandbox: sandbox.path().to_string_lossy().into_owned() };
    let work = Work { process_type: process.process_type.clone(), inputs, task };
    let WorkReply::Outcome(outcome) = call(cx, &mut process, &work).await? else {
        return Err(StepError::Except("the plugin's answer to a call is a job".into()));
    };
    crash::point("function.worked");

    let process_type = find_type(&cx.store, &process.plugin, &process.process_type)?;
    let roots = Roots { sandbox: Some(sandbox.path().to_owned()), ..Roots::default() };
    let Added { mut changes, exit } =
        add_outputs(&cx.store, &process_type, process.uuid, &outcome, roots).await?;
    changes.extend(process.start());
    changes.extend(outcome.reports.into_iter().map(|line| process.log(Level::Report, line)));
    changes.extend(match outcome.exception {
        Some(exception) => process.except(exception),
        None => process.finish(outcome.exit.or(exit).as_ref()),
    });
    changes.push(process.update());
    cx.store.commit(changes).await?;
    crash::point("function.stored");
    Ok(())
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
        cx.store.commit(process.start().into_iter().collect()).await?;
    }
    Ok(reply.await?)
}
