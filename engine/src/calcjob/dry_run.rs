//! A dry run writes everything that a job would get into a local directory, for inspection. Nothing is stored,
//! nothing is sent.

pub(super) mod checked_launch;

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use ferry_plugin_proto::{RemoteItem, Task, Work, WorkReply, to_value};
use serde::{Deserialize, Serialize};

use checked_launch::CheckedLaunch;

use super::{
    prepare::{self, Taken},
    work_dir::{
        job_inputs::Material,
        layout::{Phase, phases},
        script::{Parts, template},
    },
};
use crate::{
    blocking,
    owner::Context,
    step::{StepError, StepResult},
    transport::{Tree, TreeEntry},
};

/// The result of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    /// The directory.
    pub dir: PathBuf,
    /// Name of the job script in it; `None` for a job that runs nothing.
    pub script: Option<String>,
    /// All files in it, sorted.
    pub files: Vec<String>,
}

/// Names of the lists of files that only the computer itself can copy or link.
const LISTS: [&str; 2] = ["_ferry_remote_copy_list.txt", "_ferry_remote_symlink_list.txt"];

/// Does a dry run in a new directory below `parent`.
///
/// # Errors
/// Errors that would stop the process before its job is submitted; a directory that can't be written.
pub(crate) async fn dry_run(cx: &Context, checked: CheckedLaunch, parent: &Path) -> StepResult<DryRun> {
    let CheckedLaunch { plugin, process_type, computer, options, inputs, nodes, _folder } = checked;
    let scratch = cx.scratch("dry-run")?;
    let sandbox = scratch.path().join("sandbox");
    fs::create_dir(&sandbox).map_err(|error| StepError::Later(error.to_string()))?;
    let uuids: BTreeSet<String> = inputs.values().map(|node| node.uuid.clone()).collect();
    let places = inputs.values().map(|node| (node.uuid.clone(), prepare::place(node))).collect();
    let stored = to_value(&options).and_then(|value| ferry_plugin_proto::from_value(&value));
    let task = Task::Prepare {
        sandbox: sandbox.to_string_lossy().into_owned(),
        options: stored.map_err(StepError::Except)?,
    };
    let description = match cx.work(&plugin, &Work { process_type, inputs, task }).await? {
        WorkReply::Job(description) => description,
        WorkReply::Outcome(outcome) => return Err(StepError::Except(refusal(outcome))),
        WorkReply::Wanted(_) | WorkReply::Judged(_) => {
            return Err(StepError::Except("the plugin's answer to `prepare` is of the wrong kind".into()));
        }
    };
    prepare::check(&description, &uuids)
        .and_then(|()| prepare::check_places(&description, &computer, &places))
        .map_err(StepError::Except)?;
    let objects = cx.store.objects().clone();
    let Taken { description, files } =
        blocking::run(move || prepare::take_in(&objects, &sandbox, description))
            .await
            .map_err(StepError::Later)??;

    let material = Material::new(nodes, files);
    let dir = numbered(parent).map_err(|error| cant_write(parent, &error))?;
    let config = cx.store.computer(&computer)?.config;
    // With the sentinel, the script can be tried by hand.
    let sentinel = TreeEntry::Bytes { bytes: (*b"dry-run\n").into(), executable: false };
    let mut own = vec![(PathBuf::from(".ferry/sentinel"), sentinel)];
    let script = (!description.skip_submit).then(|| options.submit_script_filename.clone());
    if let Some(name) = &script {
        let scheduler = cx.scheduler(&config).map_err(StepError::Except)?;
        let name_of_job = "ferry-dry-run".to_owned();
        let parts = Parts {
            name: name_of_job,
            computer: &config,
            options: &options,
            dir: &dir,
            digest: "dry-run",
            material: &material,
        };
        let text = scheduler.script(&template(&parts, &description)?)?;
        own.push((
            PathBuf::from(name),
            TreeEntry::Bytes { bytes: text.text.into_bytes().into(), executable: true },
        ));
    }
    for (name, items) in LISTS.iter().zip([&description.remote_copies, &description.remote_symlinks]) {
        if !items.is_empty() {
            let text = items.iter().map(|item| line(&material, item)).collect::<StepResult<String>>()?;
            let bytes = text.into_bytes().into();
            own.push((PathBuf::from(name), TreeEntry::Bytes { bytes, executable: false }));
        }
    }
    let phases = phases(&cx.store, &material, &description, own)?;
    let (to, mut files) = (dir.clone(), BTreeSet::new());
    for phase in phases {
        if let Phase::Put(tree) = phase {
            files.extend(write(tree, &to).map_err(|error| cant_write(&to, &error))?);
        }
    }
    Ok(DryRun { dir, script, files: files.into_iter().collect() })
}

fn refusal(outcome: ferry_plugin_proto::Outcome) -> String {
    match (outcome.exception, outcome.exit) {
        (Some(exception), _) => format!("prepare excepted: {exception}"),
        (None, Some(exit)) => format!("prepare finished with exit code {}: {}", exit.status, exit.message),
        (None, None) => "prepare finished without a job".into(),
    }
}

fn line(material: &Material, item: &RemoteItem) -> StepResult<String> {
    let node = material.node(&item.node)?;
    let from = Path::new(node.text("path")).join(&item.path);
    Ok(format!("{}:{} -> {}\n", node.text("computer"), from.display(), item.target))
}

fn cant_write(dir: &Path, error: &io::Error) -> StepError {
    StepError::Except(format!("the dry run can't be written below {}: {error}", dir.display()))
}

/// Makes the next free directory of today, such as AiiDA's `submit_test/20261125-00001`.
fn numbered(parent: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(parent)?;
    let today = crate::clock::now().to_zoned(jiff::tz::TimeZone::system()).strftime("%Y%m%d").to_string();
    for number in 1..100_000 {
        let dir = parent.join(format!("{today}-{number:05}"));
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| dir),
        }
    }
    Err(io::Error::other("there is no free number left for today: remove old dry runs"))
}

/// Writes a tree; returns its files.
fn write(tree: Tree, to: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for (path, entry) in tree.entries {
        let place = to.join(&path);
        fs::create_dir_all(place.parent().unwrap_or(to))?;
        let is_program = match entry {
            TreeEntry::Dir => {
                fs::create_dir_all(&place)?;
                continue;
            }
            TreeEntry::Bytes { bytes, executable } => fs::write(&place, bytes).map(|()| executable)?,
            TreeEntry::File { from, executable } => {
                // The repository's own files are read-only; their copy is not.
                io::copy(&mut fs::File::open(from)?, &mut fs::File::create(&place)?).map(|_| executable)?
            }
            TreeEntry::Symlink(target) => {
                std::os::unix::fs::symlink(target, &place)?;
                false
            }
        };
        if is_program {
            fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
        }
        files.push(path.to_string_lossy().into_owned());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dry_runs_are_numbered_by_day() {
        let dir = tempfile::tempdir().unwrap();
        let parent = dir.path().join("submit_test");
        let names: Vec<_> = (0..2).map(|_| numbered(&parent).unwrap()).collect();
        let name = |place: usize| names[place].file_name().unwrap().to_string_lossy().into_owned();
        assert!(name(0).ends_with("-00001") && name(1).ends_with("-00002"), "{names:?}");
        assert_eq!(name(0).len(), "20261125-00001".len());
    }
}
