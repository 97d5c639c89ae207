//! *prepare*: the plugin writes files into a sandbox and describes its job. Files and description are committed
//! together, once; the plugin is not asked again for the upload.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use ferry_plugin_proto::{
    Inputs, JobDescription, Node, Program, RemoteItem, Retrieve, Source, Task, Value, Work, WorkReply,
};

use super::{Calcjob, Next, Step, import, outcome::store_outcome};
use crate::{
    blocking, crash,
    node::lend,
    spec::{import::for_plugin, is_monitor},
    step::{Roots, StepError, StepResult, find_type},
    store::{self, Change, FileContent, Level, NodeId, Objects, Reader},
};

pub(super) async fn run(job: &mut Calcjob<'_>) -> StepResult<Next> {
    let folder = job.cx.scratch("prepare")?;
    let sandbox = folder.path().join("sandbox");
    fs::create_dir(&sandbox).map_err(|error| StepError::Later(error.to_string()))?;
    let mut inputs = job_inputs(&job.cx.store, job.process.id, &folder.path().join("inputs"))?;
    let imported = import::folder(job, &inputs)?;
    if imported.is_some() {
        let process_type = find_type(&job.cx.store, &job.process.plugin, &job.process.process_type)?;
        for_plugin(&process_type, &mut inputs);
    }
    let places = inputs.values().map(|node| (node.uuid.clone(), place(node))).collect();
    let uuids: BTreeSet<String> = inputs.values().map(|node| node.uuid.clone()).collect();
    let options = job.cx.store.node(job.process.id)?.body.get("options").cloned().unwrap_or_default();
    let options = ferry_plugin_proto::from_value(&options).unwrap_or_default();
    let task = Task::Prepare { sandbox: sandbox.to_string_lossy().into_owned(), options };
    let work = Work { process_type: job.process.process_type.clone(), inputs, task };

    match job.cx.work(&job.process.plugin, &work).await? {
        WorkReply::Outcome(outcome) => {
            let roots = Roots { sandbox: Some(sandbox), ..Default::default() };
            store_outcome(job, outcome, roots).await?;
            Ok(Next::Ended)
        }
        WorkReply::Wanted(_) | WorkReply::Judged(_) => {
            Err(StepError::Except("the plugin's answer to `prepare` is of the wrong kind".into()))
        }
        WorkReply::Job(mut description) => {
            let reports = std::mem::take(&mut description.reports);
            check(&description, &uuids)
                .and_then(|()| check_places(&description, job.computer(), &places))
                .map_err(StepError::Except)?;
            if let Some(folder) = imported {
                return import::begin(job, description, reports, folder).await;
            }
            let objects = job.cx.store.objects().clone();
            let Taken { description, files } =
                blocking::run(move || take_in(&objects, &sandbox, description))
                    .await
                    .map_err(StepError::Later)??;
            let odd = unmatched(&description.provenance_exclude, &files);
            crash::point("prepare.worked");
            let mut changes = vec![Change::Files { process: job.process.id, files }];
            changes.extend(reports.into_iter().map(|line| job.log(Level::Report, line)));
            changes.extend(odd.into_iter().map(|line| job.log(Level::Warning, line)));
            job.state.job = Some(description);
            job.go(Step::Upload);
            job.commit(changes).await?;
            crash::point("prepare.stored");
            Ok(Next::Step)
        }
    }
}

/// Checks that everything a description names lies inside the work directory, the sandbox or the inputs.
pub(super) fn check(job: &JobDescription, inputs: &BTreeSet<String>) -> Result<(), String> {
    let inside = |what: &str, path: &str| {
        if lend::is_inside(path) && path != ".ferry" && !path.starts_with(".ferry/") {
            return Ok(());
        }
        Err(format!("prepare: {what} `{path}` is not a path inside the work directory"))
    };
    for file in &job.files {
        if file.target != "." || !matches!(file.source, Source::Node { .. }) {
            inside("file", &file.target)?;
        }
        check_source(&file.source, inputs)?;
    }
    for dir in job.directories.iter().chain(&job.provenance_exclude) {
        inside("directory", dir)?;
    }
    let links = job.remote_symlinks.iter().map(|item| (item, item.path.contains(['*', '?', '['])));
    for (item, may_be_root) in links.chain(job.remote_copies.iter().map(|item| (item, true))) {
        if item.target != "." || !may_be_root {
            inside("remote item", &item.target)?;
        }
        if !inputs.contains(&item.node) {
            return Err(format!("prepare: {} is not an input of this process", item.node));
        }
        if !item.path.is_empty() && !lend::is_inside(&item.path) {
            return Err(format!("prepare: `{}` is not a path inside a remote folder", item.path));
        }
    }
    for Retrieve { pattern, target, .. } in job.retrieve.iter().chain(&job.retrieve_temporary) {
        inside("retrieve pattern", pattern)?;
        if !target.is_empty() && !lend::is_inside(target) {
            return Err(format!("prepare: `{target}` is not a path inside the retrieved folder"));
        }
    }
    if job.copy_order.iter().collect::<BTreeSet<_>>().len() != job.copy_order.len()
        || !matches!(job.copy_order.len(), 0 | 3)
    {
        return Err(format!("prepare: the copy order {:?} does not name each stage once", job.copy_order));
    }
    for run in &job.runs {
        for name in [&run.stdin, &run.stdout, &run.stderr].into_iter().flatten() {
            inside("file", name)?;
        }
        match &run.program {
            Program::Code(uuid) if !inputs.contains(uuid) => {
                return Err(format!("prepare: code {uuid} is not an input of this process"));
            }
            Program::Command(command) if command.is_empty() => return Err("prepare: an empty command".into()),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the computer that a node lies on.
pub(super) fn place(node: &Node) -> Option<String> {
    node.value.get("computer").and_then(Value::as_str).map(str::to_owned)
}

/// Checks that everything to be copied or linked on a computer is on the job's own computer.
pub(super) fn check_places(
    job: &JobDescription,
    computer: &str,
    places: &BTreeMap<String, Option<String>>,
) -> Result<(), String> {
    let wrong = |items: &[RemoteItem], verb: &str| {
        let place = |item: &RemoteItem| places.get(&item.node).cloned().flatten();
        let found = items
            .iter()
            .map(|item| (item, place(item)))
            .find(|(_, place)| place.as_deref() != Some(computer));
        found.map(|(item, place)| {
            let place = place.unwrap_or_default();
            format!(
                "prepare: `{}` is to be {verb} from computer `{place}`, but the job runs on `{computer}`, which \
                 can't reach it: run the job on `{place}`, or give the files as a folder",
                item.target
            )
        })
    };
    match wrong(&job.remote_copies, "copied").or_else(|| wrong(&job.remote_symlinks, "linked")) {
        Some(message) => Err(message),
        None => Ok(()),
    }
}

/// Returns a line for each excluded path that the sandbox does not have.
fn unmatched(excluded: &[String], files: &[FileContent]) -> Vec<String> {
    let is_there = |path: &String| {
        let below = format!("{path}/");
        files.iter().any(|file| file.path == *path || file.path.starts_with(&below))
    };
    let line =
        |path: &String| format!("`{path}` is to be left out of the provenance, but is not in the sandbox");
    excluded.iter().filter(|path| !is_there(path)).map(line).collect()
}

fn check_source(source: &Source, inputs: &BTreeSet<String>) -> Result<(), String> {
    match source {
        Source::Sandbox(path) if !lend::is_inside(path) => {
            Err(format!("prepare: `{path}` leaves the sandbox"))
        }
        Source::Node { uuid, .. } if !inputs.contains(uuid) => {
            Err(format!("prepare: {uuid} is not an input of this process"))
        }
        Source::Retrieved(_) | Source::Temporary(_) => Err("prepare: nothing is retrieved yet".into()),
        _ => Ok(()),
    }
}

/// A description whose own files are in the repository.
pub(super) struct Taken {
    pub(super) description: JobDescription,
    pub(super) files: Vec<FileContent>,
}

/// Stores the sandbox's files and the small ones of the message. Files that remain in the description belong to
/// nodes.
pub(super) fn take_in(objects: &Objects, sandbox: &Path, mut job: JobDescription) -> StepResult<Taken> {
    let mut files = Vec::new();
    // A file that the description puts elsewhere is not uploaded under its sandbox name too.
    let mut placed = BTreeSet::new();
    let mut rest = Vec::new();
    for file in std::mem::take(&mut job.files) {
        let content = match &file.source {
            Source::Inline(bytes) => objects.put_bytes(bytes.clone())?,
            Source::Sandbox(path) => {
                placed.insert(path.clone());
                objects.put_file(&no_links(sandbox, path)?)?
            }
            _ => {
                rest.push(file);
                continue;
            }
        };
        files.push(FileContent { path: file.target, content, executable: file.executable });
    }
    job.files = rest;
    let walked = walk(sandbox)?;
    job.directories.extend(walked.empty);
    for (path, executable) in walked.files {
        if !placed.contains(&path) {
            let content = objects.put_file(&sandbox.join(&path))?;
            files.push(FileContent { path, content, executable });
        }
    }
    Ok(Taken { description: job, files })
}

/// Returns the inputs of a calcjob as its plugin sees them: without its monitors, and with small files written below
/// `dir`.
pub(super) fn job_inputs(reader: &Reader, process: NodeId, dir: &Path) -> store::Result<Inputs> {
    let mut inputs = lend::inputs(reader, process, dir)?;
    inputs.retain(|name, _| !is_monitor(name));
    Ok(inputs)
}

/// Returns a path below a directory, if no part of it is a link.
pub(super) fn no_links(root: &Path, path: &str) -> StepResult<PathBuf> {
    lend::no_links(root, path).map_err(StepError::Except)
}

/// The contents of a directory, by relative path.
#[derive(Debug, Default)]
struct Walked {
    /// Regular files, each with true if it is a program.
    files: Vec<(String, bool)>,
    /// Directories with nothing in them.
    empty: Vec<String>,
}

/// Walks a directory. No link is followed.
fn walk(root: &Path) -> StepResult<Walked> {
    let mut found = Walked::default();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        let later =
            |error: io::Error| StepError::Later(format!("reading {}: {error}", root.join(&dir).display()));
        let mut entries = fs::read_dir(root.join(&dir)).map_err(later)?.peekable();
        if entries.peek().is_none() && !dir.as_os_str().is_empty() {
            let name = dir.to_str().ok_or_else(|| no_text(&dir))?;
            found.empty.push(name.to_owned());
        }
        for entry in entries {
            let entry = entry.map_err(later)?;
            let path = dir.join(entry.file_name());
            let name = path.to_str().ok_or_else(|| no_text(&path))?.to_owned();
            let metadata = entry.metadata().map_err(later)?;
            if metadata.is_dir() {
                dirs.push(path);
            } else if metadata.is_file() {
                found.files.push((name, metadata.permissions().mode() & 0o100 != 0));
            } else {
                return Err(StepError::Except(format!(
                    "the plugin left `{name}`, which is a link or another special file; only regular files are taken"
                )));
            }
        }
    }
    found.files.sort();
    found.empty.sort();
    Ok(found)
}

fn no_text(path: &Path) -> StepError {
    StepError::Except(format!("the file name {} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use ferry_plugin_proto::JobFile;

    use super::*;

    #[test]
    fn a_description_may_not_leave_the_work_directory() {
        let file = |target: &str| JobDescription {
            files: vec![JobFile { target: target.into(), source: Source::Inline(vec![]), executable: false }],
            ..JobDescription::default()
        };
        assert!(check(&file("a/b"), &BTreeSet::new()).is_ok());
        for bad in ["../x", "/etc/x", ".ferry/run", ".ferry", ""] {
            assert!(check(&file(bad), &BTreeSet::new()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_copy_order_names_each_stage_once() {
        use ferry_plugin_proto::CopyStage::{Local, Remote, Sandbox};
        let order = |order: &[ferry_plugin_proto::CopyStage]| {
            let job = JobDescription { copy_order: order.to_vec(), ..JobDescription::default() };
            check(&job, &BTreeSet::new())
        };
        assert!(order(&[]).is_ok() && order(&[Remote, Sandbox, Local]).is_ok());
        assert!(order(&[Remote]).is_err() && order(&[Remote, Remote, Local]).is_err());
    }

    #[test]
    fn what_is_on_another_computer_is_not_at_hand() {
        let item = RemoteItem { node: "n".into(), path: String::new(), target: "parent".into() };
        let job = JobDescription { remote_symlinks: vec![item], ..JobDescription::default() };
        let places = BTreeMap::from([("n".to_owned(), Some("far".to_owned()))]);
        assert!(check_places(&job, "far", &places).is_ok());
        let refused = check_places(&job, "near", &places).unwrap_err();
        assert!(
            refused.contains("linked from computer `far`") && refused.contains("runs on `near`"),
            "{refused}"
        );
    }

    #[test]
    fn what_is_left_out_of_the_provenance_must_be_there() {
        let file = |path: &str| FileContent {
            path: path.into(),
            content: crate::store::Content::Inline(Vec::new()),
            executable: false,
        };
        let excluded = ["a".to_owned(), "b/c".to_owned(), "d".to_owned()];
        let odd = unmatched(&excluded, &[file("a/x"), file("b/c"), file("dd")]);
        assert!(odd.len() == 1 && odd[0].contains("`d`"), "{odd:?}");
    }

    #[test]
    fn links_in_the_sandbox_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("good"), "x").unwrap();
        fs::create_dir_all(dir.path().join("a/empty")).unwrap();
        let walked = walk(dir.path()).unwrap();
        assert_eq!(
            (walked.files, walked.empty),
            (vec![("good".to_owned(), false)], vec!["a/empty".to_owned()])
        );
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        assert!(matches!(walk(dir.path()).map(drop), Err(StepError::Except(text)) if text.contains("link")));
        assert!(no_links(dir.path(), "link").is_err());
        assert!(no_links(dir.path(), "good").is_ok());
    }
}
