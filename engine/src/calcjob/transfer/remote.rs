//! Copies and links of files that are on the computer already. As with `cp -r` and `ln -s`, a copy into an
//! existing directory keeps its name, a file replaces a file, and a glob brings all that it finds. Unlike them, it
//! makes the directories around a target.

use std::path::{Path, PathBuf};

use ferry_plugin_proto::{JobDescription, RemoteItem};

use crate::calcjob::work_dir::job_inputs::Material;
use crate::{
    step::{StepError, StepResult},
    transport::{ErrorKind, FileKind, Transport},
};

/// Does all the copies and links that a description asks for. Returns warnings for the report.
pub(crate) async fn bring(
    via: &dyn Transport,
    material: &Material,
    job: &JobDescription,
    root: &Path,
) -> StepResult<Vec<String>> {
    let mut odd = Vec::new();
    via.mkdirs(root).await?;
    for item in &job.remote_copies {
        let target = root.join(inner(&item.target));
        for (from, is_named) in sources(via, material, item, "copy", &mut odd).await? {
            let to = if is_named { landing(via, &from, &target).await? } else { target.join(name(&from)?) };
            keep_out(root, &to)?;
            via.mkdirs(to.parent().unwrap_or(root)).await?;
            merge(via, from, to).await?;
        }
    }
    for item in &job.remote_symlinks {
        let target = root.join(inner(&item.target));
        for (from, is_named) in sources(via, material, item, "link", &mut odd).await? {
            let to = if is_named { target.clone() } else { target.join(name(&from)?) };
            keep_out(root, &to)?;
            via.mkdirs(to.parent().unwrap_or(root)).await?;
            via.symlink(&from, &to).await.map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => StepError::Except(format!(
                    "`{}` can't become a link: something with that name already exists",
                    item.target
                )),
                _ => error.into(),
            })?;
        }
    }
    Ok(odd)
}

/// Returns the target inside the work directory; `.` is the work directory itself.
fn inner(target: &str) -> &str {
    if target == "." { "" } else { target }
}

fn name(path: &Path) -> StepResult<&std::ffi::OsStr> {
    path.file_name()
        .ok_or_else(|| StepError::Except(format!("`{}` has no name that could be kept", path.display())))
}

/// Refuses a target in `.ferry`, which holds ferry's own files: the start gate and the sentinel of another job
/// would stop this one.
fn keep_out(root: &Path, to: &Path) -> StepResult {
    match to.strip_prefix(root).is_ok_and(|inside| inside.starts_with(".ferry")) {
        true => {
            Err(StepError::Except("nothing can be copied to `.ferry`, which is reserved for ferry".into()))
        }
        false => Ok(()),
    }
}

/// Returns the sources of an item, each with true if the item names it itself. That is one path, which must exist
/// to be copied, or all that a glob finds.
async fn sources(
    via: &dyn Transport,
    material: &Material,
    item: &RemoteItem,
    verb: &str,
    odd: &mut Vec<String>,
) -> StepResult<Vec<(PathBuf, bool)>> {
    let node = material.node(&item.node)?;
    let folder = node.text("path");
    if !folder.starts_with('/') {
        return Err(StepError::Except(format!("{} is not a remote folder", node.name)));
    }
    let place = if item.path.is_empty() { PathBuf::from(folder) } else { Path::new(folder).join(&item.path) };
    if item.path.contains(['*', '?', '[']) {
        let found = via.glob(&place).await?;
        if found.is_empty() {
            odd.push(format!("nothing to {verb} for `{}` of {} ({folder})", item.path, node.name));
        }
        return Ok(found.into_iter().map(|path| (path, false)).collect());
    }
    let is_there = match via.lstat(&place).await {
        Ok(_) => true,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => false,
        Err(error) => return Err(error.into()),
    };
    match (is_there, verb) {
        (false, "copy") => Err(StepError::Pause(format!(
            "{} is to be copied to `{}`, but does not exist: {} was cleaned, or its job did not write it; nothing \
             was submitted; restore it and `ferry process play`, or `ferry process kill`",
            place.display(),
            item.target,
            node.name
        ))),
        (false, _) => {
            odd.push(format!("`{}` is a link to {}, which is not there", item.target, place.display()));
            Ok(vec![(place, true)])
        }
        (true, _) => Ok(vec![(place, true)]),
    }
}

/// Returns where a copy ends up: inside an existing directory, else as the target itself.
async fn landing(via: &dyn Transport, from: &Path, target: &Path) -> StepResult<PathBuf> {
    match via.stat(target).await {
        Ok(there) if there.kind == FileKind::Dir => Ok(target.join(name(from)?)),
        Ok(_) => Ok(target.to_owned()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(target.to_owned())
        }
        Err(error) => Err(error.into()),
    }
}

/// Copies, replacing files by files and merging directories.
async fn merge(via: &dyn Transport, from: PathBuf, to: PathBuf) -> StepResult {
    let mut todo = vec![(from, to)];
    while let Some((from, to)) = todo.pop() {
        let there = match via.lstat(&to).await {
            Ok(there) => Some(there.kind),
            Err(error) if *error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let is_dir = via.lstat(&from).await?.kind == FileKind::Dir;
        match (there, is_dir) {
            (None, _) => via.copy(&from, &to).await?,
            (Some(FileKind::Dir), true) => {
                let entries = via.list(&from).await?.into_iter();
                todo.extend(entries.map(|entry| (from.join(&entry.name), to.join(&entry.name))));
            }
            (Some(FileKind::Dir), false) | (Some(_), true) => {
                let (from, to) = (from.display(), to.display());
                return Err(StepError::Except(format!(
                    "{from} can't be copied to {to}: one is a directory, the other is not"
                )));
            }
            (Some(_), false) => {
                via.remove_file(&to).await?;
                via.copy(&from, &to).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_of_another_job_is_not_copied_over_this_ones() {
        let root = Path::new("/work/up");
        for (to, fine) in [(".ferry", false), (".ferry/run", false), ("old/.ferry", true), (".ferry-x", true)]
        {
            assert_eq!(keep_out(root, &root.join(to)).is_ok(), fine, "{to}");
        }
    }

    #[test]
    fn the_work_directory_itself_is_a_dot() {
        assert_eq!((inner("."), inner("a/b")), ("", "a/b"));
        assert!(name(Path::new("/")).is_err());
    }
}
