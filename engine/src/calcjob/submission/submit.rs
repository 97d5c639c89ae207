//! *submit*: the durable intent, the scheduler's answer, and recovery where no answer was recorded.
//!
//! An intent without an outcome is looked up, never repeated. A fresh token is tried only when recovery says that
//! the old one was never used, and never can be.

use std::{collections::BTreeMap, time::Duration};

use crate::calcjob::{
    Calcjob, Next, Step,
    submission::{refused, share},
};
use crate::{
    back_off::BackOff,
    crash, ids,
    scheduler::{Bounds, Demand, JobId, JobRef, Limits, Recovery, Submission},
    step::{StepError, StepResult},
    store::{self, Change, Level},
};

pub(crate) async fn run(job: &mut Calcjob<'_>) -> StepResult<Next> {
    if let Some(next) = refused::settle(job).await? {
        return Ok(next);
    }
    let intent = match job.state.submission.clone() {
        // An earlier owner may have acted on it before a crash.
        Some(submission) => return refused::look_up(job, submission).await,
        None if !refused::is_turn(job).await? => return Ok(Next::Hold),
        None => match declare(job).await? {
            Some(intent) => intent,
            None => return Ok(Next::Gate { refused: false }),
        },
    };
    crash::point("submit.intended");
    let computer = job.row.computer.clone();
    let sent = job.submitters.submit(&computer, intent.clone()).await;
    crash::point("submit.sent");
    match sent {
        Ok(id) => submitted(job, id).await,
        Err(error) => refused::failed(job, intent, error).await,
    }
}

/// Stores the intent and its ticket before anything is sent. Returns `None` if the gate must let it through first.
async fn declare(job: &mut Calcjob<'_>) -> StepResult<Option<Submission>> {
    let computer = job.row.computer.clone();
    let config = job.cx.store.computer(&computer)?.config;
    Limits::of(&config).map_err(|text| StepError::Pause(format!("submit_rate of `{computer}`: {text}")))?;
    let options = job.options()?;
    let demand = options.demand(config.mpiprocs_per_machine).map_err(StepError::Except)?;
    let bounds = match job.grant.take() {
        Some(bounds) => bounds,
        None if needs_leave(job, &computer, &demand).await? => {
            return wait_at_gate(job, &computer, &demand).await;
        }
        None => Bounds::default(),
    };
    share::check(job, &computer, &demand)?;
    let told = share::told(job, &config, &options);
    let missing = || StepError::Except("the work directory is unknown".into());
    let submission = Submission {
        token: ids::token(),
        dir: job.state.dir.clone().ok_or_else(missing)?,
        script: options.submit_script_filename,
        digest: job.state.digest.clone().ok_or_else(missing)?,
        interpreter: config.interpreter(),
        stdout: options.scheduler_stdout,
        stderr: options.scheduler_stderr,
        rerunnable: options.rerunnable,
        label: listing_label(&job.process),
        extras: job.state.extras.clone(),
        home: job.cx.home_cluster(&computer),
        environment: BTreeMap::new(),
        earlier: Vec::new(),
        login_shell: config.login_shell(),
        proven: false,
        allocations: job.cx.schedulers.allocations(),
    };
    let ticket = Change::TakeTicket {
        process: job.process.id,
        computer: computer.clone(),
        token: submission.token.clone(),
        bounds: Some(bounds),
        demand,
    };
    job.state.submission = Some(submission.clone());
    job.process.run(Some(Step::Submit.as_str().to_owned()));
    match job.commit(std::iter::once(ticket).chain(told).collect()).await {
        Err(StepError::Store(error)) if *error.kind() == store::ErrorKind::Limit => {
            job.state.submission = None;
            wait_at_gate(job, &computer, &demand).await
        }
        Err(error) => Err(error),
        // The GPUs that it was given are known only now. They need not be on disk before they are sent.
        Ok(()) => {
            let submission = Submission { environment: share::given(job, &computer, &demand)?, ..submission };
            job.state.submission = Some(submission.clone());
            Ok(Some(submission))
        }
    }
}

/// Returns whether the gate must let it through. Where no limits are known, the host is first asked for the key of
/// its queue, since limits of another computer may hold there. Room on the machine is checked with the ticket. But
/// no process overtakes those that wait for room.
async fn needs_leave(job: &Calcjob<'_>, computer: &str, demand: &Demand) -> StepResult<bool> {
    if job.cx.is_bounded(computer)? {
        return Ok(true);
    }
    let (row, via) = job.cx.connect(job.computer()).await?;
    job.cx.learn_queue(&row.config, &via).await.map_err(|error| {
        let status = format!(
            "waiting until {} reports its queue and its machine's resources, since limits may apply there: {error}",
            row.config.label
        );
        StepError::Wait(status, Duration::from_secs(10))
    })?;
    Ok(job.cx.is_bounded(computer)? || job.cx.is_crowded(computer, demand)?)
}

/// The longest label of a job's name.
const LABEL_MAX: usize = 40;

/// Returns the beginning of a job's name: the process's label in characters that any scheduler takes, or its
/// number.
fn listing_label(process: &store::Process) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || "._+".contains(c) { c } else { '_' };
    let label: String = process.label.trim().chars().map(fits).take(LABEL_MAX).collect();
    if label.chars().any(|c| c.is_ascii_alphanumeric()) { label } else { format!("ferry-{}", process.id) }
}

async fn wait_at_gate(
    job: &mut Calcjob<'_>,
    computer: &str,
    demand: &Demand,
) -> StepResult<Option<Submission>> {
    let lack = share::lack(job, computer, demand)?;
    job.process.wait(lack.unwrap_or_else(|| format!("waiting for a queue slot on {computer}")));
    job.commit(Vec::new()).await?;
    Ok(None)
}

pub(crate) async fn recover(job: &mut Calcjob<'_>, intent: Submission) -> StepResult<Next> {
    match find_job(job, &intent).await? {
        Recovery::Found(id) => {
            tracing::info!(process = %job.process.id, job = %id, "recovered a submission");
            submitted(job, id).await
        }
        Recovery::NeverSubmitted => {
            job.state.submission = None;
            job.state.unclear_since = None;
            // Its place is given back: otherwise the gate would wait for it for ever.
            job.commit(vec![Change::DropTicket(job.process.id)]).await?;
            Ok(Next::Step)
        }
        Recovery::Unclear(reason) => {
            let since = job.mark_unclear();
            let status = format!(
                "submitting: unclear since {}: {reason}; it is looked up again until the outcome is known, or you \
                 decide: `ferry process resubmit {}`",
                since.strftime("%Y-%m-%dT%H:%M:%SZ"),
                job.process.id
            );
            Err(StepError::Wait(status, recovery_delay(since)))
        }
    }
}

/// The waits between two looks at what became of a submission.
const LOOKS: BackOff = BackOff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// Returns the wait before the next look, when the outcome is unclear since then.
pub(crate) fn recovery_delay(since: jiff::Timestamp) -> Duration {
    LOOKS.wait_by_age(crate::clock::now().duration_since(since).unsigned_abs(), 2)
}

/// Asks the scheduler about the outcome of an intent.
pub(crate) async fn find_job(job: &Calcjob<'_>, intent: &Submission) -> StepResult<Recovery> {
    let (computer, via) = job.cx.connect(job.computer()).await?;
    let scheduler = job.cx.scheduler(&computer.config).map_err(StepError::Pause)?;
    let intent = Submission {
        proven: job.cx.is_proven(&computer.config)?,
        earlier: job.state.earlier.clone(),
        ..intent.clone()
    };
    job.cx.learn_home(&computer.config, &via).await;
    let found = scheduler.recover(&*via, &intent).await?;
    if !matches!(found, Recovery::Unclear(_)) {
        job.submitters.settled(job.computer(), &intent.token);
    }
    Ok(found)
}

/// Adopts the copy of the job that took the start gate: it is the job from now on, with its token.
pub(crate) async fn adopt(job: &mut Calcjob<'_>, owner: JobRef) -> StepResult {
    let line = job.log(Level::Warning, format!("job {} passed the start gate and is adopted", owner.id));
    let config = job.cx.store.computer(job.computer())?.config;
    let demand = job.options()?.demand(config.mpiprocs_per_machine).unwrap_or_default();
    let ticket = Change::TakeTicket {
        process: job.process.id,
        computer: job.computer().to_owned(),
        token: owner.token.clone(),
        bounds: None,
        demand,
    };
    let owner = JobRef { id: job.normal(&owner.id), ..owner };
    job.displace(&owner);
    if let Some(submission) = &mut job.state.submission {
        submission.token = owner.token;
    }
    job.state.unclear_since = None;
    job.row.job_id = Some(owner.id.0);
    job.process.wait("waiting for its job");
    job.enter(Step::Update);
    job.commit(vec![line, ticket]).await
}

pub(crate) async fn submitted(job: &mut Calcjob<'_>, id: JobId) -> StepResult<Next> {
    job.state.unclear_since = None;
    // Done in any case: an earlier owner may have held it.
    job.state.held = None;
    job.cx.holds.passed(job.process.id);
    job.row.job_id = Some(job.normal(&id).0);
    job.enter(Step::Update);
    job.process.wait("waiting for its job");
    job.commit(Vec::new()).await?;
    crash::point("submit.stored");
    Ok(Next::Step)
}
