//! How a calcjob ends: finished with or without an exit code, excepted, killed. Its last commit.

use ferry_plugin_proto::{Exit, JobReport};

use super::{Calcjob, StepResult};
use crate::{
    crash,
    process::State,
    scheduler::Marker,
    store::{Change, Level},
};

/// The job ended without an exit marker: its computer stopped, or somebody killed it hard.
const LOST: u32 = 140;

pub(super) async fn finish(job: &mut Calcjob<'_>, changes: Vec<Change>) -> StepResult {
    job.process.exit_status = Some(0);
    end(job, State::Finished, changes).await
}

pub(super) async fn finish_with(job: &mut Calcjob<'_>, exit: Exit, mut changes: Vec<Change>) -> StepResult {
    let text = match exit.label.as_str() {
        "" => exit.message.clone(),
        label => format!("{label}: {}", exit.message),
    };
    changes.push(job.log(Level::Error, format!("finished with exit code {}: {text}", exit.status)));
    job.process.exit_status = Some(exit.status);
    job.process.exit_message = Some(text);
    end(job, State::Finished, changes).await
}

pub(super) async fn except(job: &mut Calcjob<'_>, message: String, mut changes: Vec<Change>) -> StepResult {
    changes.push(job.log(Level::Error, format!("excepted: {message}")));
    job.process.exit_message = Some(message);
    end(job, State::Excepted, changes).await
}

/// Killed, by a user's wish.
pub(crate) async fn end_killed(job: &mut Calcjob<'_>, message: &str, mut changes: Vec<Change>) -> StepResult {
    job.process.exit_message = Some(message.to_owned());
    changes.push(job.log(Level::Report, message));
    end(job, State::Killed, changes).await?;
    crash::point("kill.stored");
    Ok(())
}

async fn end(job: &mut Calcjob<'_>, state: State, mut changes: Vec<Change>) -> StepResult {
    changes.push(Change::DropTicket(job.process.id));
    // An excepted process may be taken up again, and then needs them.
    if state != State::Excepted {
        changes.extend(job.forget_excluded());
    }
    job.process.state = state;
    job.process.status = None;
    job.process.paused = false;
    job.commit(changes).await?;
    // What lay here between two steps is needed no more; what stays after a crash is swept at the next start.
    let _ = std::fs::remove_dir_all(job.cx.paths.staging(&job.process.uuid));
    Ok(())
}

/// What the engine itself concludes from how a job ended.
fn engine_exit(marker: &Marker, raw: Option<&str>, computer: &str) -> Option<Exit> {
    if marker.exit.is_some() {
        return None;
    }
    let how = raw.map(|raw| format!(" (the scheduler says {raw})")).unwrap_or_default();
    let message = if marker.run.is_some() {
        format!("the job ended without an exit status: it was killed, or its computer stopped{how}")
    } else {
        format!(
            "the job ended before its script began{how}: it was cancelled, or the compute nodes do not see its \
             work directory; `ferry computer test {computer} --job` tells"
        )
    };
    Some(Exit { status: LOST, label: "ERROR_SCHEDULER_NODE_FAILURE".into(), message })
}

/// The report of a job of this computer for its parser.
pub(crate) fn report(marker: &Marker, raw: Option<String>, computer: &str) -> JobReport {
    JobReport {
        exit_status: marker.exit,
        scheduler_state: raw.clone(),
        engine_exit: engine_exit(marker, raw.as_deref(), computer),
        ..JobReport::default()
    }
}

/// Excepted, outside of a step's own end.
pub(crate) async fn end_excepted(job: &mut Calcjob<'_>, message: String) -> StepResult {
    except(job, message, Vec::new()).await
}
