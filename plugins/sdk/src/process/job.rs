//! The job that `prepare` describes: files, commands, and what comes home.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use ferry_plugin_proto::{
    CopyStage, JobDescription, JobFile, Program, RemoteItem, Retrieve, Run, RunMode, Source, Value,
};

use crate::{
    error::Result,
    host::report,
    path,
    ports::{
        file::{FileRef, Folder, Origin},
        node::{Code, RemotePath},
    },
    process::{command::Command, option},
};

/// A job in the making. Everything in its sandbox is uploaded, under its own path.
///
/// Paths are relative to the job's work directory; one that leaves it makes `prepare` fail, also where the
/// function that was given it returns nothing.
#[derive(Debug)]
pub struct Job {
    sandbox: PathBuf,
    options: BTreeMap<String, Value>,
    pub(crate) description: JobDescription,
    /// The first wrong call.
    wrong: Option<String>,
}

impl Job {
    pub(crate) fn new(sandbox: PathBuf, options: BTreeMap<String, Value>) -> Self {
        Job { sandbox, options, description: JobDescription::default(), wrong: None }
    }

    /// Makes a file in the sandbox, with its directories.
    ///
    /// # Errors
    /// Fails if the path leaves the sandbox, or if the file can't be made.
    pub fn create(&mut self, path: &str) -> Result<File> {
        let target = self.target(path)?;
        Ok(File::create(&target).map_err(|error| cant_make(path, &error))?)
    }

    /// Writes a file in the sandbox, with its directories.
    ///
    /// # Errors
    /// Fails if the path leaves the sandbox, or if the file can't be written.
    pub fn write(&mut self, path: &str, bytes: impl AsRef<[u8]>) -> Result {
        let target = self.target(path)?;
        Ok(fs::write(&target, bytes).map_err(|error| cant_make(path, &error))?)
    }

    /// Makes a directory in the sandbox; it is uploaded also if it stays empty.
    ///
    /// # Errors
    /// Fails if the path leaves the sandbox, or if the directory can't be made.
    pub fn create_dir(&mut self, path: &str) -> Result {
        let target = self.sandbox.join(path::relative(path)?);
        Ok(fs::create_dir_all(target).map_err(|error| cant_make(path, &error))?)
    }

    /// Returns the sandbox itself, for a library that writes its own files.
    pub fn sandbox(&self) -> &Path {
        &self.sandbox
    }

    /// Puts a file at `target`. A file of an input node is passed by reference.
    pub fn copy(&mut self, file: impl Into<FileRef>, target: impl AsRef<str>) {
        let result = self.add_file(&file.into(), target.as_ref());
        self.note(result);
    }

    /// Puts the files of a folder below the directory `target`; `.` is the work directory itself.
    pub fn copy_folder(&mut self, folder: &Folder, target: impl AsRef<str>) {
        for (path, file) in folder.files() {
            self.copy(file, format!("{}/{path}", target.as_ref()));
        }
    }

    /// Puts what a folder has at `path` at `target`: a file becomes it, a directory brings its contents, and so does the
    /// folder itself, which is `.` or nothing. It makes `prepare` fail if nothing is there.
    pub fn copy_from(&mut self, folder: &Folder, path: &str, target: impl AsRef<str>) {
        let (path, target) = (path.trim_end_matches('/'), target.as_ref());
        if matches!(path, "" | ".") {
            return self.copy_folder(folder, target);
        }
        let mut found = false;
        for (name, file) in folder.files() {
            let Some(rest) = name.strip_prefix(path) else { continue };
            match rest.strip_prefix('/') {
                None if rest.is_empty() => self.copy(file, target),
                Some(inside) => self.copy(file, format!("{target}/{inside}")),
                None => continue,
            }
            found = true;
        }
        self.note(if found { Ok(()) } else { Err(format!("the folder has no file `{path}`")) });
    }

    /// Links `target` to a place on the same computer: `job.symlink(parent.join("out"), "out")`. Directories
    /// around it are made. With a glob, each match is linked under its own name into the directory `target`.
    pub fn symlink(&mut self, remote: impl Into<RemotePath>, target: impl AsRef<str>) {
        if let Some(item) = self.remote_item(remote.into(), target.as_ref()) {
            self.description.remote_symlinks.push(item);
        }
    }

    /// Copies something on the same computer to `target`, as `cp -r` does: what is copied into a directory that is
    /// there (`.` is the work directory itself) keeps its name. With a glob, so does each thing that it finds.
    /// Directories around it are made; a source that is missing stops the job before it is submitted.
    pub fn copy_remote(&mut self, remote: impl Into<RemotePath>, target: impl AsRef<str>) {
        if let Some(item) = self.remote_item(remote.into(), target.as_ref()) {
            self.description.remote_copies.push(item);
        }
    }

    /// Sets the order in which files are put into the work directory. It decides which of two files of one
    /// name stays: a later one replaces an earlier one. The default: the sandbox, then nodes, then the
    /// computer.
    pub fn copy_order(&mut self, order: [CopyStage; 3]) {
        let is_twice = order[0] == order[1] || order[1] == order[2] || order[0] == order[2];
        let checked = if is_twice { Err("`copy_order` names a stage twice".to_owned()) } else { Ok(()) };
        self.note(checked);
        self.description.copy_order = order.into();
    }

    /// Excludes files or whole directories of the sandbox from the provenance: the job gets them, but they
    /// are not kept with the process. Use it for secret, licensed or huge files. They are deleted when the
    /// job has ended.
    pub fn provenance_exclude<P: AsRef<str>>(&mut self, paths: impl IntoIterator<Item = P>) {
        for path in paths {
            if let Some(path) = self.note(path::relative(path.as_ref())) {
                self.description.provenance_exclude.push(path);
            }
        }
    }

    /// Runs all commands at once instead of one after the other. The job ends when the last one has; its exit status
    /// is that of the first command, in the order they were added, that failed.
    pub fn parallel(&mut self) {
        self.description.run_mode = RunMode::Parallel;
    }

    /// Submits nothing: what was uploaded is retrieved at once, for calculations that only move files.
    pub fn skip_submit(&mut self) {
        self.description.skip_submit = true;
    }

    /// Adds a command line that runs a code. Commands run in the order they were added.
    pub fn run(&mut self, code: &Code) -> Command<'_> {
        self.add_run(Program::Code(code.uuid.clone()))
    }

    /// Adds a command line that runs a program of the computer: an absolute path, or a name in its PATH.
    pub fn command(&mut self, program: impl Into<String>) -> Command<'_> {
        self.add_run(Program::Command(program.into()))
    }

    /// Brings files home and keeps them; a plain text is a path or a glob.
    pub fn retrieve<P: Into<Pattern>>(&mut self, patterns: impl IntoIterator<Item = P>) -> &mut Self {
        let patterns = self.patterns(patterns);
        self.description.retrieve.extend(patterns);
        self
    }

    /// Brings files home for `parse` only.
    pub fn retrieve_temporary<P: Into<Pattern>>(
        &mut self,
        patterns: impl IntoIterator<Item = P>,
    ) -> &mut Self {
        let patterns = self.patterns(patterns);
        self.description.retrieve_temporary.extend(patterns);
        self
    }

    /// Adds shell text before the commands. A shell reads it: quote what comes from inputs.
    pub fn prepend_text(&mut self, text: &str) {
        add_text(&mut self.description.prepend_text, text);
    }

    /// Adds shell text after the commands. A shell reads it: quote what comes from inputs.
    pub fn append_text(&mut self, text: &str) {
        add_text(&mut self.description.append_text, text);
    }

    /// Returns the process's options (`metadata.options`).
    pub fn options(&self) -> &BTreeMap<String, Value> {
        &self.options
    }

    /// Returns the name of the input file, which the user or the type's own
    /// [`options`](crate::CalcJob::options) set.
    ///
    /// # Errors
    /// Fails if neither sets it.
    pub fn input_filename(&self) -> Result<String> {
        option::text(&self.options, "input_filename")
    }

    /// Returns the name of the output file in the same way.
    ///
    /// # Errors
    /// Fails if neither the user nor the type sets it.
    pub fn output_filename(&self) -> Result<String> {
        option::text(&self.options, "output_filename")
    }

    /// Adds a line to the process's report.
    pub fn report(&self, line: impl Into<String>) {
        report::report(line.into());
    }

    /// Returns the description, unless one of the calls was wrong.
    pub(crate) fn into_description(self) -> Result<JobDescription, String> {
        match self.wrong {
            Some(wrong) => Err(wrong),
            None if self.description.runs.is_empty() && !self.description.skip_submit => Err(
                "the job runs nothing: call `job.run(&code)`, `job.command(..)` or `job.skip_submit()` in \
                     `prepare`"
                    .to_owned(),
            ),
            None => Ok(self.description),
        }
    }

    /// Remembers the first mistake for the end of `prepare`.
    pub(crate) fn note<T>(&mut self, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(message) => {
                self.wrong.get_or_insert(message);
                None
            }
        }
    }

    fn target(&self, path: &str) -> Result<PathBuf, String> {
        let target = self.sandbox.join(path::relative(path)?);
        if let Some(dir) = target.parent() {
            fs::create_dir_all(dir).map_err(|error| cant_make(path, &error))?;
        }
        Ok(target)
    }

    /// Adds a file. Files of nodes go by reference; any other is put into the sandbox, which is uploaded
    /// anyway.
    fn add_file(&mut self, file: &FileRef, target: &str) -> Result<(), String> {
        match file.origin() {
            Origin::Node { uuid, path, .. } => {
                let source = Source::Node { uuid: uuid.clone(), path: path.clone() };
                let file = JobFile { target: path::relative(target)?, source, executable: false };
                self.description.files.push(file);
                Ok(())
            }
            Origin::Bytes(bytes) => {
                fs::write(self.target(target)?, bytes).map_err(|error| cant_make(target, &error))
            }
            Origin::Path(path) => {
                fs::copy(path, self.target(target)?).map(drop).map_err(|error| cant_make(target, &error))
            }
        }
    }

    fn remote_item(&mut self, remote: RemotePath, target: &str) -> Option<RemoteItem> {
        let inside = if remote.path.is_empty() { Ok(String::new()) } else { path::relative(&remote.path) };
        let path = self.note(inside)?;
        let target = if matches!(target, "." | "./") { Ok(".".to_owned()) } else { path::relative(target) };
        let target = self.note(target)?;
        Some(RemoteItem { node: remote.node, path, target })
    }

    fn add_run(&mut self, program: Program) -> Command<'_> {
        self.description.runs.push(Run {
            program,
            arguments: Vec::new(),
            stdin: None,
            stdout: None,
            stderr: None,
            join_files: false,
            with_mpi: None,
        });
        Command::last_of(self)
    }

    fn patterns<P: Into<Pattern>>(&mut self, patterns: impl IntoIterator<Item = P>) -> Vec<Retrieve> {
        let patterns = patterns.into_iter().map(Into::into);
        patterns
            .filter_map(|Pattern(item)| {
                let pattern = self.note(path::relative(&item.pattern))?;
                let target = match item.target.as_str() {
                    "" | "." => String::new(),
                    target => self.note(path::relative(target))?,
                };
                Some(Retrieve { pattern, target, ..item })
            })
            .collect()
    }
}

fn cant_make(path: &str, error: &std::io::Error) -> String {
    format!("can't make `{path}` in the sandbox: {error}")
}

fn add_text(to: &mut String, text: &str) {
    if !to.is_empty() && !to.ends_with('\n') {
        to.push('\n');
    }
    to.push_str(text);
}

/// A path or a glob of files to retrieve. By default, only the name is kept: `out/a.xml` arrives as `a.xml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Retrieve);

impl Pattern {
    /// Keeps the last `parts` parts of each path.
    #[must_use]
    pub fn depth(mut self, parts: u32) -> Self {
        self.0.depth = Some(parts);
        self
    }

    /// Keeps the whole path.
    #[must_use]
    pub fn whole_path(mut self) -> Self {
        self.0.depth = None;
        self
    }

    /// Puts what is retrieved into this directory of the retrieved files.
    #[must_use]
    pub fn into_dir(mut self, target: impl Into<String>) -> Self {
        self.0.target = target.into();
        self
    }
}

impl<T: Into<String>> From<T> for Pattern {
    fn from(pattern: T) -> Self {
        Pattern(Retrieve { pattern: pattern.into(), depth: Some(0), target: String::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ports::{file::SingleFile, node::RemoteFolder},
        testing::Scratch,
    };
    use std::io::Write as _;

    fn job(scratch: &Scratch) -> Job {
        Job::new(scratch.path().to_owned(), BTreeMap::new())
    }

    #[test]
    fn files_are_made_inside_the_sandbox_only() {
        let scratch = Scratch::new();
        let mut job = job(&scratch);
        job.create("a/b.in").unwrap().write_all(b"x").unwrap();
        job.write("c", "y").unwrap();
        assert_eq!(fs::read(scratch.path().join("a/b.in")).unwrap(), b"x");
        for bad in ["../x", "/etc/x", "a/../../x", ""] {
            assert!(job.create(bad).unwrap_err().to_string().contains(&format!("`{bad}`")));
        }
        assert!(job.create("c/d").unwrap_err().to_string().starts_with("can't make `c/d` in the sandbox"));
    }

    #[test]
    fn a_wrong_path_anywhere_fails_the_whole_preparation() {
        let scratch = Scratch::new();
        let remote = RemoteFolder { uuid: "r".into(), computer: "c".into(), path: "/p".into() };
        let wrong: [fn(&mut Job, &RemoteFolder); 8] = [
            |job, _| job.retrieve([Pattern::from("a").into_dir("../b")]).report("out of the folder"),
            |job, _| job.provenance_exclude(["/etc/x"]),
            |job, _| job.retrieve(["../../etc/passwd"]).report("a wrong retrieve"),
            |job, _| job.retrieve_temporary(["/tmp/*"]).report("another"),
            |job, _| _ = job.command("a").stdout("../o"),
            |job, _| job.copy(FileRef::from_bytes("x"), "../o"),
            |job, remote| job.symlink(remote.join("../other"), "o"),
            |job, remote| job.copy_remote(remote, "/o"),
        ];
        for make in wrong {
            let mut job = job(&scratch);
            job.command("true");
            make(&mut job, &remote);
            assert!(job.into_description().unwrap_err().contains("is not allowed"));
        }
        assert!(job(&scratch).into_description().unwrap_err().contains("runs nothing"));
    }

    #[test]
    fn a_file_of_a_folder_becomes_the_target_and_a_directory_brings_its_contents() {
        let scratch = Scratch::new();
        let mut folder = Folder::default();
        for name in ["sub/a", "sub/deep/b", "subway", "c"] {
            folder.add(name, FileRef::from_bytes(name)).unwrap();
        }
        let mut job = job(&scratch);
        job.copy_from(&folder, "c", "one");
        job.copy_from(&folder, "sub/", "all");
        let text = |path: &str| fs::read_to_string(scratch.path().join(path)).ok();
        assert_eq!(
            ["one", "all/a", "all/deep/b"].map(text).map(Option::unwrap),
            ["c", "sub/a", "sub/deep/b"]
        );
        assert_eq!(text("all/way"), None);
        job.copy_from(&folder, "su", "none");
        assert_eq!(job.into_description().unwrap_err(), "the folder has no file `su`");
    }

    #[test]
    fn a_job_says_what_it_was_told() {
        let scratch = Scratch::new();
        let mut job = job(&scratch);
        let remote = RemoteFolder { uuid: "r".into(), computer: "c".into(), path: "/p".into() };
        job.copy(&SingleFile::from_bytes("x", "inline").unwrap(), "in/x");
        job.symlink(remote.join("out"), "out");
        job.copy_remote(&remote, "all");
        job.command("sh").arg("-c").args(["echo", "1 2"]).stdin("in/x").join_files().with_mpi(false);
        job.retrieve(["*.out"]).retrieve([Pattern::from("a/b").depth(2), Pattern::from("c/d").whole_path()]);
        job.prepend_text("module load x");
        job.prepend_text("export A=1");
        let description = job.into_description().unwrap();
        assert_eq!(fs::read(scratch.path().join("in/x")).unwrap(), b"inline");
        assert_eq!(description.prepend_text, "module load x\nexport A=1");
        assert_eq!(
            description.retrieve.iter().map(|item| item.depth).collect::<Vec<_>>(),
            [Some(0), Some(2), None]
        );
        assert_eq!(description.remote_symlinks[0].path, "out");
        assert_eq!((&*description.remote_copies[0].path, &*description.remote_copies[0].target), ("", "all"));
        assert!(description.copy_order.is_empty() && !description.skip_submit);
        let run = &description.runs[0];
        assert_eq!(run.arguments, ["-c", "echo", "1 2"]);
        assert_eq!((run.stdin.as_deref(), run.join_files, run.with_mpi), (Some("in/x"), true, Some(false)));
    }

    #[test]
    fn a_job_may_run_nothing_if_it_says_so() {
        let scratch = Scratch::new();
        let mut job = job(&scratch);
        job.create_dir("out/empty").unwrap();
        job.provenance_exclude(["./secret", "a/b"]);
        job.copy_order([CopyStage::Remote, CopyStage::Local, CopyStage::Sandbox]);
        job.skip_submit();
        job.parallel();
        let description = job.into_description().unwrap();
        assert!(scratch.path().join("out/empty").is_dir());
        assert_eq!(description.provenance_exclude, ["secret", "a/b"]);
        assert_eq!((description.copy_order[0], description.run_mode), (CopyStage::Remote, RunMode::Parallel));
        let mut twice = self::job(&scratch);
        twice.copy_order([CopyStage::Remote, CopyStage::Local, CopyStage::Remote]);
        assert!(twice.into_description().unwrap_err().contains("twice"));
    }

    #[test]
    fn file_names_are_the_users_or_the_types() {
        let scratch = Scratch::new();
        let options = BTreeMap::from([("input_filename".to_owned(), Value::from("my.in"))]);
        let job = Job::new(scratch.path().to_owned(), options);
        assert_eq!(job.input_filename().unwrap(), "my.in");
        assert!(job.output_filename().unwrap_err().to_string().contains("`output_filename`"));
    }
}
