//! The planned work directory: which files are written in which order, worked out before anything is sent. Pure.
//!
//! The rules are AiiDA's. First comes the sandbox, then files of nodes, then files that are on the computer
//! already, unless the plugin chose another order. A later file replaces an earlier one. A folder brings its
//! contents, directories around a file are made, and a file never takes the place of a directory.

use std::{
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use ferry_plugin_proto::{CopyStage, JobDescription, JobFile, Source};

use crate::calcjob::work_dir::job_inputs::Material;
use crate::{
    node::code::is_portable,
    step::{StepError, StepResult},
    store::{Content, FileContent, Reader},
    transport::{Tree, TreeEntry},
};

/// AiiDA's order.
const ORDER: [CopyStage; 3] = [CopyStage::Sandbox, CopyStage::Local, CopyStage::Remote];

/// One step of filling a work directory.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Write these files.
    Put(Tree),
    /// Copy and link files that are on the computer.
    Remote,
}

/// Returns the phases of an upload. `engine` are ferry's own files, which nothing replaces.
pub(crate) fn phases(
    reader: &Reader,
    material: &Material,
    job: &JobDescription,
    engine: Vec<(PathBuf, TreeEntry)>,
) -> StepResult<Vec<Phase>> {
    let order = if job.copy_order.is_empty() { &ORDER[..] } else { &job.copy_order };
    let has_remote = !job.remote_copies.is_empty() || !job.remote_symlinks.is_empty();
    let mut phases = Vec::new();
    let mut laid = Laid::default();
    let programs = portable(reader, material, job, &mut laid)?;
    for stage in order {
        match stage {
            CopyStage::Sandbox => sandbox(reader, material, job, &mut laid)?,
            CopyStage::Local => {
                for file in &job.files {
                    local(reader, material, file, &mut laid)?;
                }
            }
            CopyStage::Remote if has_remote => {
                phases.extend([Phase::Put(std::mem::take(&mut laid).tree), Phase::Remote]);
            }
            CopyStage::Remote => {}
        }
        if let Some(program) = programs.iter().find(|program| laid.replaced.contains(*program)) {
            let text = format!(
                "the job would write the file `{}`, which is the program of a portable \
                     code",
                program.display()
            );
            return Err(StepError::Except(text));
        }
    }
    // ferry's files replace any others: a job without its sentinel would not start.
    for (path, entry) in engine {
        laid.tree.entries.insert(path, entry);
    }
    phases.push(Phase::Put(laid.tree));
    Ok(phases)
}

/// Adds the files of codes that come with the job. Returns their programs.
fn portable(
    reader: &Reader,
    material: &Material,
    job: &JobDescription,
    laid: &mut Laid,
) -> StepResult<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for item in material.codes(job)?.into_iter().filter(|item| is_portable(&item.body)) {
        let program = item.text("filepath_executable");
        for file in &item.files {
            laid.file(Path::new(&file.path), entry(reader, file, file.path == program)?)?;
        }
        programs.push(PathBuf::from(program));
    }
    laid.replaced.clear();
    Ok(programs)
}

fn sandbox(reader: &Reader, material: &Material, job: &JobDescription, laid: &mut Laid) -> StepResult {
    for dir in &job.directories {
        laid.dir(Path::new(dir))?;
    }
    for file in &material.own {
        laid.file(Path::new(&file.path), entry(reader, file, false)?)?;
    }
    Ok(())
}

/// Adds one file of a node. If the path is empty or a directory, adds all files below it.
fn local(reader: &Reader, material: &Material, file: &JobFile, laid: &mut Laid) -> StepResult {
    let Source::Node { uuid, path } = &file.source else { return Ok(()) };
    let item = material.node(uuid)?;
    // `.` is the work directory itself.
    let target = if file.target == "." { Path::new("") } else { Path::new(&file.target) };
    let mut found = false;
    for stored in &item.files {
        let inside = stored
            .path
            .strip_prefix(path.as_str())
            .filter(|rest| rest.is_empty() || path.is_empty() || rest.starts_with('/'));
        let Some(rest) = inside.map(|rest| rest.trim_start_matches('/')) else { continue };
        found = true;
        // A whole `file` node becomes the target itself; a folder's files keep their places below it.
        let is_whole = rest.is_empty() || (path.is_empty() && item.data_type == "file");
        let target = if is_whole { target.to_owned() } else { target.join(rest) };
        laid.file(&target, entry(reader, stored, file.executable)?)?;
    }
    match found || (path.is_empty() && item.data_type != "file") {
        true => Ok(()),
        false => Err(StepError::Except(format!("input {} has no file `{path}`", item.name))),
    }
}

/// Returns the entry for a file, which is not copied if it is in the repository.
pub(crate) fn entry(reader: &Reader, file: &FileContent, executable: bool) -> StepResult<TreeEntry> {
    let executable = executable || file.executable;
    Ok(match &file.content {
        Content::Inline(bytes) => TreeEntry::Bytes { bytes: Arc::from(bytes.as_slice()), executable },
        Content::Object { digest, .. } => TreeEntry::File { from: reader.object_file(digest)?, executable },
    })
}

/// A tree that is being built.
#[derive(Debug, Default)]
struct Laid {
    tree: Tree,
    /// Files that took the place of others.
    replaced: Vec<PathBuf>,
}

impl Laid {
    fn file(&mut self, path: &Path, entry: TreeEntry) -> StepResult {
        if path.as_os_str().is_empty() || self.is_dir(path) {
            let shown = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            return Err(StepError::Except(format!(
                "a file can't replace the directory `{}`: give a file name inside it",
                shown.display()
            )));
        }
        self.check_parents(path)?;
        if self.tree.entries.insert(path.to_owned(), entry).is_some() {
            self.replaced.push(path.to_owned());
        }
        Ok(())
    }

    fn dir(&mut self, path: &Path) -> StepResult {
        self.check_parents(path)?;
        if self.is_dir(path) {
            return Ok(());
        }
        match self.tree.entries.insert(path.to_owned(), TreeEntry::Dir) {
            None => Ok(()),
            Some(_) => Err(blocked(path, path)),
        }
    }

    /// Returns whether a path is a directory, by its own entry or by one below it.
    fn is_dir(&self, path: &Path) -> bool {
        let after = self.tree.entries.range::<Path, _>((Bound::Excluded(path), Bound::Unbounded)).next();
        matches!(self.tree.entries.get(path), Some(TreeEntry::Dir))
            || after.is_some_and(|(next, _)| next.starts_with(path))
    }

    fn check_parents(&self, path: &Path) -> StepResult {
        let is_file = |above: &&Path| !matches!(self.tree.entries.get(*above), None | Some(TreeEntry::Dir));
        match path.ancestors().skip(1).find(is_file) {
            Some(file) => Err(blocked(path, file)),
            None => Ok(()),
        }
    }
}

fn blocked(path: &Path, file: &Path) -> StepError {
    let (path, file) = (path.display(), file.display());
    StepError::Except(format!("`{path}` needs a directory where the file `{file}` is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(steps: &[(&str, bool)]) -> Result<Vec<String>, String> {
        let mut laid = Laid::default();
        for (path, is_dir) in steps {
            let bytes = TreeEntry::Bytes { bytes: Arc::from(*b"x"), executable: false };
            let done = if *is_dir { laid.dir(Path::new(path)) } else { laid.file(Path::new(path), bytes) };
            done.map_err(|error| error.to_string())?;
        }
        Ok(laid.tree.entries.keys().map(|path| path.display().to_string()).collect())
    }

    #[test]
    fn files_and_directories_do_not_take_each_others_place() {
        assert_eq!(laid(&[("a", true), ("a/b", false), ("a/b", false)]).unwrap(), ["a", "a/b"]);
        assert_eq!(laid(&[("a/b", false), ("a", true)]).unwrap(), ["a/b"]);
        for steps in
            [[("a", true), ("a", false)], [("a/b", false), ("a", false)], [("", false), ("x", false)]]
        {
            assert!(laid(&steps).unwrap_err().contains("can't replace the directory"), "{steps:?}");
        }
        for steps in [[("a", false), ("a/b", false)], [("a", false), ("a", true)]] {
            assert!(laid(&steps).unwrap_err().contains("where the file `a` is"), "{steps:?}");
        }
        // Paths are ordered by component, so the contents of a directory follow it.
        assert_eq!(laid(&[("a/b", false), ("a-b", false), ("a.c", false)]).unwrap().len(), 3);
    }
}
