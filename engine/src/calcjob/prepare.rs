//! *prepare*: the plugin writes files into a sandbox and describes its job. Committed once, files and
//! description together; the plugin is not asked again for the upload.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use ferry_plugin_proto::{JobDescription, Program, Retrieve, Source, Task, Work, WorkReply};

use super::{Calcjob, Next, Step, StepError, StepResult, lend, outcome::store_outcome};
use crate::store::{Change, FileContent, Level, Objects};
use crate::{blocking, crash};

pub(super) async fn run(job: &mut Calcjob<'_>) -> StepResult<Next> {
    let folder = job.cx.scratch("prepare")?;
    let sandbox = folder.path().join("sandbox");
    fs::create_dir(&sandbox).map_err(|error| StepError::Later(error.to_string()))?;
    let inputs = lend::job_inputs(&job.cx.store, job.process.id, &folder.path().join("inputs"))?;
    let uuids: BTreeSet<String> = inputs.values().map(|node| node.uuid.clone()).collect();
    let options = job.cx.store.node(job.process.id)?.body.get("options").cloned().unwrap_or_default();
    let options = ferry_plugin_proto::from_value(&options).unwrap_or_default();
    let task = Task::Prepare { sandbox: sandbox.to_string_lossy().into_owned(), options };
    let work = Work { process_type: job.process.process_type.clone(), inputs, task };

    match job.cx.work(&job.process.plugin, &work).await? {
        WorkReply::Outcome(outcome) => {
            let roots = super::outcome::Roots { sandbox: Some(sandbox), ..Default::default() };
            store_outcome(job, outcome, roots).await?;
            Ok(Next::Ended)
        }
        WorkReply::Wanted(_) | WorkReply::Judged(_) => {
            Err(StepError::Except("the plugin answered prepare with something else".into()))
        }
        WorkReply::Job(mut description) => {
            let reports = std::mem::take(&mut description.reports);
            check(&description, &uuids).map_err(StepError::Except)?;
            let objects = job.cx.store.objects().clone();
            let (description, files) = blocking::run(move || take_in(&objects, &sandbox, description))
                .await
                .map_err(StepError::Later)??;
            crash::point("prepare.worked");
            let mut changes = vec![Change::Files { process: job.process.id, files }];
            changes.extend(reports.into_iter().map(|line| job.log(Level::Report, line)));
            job.state.job = Some(description);
            job.go(Step::Upload);
            job.commit(changes).await?;
            crash::point("prepare.stored");
            Ok(Next::Step)
        }
    }
}

/// Everything a description names must lie inside the work directory, the sandbox or the inputs.
fn check(job: &JobDescription, inputs: &BTreeSet<String>) -> Result<(), String> {
    let inside = |what: &str, path: &str| {
        if lend::is_inside(path) && path != ".ferry" && !path.starts_with(".ferry/") {
            return Ok(());
        }
        Err(format!("prepare: {what} `{path}` is not a path inside the work directory"))
    };
    for file in &job.files {
        inside("file", &file.target)?;
        check_source(&file.source, inputs)?;
    }
    for item in job.remote_symlinks.iter().chain(&job.remote_copies) {
        inside("remote item", &item.target)?;
        if !inputs.contains(&item.node) {
            return Err(format!("prepare: {} is no input of this process", item.node));
        }
        if !item.path.is_empty() && !lend::is_inside(&item.path) {
            return Err(format!("prepare: `{}` is not a path inside a remote folder", item.path));
        }
    }
    for Retrieve { pattern, .. } in job.retrieve.iter().chain(&job.retrieve_temporary) {
        inside("retrieve pattern", pattern)?;
    }
    for run in &job.runs {
        for name in [&run.stdin, &run.stdout, &run.stderr].into_iter().flatten() {
            inside("file", name)?;
        }
        match &run.program {
            Program::Code(uuid) if !inputs.contains(uuid) => {
                return Err(format!("prepare: code {uuid} is no input of this process"));
            }
            Program::Command(command) if command.is_empty() => return Err("prepare: an empty command".into()),
            _ => {}
        }
    }
    Ok(())
}

fn check_source(source: &Source, inputs: &BTreeSet<String>) -> Result<(), String> {
    match source {
        Source::Sandbox(path) if !lend::is_inside(path) => {
            Err(format!("prepare: `{path}` leaves the sandbox"))
        }
        Source::Node { uuid, .. } if !inputs.contains(uuid) => {
            Err(format!("prepare: {uuid} is no input of this process"))
        }
        Source::Retrieved(_) | Source::Temporary(_) => Err("prepare: nothing is retrieved yet".into()),
        _ => Ok(()),
    }
}

/// Stores the sandbox's files and the small ones of the message; what stays in the description names nodes.
fn take_in(
    objects: &Objects,
    sandbox: &Path,
    mut job: JobDescription,
) -> StepResult<(JobDescription, Vec<FileContent>)> {
    let mut files = Vec::new();
    // A file that the description places somewhere else is not uploaded under its sandbox name too.
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
    for (path, executable) in walk(sandbox)? {
        if !placed.contains(&path) {
            let content = objects.put_file(&sandbox.join(&path))?;
            files.push(FileContent { path, content, executable });
        }
    }
    Ok((job, files))
}

/// A path below a directory in which no part is a link.
pub(super) fn no_links(root: &Path, path: &str) -> StepResult<PathBuf> {
    if !lend::is_inside(path) {
        return Err(StepError::Except(format!("`{path}` leaves its folder")));
    }
    let mut place = root.to_owned();
    for part in Path::new(path).components() {
        place.push(part);
        let found = fs::symlink_metadata(&place).map_err(|error| {
            StepError::Except(format!("the plugin names the file `{path}`, which can't be read: {error}"))
        })?;
        if found.is_symlink() {
            return Err(StepError::Except(format!(
                "the plugin made a link at `{path}`; links are not followed"
            )));
        }
    }
    Ok(place)
}

/// The regular files below a directory, by relative path, and whether each is a program. No link is followed.
pub(super) fn walk(root: &Path) -> StepResult<Vec<(String, bool)>> {
    let mut found = Vec::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        let later =
            |error: io::Error| StepError::Later(format!("reading {}: {error}", root.join(&dir).display()));
        for entry in fs::read_dir(root.join(&dir)).map_err(later)? {
            let entry = entry.map_err(later)?;
            let path = dir.join(entry.file_name());
            let Some(name) = path.to_str().map(str::to_owned) else {
                return Err(StepError::Except(format!("the file name {} is not UTF-8", path.display())));
            };
            let metadata = entry.metadata().map_err(later)?;
            if metadata.is_dir() {
                dirs.push(path);
            } else if metadata.is_file() {
                found.push((name, metadata.permissions().mode() & 0o100 != 0));
            } else {
                return Err(StepError::Except(format!(
                    "the plugin left `{name}`, which is a link or no plain file; only plain files are taken"
                )));
            }
        }
    }
    found.sort();
    Ok(found)
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
    fn links_in_the_sandbox_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("good"), "x").unwrap();
        assert_eq!(walk(dir.path()).unwrap(), [("good".to_owned(), false)]);
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        assert!(matches!(walk(dir.path()), Err(StepError::Except(text)) if text.contains("link")));
        assert!(no_links(dir.path(), "link").is_err());
        assert!(no_links(dir.path(), "good").is_ok());
    }
}
