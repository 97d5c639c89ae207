//! The outcome of a plugin's work: output nodes, reports, and how the process ends. Outputs are checked against
//! the type's ports. They are kept beside an exit code or an exception.

use ferry_plugin_proto::Outcome;

use super::{Calcjob, end, monitor, transfer::stash};
use crate::{
    step::{Roots, StepResult, add_outputs, find_type},
    store::{Change, Level},
};

/// Stores an outcome and ends a calcjob with it.
pub(crate) async fn store_outcome(job: &mut Calcjob<'_>, mut outcome: Outcome, roots: Roots) -> StepResult {
    monitor::add_outputs(job, &mut outcome);
    let mut changes: Vec<Change> =
        outcome.reports.iter().map(|line| job.log(Level::Report, line.clone())).collect();
    let process_type = find_type(&job.cx.store, &job.process.plugin, &job.process.process_type)?;
    let engine_exit = job.state.report.as_ref().and_then(|report| report.engine_exit.clone());
    // A monitor that stops a job cancels it.
    let engine_exit = engine_exit.filter(|exit| job.state.stopped.is_none() || exit.status != end::CANCELLED);
    let added = add_outputs(&job.cx.store, &process_type, job.process.uuid, &outcome, roots).await?;
    changes.extend(added.changes);
    if let Some(exception) = outcome.exception {
        return end::except(job, exception, changes).await;
    }
    // A monitor that stopped the job has precedence. The exit code of the calculation says more than that of its
    // stash, which the report mentions anyway.
    let exit =
        monitor::exit(job).or(outcome.exit).or(engine_exit).or_else(|| stash::exit(job)).or(added.exit);
    end::finish(job, exit.as_ref(), changes).await
}
