//! *retrieve*: files are fetched into a staging directory, then stored in the `retrieved` node. Files that are
//! only for the parser stay in the staging directory. If that is gone by then, parse comes back here.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use ferry_plugin_proto::{Exit, JobDescription, Retrieve, Value};

use tokio::sync::Notify;

use super::collect::{Bounds, Collected, collect};
use crate::calcjob::{Calcjob, Next, Step, import, monitor, outcome::store_outcome, prepare};
use crate::{
    blocking, crash, ids,
    node::lend,
    spec::Options,
    step::{Roots, StepError, StepResult},
    store::{Change, FileContent, Level, LinkType, NewData, Objects},
    transport::{ErrorKind, Transport},
};

/// Name of the directory for kept files, below the process's staging directory.
pub(crate) const RETRIEVED: &str = "retrieved";
/// Name of the directory for the parser's temporary files, below the process's staging directory.
pub(crate) const TEMPORARY: &str = "temporary";

pub(crate) async fn run(job: &mut Calcjob<'_>) -> StepResult<Next> {
    if let Some(outcome) = monitor::unparsed(job, false) {
        store_outcome(job, outcome, Roots::default()).await?;
        return Ok(Next::Ended);
    }
    let (row, via) = job.cx.connect(job.computer()).await?;
    let bounds = Bounds { files: row.config.retrieve_max_files(), bytes: row.config.retrieve_max_bytes() };
    let dir =
        job.state.dir.clone().ok_or_else(|| StepError::Except("the work directory is unknown".into()))?;
    import::look(job, &*via).await?;
    let description = job.state.job.clone().unwrap_or_default();
    let options = job.options()?;
    let staging = job.cx.paths.staging(&job.process.uuid);
    empty(&staging)?;

    let Fetched { names, mut missing, mut warnings } =
        fetch(&*via, &dir, &keep_list(&description, &options), &staging.join(RETRIEVED), bounds).await?;
    let temporary =
        fetch(&*via, &dir, &description.retrieve_temporary, &staging.join(TEMPORARY), bounds).await?;
    missing.extend(temporary.missing);
    warnings.extend(temporary.warnings);
    if names.is_empty() && !missing.is_empty() {
        still_there(job, &*via, &dir).await?;
    }
    // The job wrote nothing at all, not even the files that its scheduler writes for it.
    if names.is_empty() && !description.skip_submit {
        let report = job.state.report.get_or_insert_default();
        report.engine_exit.get_or_insert_with(nothing_retrieved);
    }
    let engine_files = [&options.scheduler_stdout, &options.scheduler_stderr];
    missing.retain(|pattern| !engine_files.contains(&pattern));

    let missing = missing.iter().map(|pattern| format!("nothing to retrieve for `{pattern}`"));
    let mut changes: Vec<Change> =
        missing.chain(warnings).map(|line| job.log(Level::Warning, line)).collect();
    if !already_stored(job)? {
        changes.extend(folder_node(job, names, staging.join(RETRIEVED)).await?);
    }
    crash::point("retrieve.fetched");
    job.go(Step::Parse);
    job.commit(changes).await?;
    crash::point("retrieve.stored");
    Ok(Next::Step)
}

/// Returns AiiDA's exit code for a calculation of which nothing was retrieved.
pub(crate) fn nothing_retrieved() -> Exit {
    Exit {
        status: 100,
        label: "ERROR_NO_RETRIEVED_FOLDER".into(),
        message: "nothing was retrieved, not even the scheduler's output".into(),
    }
}

/// Checks that the work directory exists. Nothing to retrieve may mean that nothing was written, or that the whole
/// directory is missing.
async fn still_there(job: &Calcjob<'_>, via: &dyn Transport, dir: &Path) -> StepResult {
    match via.stat(dir).await {
        Err(error) if *error.kind() == ErrorKind::NotFound => Err(StepError::Later(format!(
            "the work directory {} is gone from computer `{}`: it was removed, or its file system is not mounted; \
             the process continues when it is back; otherwise `ferry process kill {}`",
            dir.display(),
            job.computer(),
            job.process.id
        ))),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// Returns whether the node is stored. A second retrieve, for the temporary files, finds that of the first.
fn already_stored(job: &Calcjob<'_>) -> StepResult<bool> {
    Ok(job.cx.store.outgoing(job.process.id)?.iter().any(|link| link.label == "retrieved"))
}

fn empty(staging: &Path) -> StepResult {
    let failed = |error: std::io::Error| StepError::Later(format!("{}: {error}", staging.display()));
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    for name in [RETRIEVED, TEMPORARY] {
        fs::create_dir_all(staging.join(name)).map_err(failed)?;
    }
    Ok(())
}

fn keep_list(description: &JobDescription, options: &Options) -> Vec<Retrieve> {
    let plain =
        |pattern: &String| Retrieve { pattern: pattern.clone(), depth: Some(1), target: String::new() };
    let more = [&options.scheduler_stdout, &options.scheduler_stderr]
        .into_iter()
        .chain(&options.additional_retrieve_list);
    let mut list = description.retrieve.clone();
    for pattern in more.filter(|pattern| lend::is_inside(pattern)) {
        if !list.iter().any(|item| item.pattern == *pattern) {
            list.push(plain(pattern));
        }
    }
    list
}

/// The result of fetching a list.
struct Fetched {
    /// Relative names of the fetched files.
    names: Vec<String>,
    /// Patterns that matched nothing.
    missing: Vec<String>,
    /// Warnings about names.
    warnings: Vec<String>,
}

/// Fetches the files that a list names.
async fn fetch(
    via: &dyn Transport,
    dir: &Path,
    list: &[Retrieve],
    to: &Path,
    bounds: Bounds,
) -> StepResult<Fetched> {
    let Collected { files, missing, warnings, bytes, .. } = collect(via, dir, list, bounds).await?;
    let jobs: Vec<(PathBuf, PathBuf)> =
        files.iter().map(|(name, from)| (from.clone(), to.join(name))).collect();
    within(via, &jobs, bytes, bounds).await?;
    Ok(Fetched { names: files.into_keys().collect(), missing, warnings })
}

/// Fetches files, and stops if they grow as they are read, beyond what may come.
async fn within(via: &dyn Transport, jobs: &[(PathBuf, PathBuf)], listed: u64, bounds: Bounds) -> StepResult {
    let (fetched, full) = (AtomicU64::new(0), Notify::new());
    let progress = |bytes| {
        if fetched.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > bounds.bytes {
            full.notify_one();
        }
    };
    tokio::select! {
        done = via.get_files(jobs, &progress) => Ok(done?),
        () = full.notified() => Err(StepError::Later(format!(
            "files grew while they were fetched: {listed} bytes became more than {}, which is \
             `retrieve_max_bytes` of the computer; does the job still write?",
            bounds.bytes
        ))),
    }
}

async fn folder_node(job: &Calcjob<'_>, names: Vec<String>, root: PathBuf) -> StepResult<[Change; 2]> {
    let objects = job.cx.store.objects().clone();
    let files = blocking::run(move || take_in(&objects, &root, names)).await.map_err(StepError::Later)??;
    let uuid = ids::fresh();
    let data = NewData {
        uuid,
        data_type: "folder".into(),
        label: String::new(),
        description: String::new(),
        body: Value::Map(BTreeMap::new()),
        files,
        computer: None,
    };
    let link = Change::Link {
        source: job.process.uuid,
        target: uuid,
        link_type: LinkType::Create,
        label: "retrieved".into(),
    };
    Ok([Change::Data(data), link])
}

fn take_in(objects: &Objects, root: &Path, names: Vec<String>) -> StepResult<Vec<FileContent>> {
    let one = |path: String| {
        let content = objects.put_file(&prepare::no_links(root, &path)?)?;
        Ok(FileContent { path, content, executable: false })
    };
    names.into_iter().map(one).collect()
}
