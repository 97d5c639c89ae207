//! Monitors. Between two looks of the poller at a running job, each monitor that is due is asked which files it
//! wants to see, gets them, and judges. The saved state of the process holds when each has looked, whether it is
//! left out, and the first decision to stop the job. So a restart loses none of it.
//!
//! A failure of a monitor does not harm the job. The report mentions it, the monitor is asked again, and it is
//! left out after a few failures in a row.

use std::{fs, path::Path, time::Duration};

use ferry_plugin_proto::{
    Exit, Judged, MonitorAction, Outcome, RunningJob, SeenFile, Task, Verdict, WantedFile, Work, WorkReply,
};
use jiff::Timestamp;
use tokio::io::AsyncReadExt;

use super::{
    Calcjob,
    checkpoint::{Monitoring, Stopped},
    transfer::collect::{escape, matches},
};
use crate::{
    clock, crash,
    node::lend::is_inside,
    spec::{MONITORS, Watcher},
    step::{StepError, StepResult},
    store::{Change, Level},
    transport::{ErrorKind, FileKind, Transport},
};

/// AiiDA's exit code for a job that a monitor has stopped.
const STOPPED: u32 = 150;
/// Failures in a row after which a monitor is left out.
const FAILURES: u32 = 3;
/// Shortest time between two looks of a monitor.
const SHORTEST: Duration = Duration::from_secs(1);
/// Most bytes of a file that are fetched.
const BYTES_MAX: u64 = 16 << 20;
/// Most files that a monitor sees.
const FILES_MAX: usize = 200;

/// The reason why a monitor did not judge.
enum LookFailure {
    /// Trouble of the host or the store, or the end of the owner: no fault of the monitor.
    Step(StepError),
    /// A fault of the monitor.
    Failed(String),
}

impl<E: Into<StepError>> From<E> for LookFailure {
    fn from(error: E) -> Self {
        match error.into() {
            error @ (StepError::Store(_)
            | StepError::Host(_)
            | StepError::Scheduler(_)
            | StepError::Parked
            | StepError::Full(_)
            | StepError::Stopping) => LookFailure::Step(error),
            error => LookFailure::Failed(error.to_string()),
        }
    }
}

/// Returns the monitors of a process's job, in the order in which they are asked.
fn watchers(job: &Calcjob<'_>) -> StepResult<Vec<Watcher>> {
    match job.cx.store.node(job.process.id)?.body.get(MONITORS) {
        None => Ok(Vec::new()),
        Some(stored) => ferry_plugin_proto::from_value(stored)
            .map_err(|error| StepError::Except(format!("the stored monitors can't be read: {error}"))),
    }
}

/// Returns the time until the first of them is due; `None`: none will be.
pub(super) fn due_in(job: &Calcjob<'_>) -> StepResult<Option<Duration>> {
    if job.state.stopped.is_some() {
        return Ok(None);
    }
    let now = clock::now();
    let waits = watchers(job)?.into_iter().filter(|watcher| !is_disabled(job, watcher));
    Ok(waits.map(|watcher| wait(job, &watcher, now)).min())
}

fn is_disabled(job: &Calcjob<'_>, watcher: &Watcher) -> bool {
    job.state.monitors.get(&watcher.key).is_some_and(|state| state.disabled)
}

fn wait(job: &Calcjob<'_>, watcher: &Watcher, now: Timestamp) -> Duration {
    let Some(last) = job.state.monitors.get(&watcher.key).and_then(|state| state.last) else {
        return Duration::ZERO;
    };
    let interval = watcher.interval.max(SHORTEST);
    // A clock that was set back does not prolong the wait.
    let since = Duration::try_from(now.duration_since(last)).unwrap_or(interval);
    interval.saturating_sub(since)
}

/// Asks those that are due, until one decides something. The result is on disk when it returns.
///
/// # Errors
/// Trouble of the host or the store: nothing is recorded then.
pub(super) async fn round(job: &mut Calcjob<'_>) -> StepResult {
    let (now, mut changes) = (clock::now(), Vec::new());
    let due = |watcher: &Watcher| !is_disabled(job, watcher) && wait(job, watcher, now).is_zero();
    let due: Vec<Watcher> = watchers(job)?.into_iter().filter(due).collect();
    for watcher in &due {
        let outcome = ask(job, watcher).await;
        let state = job.state.monitors.entry(watcher.key.clone()).or_default();
        match outcome {
            Ok(judged) => {
                *state = Monitoring { last: Some(now), failures: 0, ..state.clone() };
                changes.extend(judged.reports.into_iter().map(|line| job.log(Level::Report, line)));
                if let Some(verdict) = judged.verdict {
                    changes.extend(obey(job, watcher, verdict));
                    break;
                }
            }
            Err(LookFailure::Step(error)) => return Err(error),
            Err(LookFailure::Failed(why)) => {
                let failures = state.failures + 1;
                *state =
                    Monitoring { last: Some(now), failures, disabled: failures >= FAILURES, ..state.clone() };
                let then = match failures >= FAILURES {
                    true => format!("it is disabled after {FAILURES} consecutive failures"),
                    false => "the job continues, and the monitor will be asked again".to_owned(),
                };
                let line = format!("monitor `{}` ({}) failed: {why}; {then}", watcher.key, watcher.name);
                changes.push(job.log(Level::Warning, line));
            }
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    crash::point("monitor.judged");
    job.commit(changes).await?;
    crash::point("monitor.stored");
    Ok(())
}

/// Records a verdict; it is carried out once it is on disk.
fn obey(job: &mut Calcjob<'_>, watcher: &Watcher, verdict: Verdict) -> Vec<Change> {
    let said = match verdict.message.as_str() {
        "" => String::new(),
        message => format!(": {message}"),
    };
    let name = format!("monitor `{}` ({})", watcher.key, watcher.name);
    match verdict.action {
        MonitorAction::Kill => {
            let line = format!("{name} stops the job{said}");
            job.process.status = Some("a monitor requested the end of its job".into());
            job.state.stopped = Some(Stopped { monitor: watcher.key.clone(), verdict, cancelled: false });
            vec![job.log(Level::Warning, line)]
        }
        MonitorAction::DisableAll => {
            for other in watchers(job).unwrap_or_default() {
                job.state.monitors.entry(other.key).or_default().disabled = true;
            }
            vec![job.log(Level::Report, format!("{name} ends all monitoring of the job{said}"))]
        }
        MonitorAction::DisableSelf => {
            job.state.monitors.entry(watcher.key.clone()).or_default().disabled = true;
            vec![job.log(Level::Report, format!("{name} stops monitoring the job{said}"))]
        }
    }
}

/// Asks one monitor for its judgement.
async fn ask(job: &mut Calcjob<'_>, watcher: &Watcher) -> Result<Judged, LookFailure> {
    let wanted = match job.state.monitors.get(&watcher.key).and_then(|state| state.wanted.clone()) {
        Some(wanted) => wanted,
        None => match work(job, watcher, Task::Want {}).await? {
            WorkReply::Wanted(wanted) => wanted,
            _ => return Err(LookFailure::Failed("it does not say which files it needs".into())),
        },
    };
    if let Some(bad) = wanted.iter().find(|wanted| !is_inside(&wanted.path)) {
        return Err(LookFailure::Failed(format!("`{}` is not a path inside the work directory", bad.path)));
    }
    let folder = job.cx.scratch("monitor")?;
    let files = fetch(job, &wanted, folder.path()).await?;
    job.state.monitors.entry(watcher.key.clone()).or_default().wanted = Some(wanted);
    let task = Task::Watch { job: running(job), files };
    let judged = match work(job, watcher, task).await? {
        WorkReply::Judged(judged) => judged,
        _ => return Err(LookFailure::Failed("it gave no verdict".into())),
    };
    match judged.exception {
        Some(exception) => Err(LookFailure::Failed(exception)),
        None => Ok(judged),
    }
}

async fn work(job: &Calcjob<'_>, watcher: &Watcher, task: Task) -> Result<WorkReply, LookFailure> {
    let work = Work { process_type: watcher.name.clone(), inputs: watcher.kwargs.clone(), task };
    Ok(job.cx.look(&watcher.plugin, &work).await?)
}

fn running(job: &Calcjob<'_>) -> RunningJob {
    let process = &job.process;
    RunningJob {
        process: process.uuid.to_string(),
        process_type: process.process_type.clone(),
        computer: job.computer().to_owned(),
        job_id: job.row.job_id.clone().unwrap_or_default(),
        scheduler_state: job.row.scheduler_state.clone().unwrap_or_default(),
        work_dir: job.row.work_dir.clone().unwrap_or_default(),
        time: clock::now().as_microsecond(),
    }
}

/// Fetches those of the wanted files that exist.
async fn fetch(job: &Calcjob<'_>, wanted: &[WantedFile], to: &Path) -> Result<Vec<SeenFile>, LookFailure> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let (_, via) = job.cx.connect(job.computer()).await?;
    let dir = job.state.dir.clone().unwrap_or_default();
    let mut seen: Vec<SeenFile> = Vec::new();
    for wanted in wanted {
        for place in matches(&*via, &dir, &wanted.path).await? {
            if seen.len() >= FILES_MAX {
                return Err(LookFailure::Failed(format!("it requests more than {FILES_MAX} files")));
            }
            let name = place.strip_prefix(&dir).unwrap_or(&place);
            let name = name.to_str().map_or_else(|| escape(name), str::to_owned);
            let local = to.join(seen.len().to_string());
            seen.extend(fetch_one(&*via, &place, wanted.bytes, &local).await?.map(|file| {
                let end = (wanted.bytes > 0).then(|| local.to_string_lossy().into_owned());
                SeenFile { path: name, size: file, end }
            }));
        }
    }
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(seen)
}

/// Fetches at most `bytes` of the end of a file. Returns the file's size; `None` if it is no file any more.
async fn fetch_one(
    via: &dyn Transport,
    place: &Path,
    bytes: u64,
    local: &Path,
) -> Result<Option<u64>, LookFailure> {
    let gone = |kind: &ErrorKind| matches!(kind, ErrorKind::NotFound | ErrorKind::IsADirectory);
    let facts = match via.stat(place).await {
        Ok(facts) if facts.kind == FileKind::File => facts,
        Ok(_) => return Ok(None),
        Err(error) if gone(error.kind()) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if bytes == 0 {
        return Ok(Some(facts.size));
    }
    let bytes = bytes.min(BYTES_MAX);
    let reader = match via.read(place, facts.size.saturating_sub(bytes)).await {
        Ok(reader) => reader,
        Err(error) if gone(error.kind()) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut end = Vec::new();
    let host = |error: std::io::Error| LookFailure::Step(StepError::Host(error.to_string()));
    reader.take(bytes).read_to_end(&mut end).await.map_err(host)?;
    let disk = |error: std::io::Error| LookFailure::Failed(format!("{}: {error}", local.display()));
    fs::write(local, end).map_err(disk)?;
    Ok(Some(facts.size))
}

/// Notes that the job which a monitor wanted to stop is cancelled.
pub(super) async fn cancelled(job: &mut Calcjob<'_>) -> StepResult {
    if let Some(stopped) = &mut job.state.stopped {
        stopped.cancelled = true;
    }
    job.process.wait("waiting for the end of its job, which a monitor has stopped");
    job.commit(Vec::new()).await?;
    crash::point("monitor.cancelled");
    Ok(())
}

fn exit_of(stopped: &Stopped) -> Exit {
    let message = match stopped.verdict.message.as_str() {
        "" => format!("stopped by monitor `{}`", stopped.monitor),
        message => message.to_owned(),
    };
    Exit { status: STOPPED, label: "STOPPED_BY_MONITOR".into(), message }
}

/// Returns the exit code of a job that a monitor has stopped, if it overrides the parser's.
pub(super) fn exit(job: &Calcjob<'_>) -> Option<Exit> {
    let stopped = job.state.stopped.as_ref()?;
    stopped.verdict.override_exit_code.then(|| exit_of(stopped))
}

/// Returns the outcome of a job that is not retrieved, or not parsed, because a monitor said so.
pub(super) fn unparsed(job: &Calcjob<'_>, is_retrieved: bool) -> Option<Outcome> {
    let stopped = job.state.stopped.as_ref()?;
    let goes_on = stopped.verdict.retrieve && (!is_retrieved || stopped.verdict.parse);
    (!goes_on).then(|| Outcome { exit: Some(exit_of(stopped)), ..Outcome::default() })
}

/// Adds the outputs of a monitor; those of the parser have precedence.
pub(super) fn add_outputs(job: &Calcjob<'_>, outcome: &mut Outcome) {
    let given = job.state.stopped.iter().flat_map(|stopped| stopped.verdict.outputs.clone());
    for (label, node) in given {
        outcome.outputs.entry(label).or_insert(node);
    }
}
