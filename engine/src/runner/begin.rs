//! How a calcjob takes in what was seen of its job while it waited.

use super::poller::Observation;
use crate::{
    calcjob::{self, Calcjob, Step, StepResult},
    crash,
    process::State,
    scheduler::Marker,
    store::{Change, Level},
};

/// A created process runs now; a waiting one takes in what was seen of its job.
pub(super) async fn begin(job: &mut Calcjob<'_>, observation: Option<Observation>) -> StepResult {
    if job.process.state == State::Created {
        job.process.state = State::Running;
        job.process.status = Some(job.state.step.as_str().to_owned());
        return job.commit(Vec::new()).await;
    }
    match observation {
        Some(Observation::Granted(bounds)) => {
            job.grant = Some(bounds);
            Ok(())
        }
        _ if job.state.step != Step::Update => Ok(()),
        None => Ok(()),
        Some(Observation::Adopt(id)) => {
            let line = job.log(Level::Warning, format!("job {id} took the start gate and is adopted"));
            job.process.job_id = Some(id.0);
            job.commit(vec![line]).await
        }
        Some(Observation::Vanished) => vanished(job).await,
        Some(Observation::Ended(report)) => {
            job.process.scheduler_state =
                Some(report.scheduler_state.clone().unwrap_or_else(|| "done".into()));
            job.state.report = Some(*report);
            job.go(Step::Retrieve);
            crash::point("observed");
            job.commit(vec![Change::DropTicket(job.process.id)]).await?;
            crash::point("update.stored");
            Ok(())
        }
    }
}

/// Jobs that a scheduler may forget before their process fails.
const FORGOTTEN: u32 = 5;

/// The scheduler forgot the job before it began: it is submitted again, with a fresh token. Should the old one
/// turn up after all, the start gate lets only one of them run.
async fn vanished(job: &mut Calcjob<'_>) -> StepResult {
    let id = job.process.job_id.take().unwrap_or_default();
    job.state.forgotten += 1;
    if job.state.forgotten > FORGOTTEN {
        job.process.job_id = Some(id);
        let marker = Marker::default();
        let computer = job.process.computer.clone().unwrap_or_default();
        job.state.report = Some(calcjob::report(&marker, None, &computer));
        job.go(Step::Retrieve);
        return job.commit(vec![Change::DropTicket(job.process.id)]).await;
    }
    let line =
        job.log(Level::Warning, format!("the scheduler forgot job {id} before it began; submitting anew"));
    job.process.scheduler_state = None;
    job.state.submission = None;
    job.go(Step::Submit);
    job.commit(vec![line, Change::DropTicket(job.process.id)]).await
}
