//! *retrieve*: files are fetched into a staging directory, then stored in the `retrieved` node. Files that are
//! only for the parser stay in the staging directory. If that is gone by then, parse comes back here.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ferry_plugin_proto::{Exit, JobDescription, Retrieve, Value};

use crate::calcjob::{Calcjob, Next, Step, import, monitor, outcome::store_outcome, prepare};
use crate::{
    blocking, crash, ids,
    node::lend,
    spec::Options,
    step::{Roots, StepError, StepResult},
    store::{Change, FileContent, Level, LinkType, NewData, Objects},
    transport::{ErrorKind, FileKind, QUIET, Transport},
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
    let (_, via) = job.cx.connect(job.computer()).await?;
    let dir =
        job.state.dir.clone().ok_or_else(|| StepError::Except("the work directory is unknown".into()))?;
    import::look(job, &*via).await?;
    let description = job.state.job.clone().unwrap_or_default();
    let options = job.options()?;
    let staging = job.cx.paths.staging(&job.process.uuid);
    empty(&staging)?;

    let Fetched { names, mut missing, mut twice } =
        fetch(&*via, &dir, &keep_list(&description, &options), &staging.join(RETRIEVED)).await?;
    let temporary = fetch(&*via, &dir, &description.retrieve_temporary, &staging.join(TEMPORARY)).await?;
    missing.extend(temporary.missing);
    twice.extend(temporary.twice);
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
    let mut changes: Vec<Change> = missing.chain(twice).map(|line| job.log(Level::Warning, line)).collect();
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
#[derive(Debug, Default)]
struct Fetched {
    /// Relative names of the fetched files.
    names: Vec<String>,
    /// Patterns that matched nothing.
    missing: Vec<String>,
    /// Warnings about several files of one name.
    twice: Vec<String>,
}

/// Fetches the files that a list names.
async fn fetch(via: &dyn Transport, dir: &Path, list: &[Retrieve], to: &Path) -> StepResult<Fetched> {
    let mut pairs = BTreeMap::new();
    let mut fetched = Fetched::default();
    for item in list {
        let found = matches(via, dir, &item.pattern).await?;
        if found.is_empty() {
            fetched.missing.push(item.pattern.clone());
        }
        for place in found {
            let relative = place.strip_prefix(dir).unwrap_or(&place).to_owned();
            let name = Path::new(&item.target).join(kept_name(&relative, item.depth));
            let replaced = add(via, &place, &name, &mut pairs).await?;
            fetched.twice.extend(replaced.into_iter().map(|(name, old)| {
                let old = old.strip_prefix(dir).unwrap_or(&old).display();
                format!("several retrieved files have the name `{name}`; `{old}` is not kept")
            }));
        }
    }
    let jobs: Vec<(PathBuf, PathBuf)> =
        pairs.iter().map(|(name, from)| (from.clone(), to.join(name))).collect();
    via.get_files(&jobs, QUIET).await?;
    fetched.names = pairs.into_keys().collect();
    Ok(fetched)
}

pub(crate) async fn matches(via: &dyn Transport, dir: &Path, pattern: &str) -> StepResult<Vec<PathBuf>> {
    let place = dir.join(pattern);
    if pattern.contains(['*', '?', '[']) {
        return Ok(via.glob(&place).await?);
    }
    match via.stat(&place).await {
        Ok(_) => Ok(vec![place]),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the last `depth` parts of a path: for 0 and 1 its name alone, for `None` all of it.
fn kept_name(relative: &Path, depth: Option<u32>) -> PathBuf {
    let parts: Vec<_> = relative.components().collect();
    let keep = depth.map_or(parts.len(), |depth| (depth.max(1) as usize).min(parts.len()));
    parts[parts.len() - keep..].iter().collect()
}

/// Adds a file, or a directory with everything below it. Returns the files that it replaces under the same name.
async fn add(
    via: &dyn Transport,
    place: &Path,
    name: &Path,
    pairs: &mut BTreeMap<String, PathBuf>,
) -> StepResult<Vec<(String, PathBuf)>> {
    let mut replaced = Vec::new();
    let mut todo = vec![(place.to_owned(), name.to_owned(), true)];
    while let Some((place, name, follow)) = todo.pop() {
        let found = if follow { via.stat(&place).await? } else { via.lstat(&place).await? };
        match found.kind {
            FileKind::Dir => {
                for entry in via.list(&place).await? {
                    // Links below a retrieved directory are followed to files, never to directories, which may
                    // loop.
                    if entry.metadata.kind == FileKind::Symlink
                        && !matches!(via.stat(&place.join(&entry.name)).await, Ok(target) if target.kind == FileKind::File)
                    {
                        continue;
                    }
                    let follow = entry.metadata.kind == FileKind::Symlink;
                    todo.push((place.join(&entry.name), name.join(&entry.name), follow));
                }
            }
            FileKind::File => {
                let text = name.to_str().filter(|name| lend::is_inside(name)).ok_or_else(|| {
                    StepError::Except(format!("the retrieved name {} is not UTF-8", name.display()))
                })?;
                let old = pairs.insert(text.to_owned(), place.clone()).filter(|old| *old != place);
                replaced.extend(old.map(|old| (text.to_owned(), old)));
            }
            FileKind::Symlink | FileKind::Other => {}
        }
    }
    Ok(replaced)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_keeps_trailing_parts() {
        let name = |path: &str, depth| kept_name(Path::new(path), depth).to_string_lossy().into_owned();
        assert_eq!(name("a/b/c.txt", Some(1)), "c.txt");
        assert_eq!(name("a/b/c.txt", Some(0)), "c.txt");
        assert_eq!(name("a/b/c.txt", Some(2)), "b/c.txt");
        assert_eq!(name("a/b/c.txt", Some(9)), "a/b/c.txt");
        assert_eq!(name("a/b/c.txt", None), "a/b/c.txt");
    }
}
