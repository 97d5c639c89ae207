//! A job that has ended, as `parse` sees it: the retrieved files, and the end of the job.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use ferry_plugin_proto::{Exit, JobReport, Value};

use crate::{error::Result, glob, host::report, path, ports::file::SingleFile, process::option};

/// A job that has ended.
#[derive(Debug)]
pub struct Finished {
    retrieved: PathBuf,
    temporary: Option<PathBuf>,
    job: JobReport,
    options: BTreeMap<String, Value>,
}

impl Finished {
    pub(crate) fn new(retrieved: PathBuf, temporary: Option<PathBuf>, job: JobReport) -> Self {
        Finished { retrieved, temporary, job, options: BTreeMap::new() }
    }

    pub(crate) fn with_options(self, options: BTreeMap<String, Value>) -> Self {
        Finished { options, ..self }
    }

    pub(crate) fn retrieved(&self) -> &Path {
        &self.retrieved
    }

    pub(crate) fn temporary_dir(&self) -> Option<&Path> {
        self.temporary.as_deref()
    }

    /// Returns the text of a retrieved file; `None` if there is no such file. Bytes that are not UTF-8 become
    /// U+FFFD; [`read_bytes`](Self::read_bytes) has them as they are.
    ///
    /// # Errors
    /// Fails if the path is not relative, or if the file can't be read.
    pub fn read(&self, path: &str) -> Result<Option<String>> {
        Ok(self.read_bytes(path)?.map(into_text))
    }

    /// Returns the bytes of a retrieved file; `None` if there is no such file.
    ///
    /// # Errors
    /// Fails if the path is not relative, or if the file can't be read.
    pub fn read_bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        read_if_there(&self.path(path)?)
    }

    /// Returns at most the last `bytes` bytes of a retrieved file as text, for error messages; `None` if
    /// there is no such file.
    ///
    /// # Errors
    /// Fails if the path is not relative, or if the file can't be read.
    pub fn tail(&self, path: &str, bytes: u64) -> Result<Option<String>> {
        let path = self.path(path)?;
        if !path.is_file() {
            return Ok(None);
        }
        Ok(Some(read_tail(&path, bytes).map_err(|error| cant_read(&path, &error))?))
    }

    /// Returns the path of a retrieved file, whether it exists or not, for a library that opens the file
    /// itself.
    ///
    /// # Errors
    /// Fails if the path is not relative.
    pub fn path(&self, path: &str) -> Result<PathBuf> {
        Ok(self.retrieved.join(path::relative(path)?))
    }

    /// Returns a retrieved file as an output, by reference; `None` if there is no such file.
    ///
    /// # Errors
    /// Fails if the path is not relative.
    pub fn file(&self, path: &str) -> Result<Option<SingleFile>> {
        let full = self.path(path)?;
        Ok(if full.is_file() { Some(SingleFile::from_path(full)?) } else { None })
    }

    /// Returns whether a file or directory was retrieved.
    pub fn exists(&self, path: &str) -> bool {
        self.path(path).is_ok_and(|path| path.exists())
    }

    /// Returns all retrieved files, as relative paths, sorted.
    ///
    /// # Errors
    /// Fails if a directory can't be read.
    pub fn list(&self) -> Result<Vec<String>> {
        Ok(path::files_below(&self.retrieved).map_err(|error| cant_read(&self.retrieved, &error))?)
    }

    /// Returns the retrieved files and directories that match a path or a glob (`out/*.xml`), sorted.
    ///
    /// # Errors
    /// Fails if a directory can't be read.
    pub fn glob(&self, pattern: &str) -> Result<Vec<String>> {
        let path = path::relative(pattern)?;
        // A file may well be called `a[1].dat`.
        if self.exists(&path) {
            return Ok(vec![path]);
        }
        if !glob::is_pattern(pattern) {
            return Ok(Vec::new());
        }
        let mut found = with_directories(&self.list()?);
        found.retain(|path| glob::matches(pattern, path));
        Ok(found)
    }

    /// Returns the path of a temporarily retrieved file, whether it exists or not; `None` if nothing was
    /// retrieved temporarily.
    ///
    /// # Errors
    /// Fails if the path is not relative.
    pub fn temporary(&self, path: &str) -> Result<Option<PathBuf>> {
        let path = path::relative(path)?;
        Ok(self.temporary.as_ref().map(|dir| dir.join(path)))
    }

    /// Returns the text of a temporarily retrieved file, as [`read`](Self::read) gives it.
    ///
    /// # Errors
    /// Fails if the path is not relative, or if the file can't be read.
    pub fn read_temporary(&self, path: &str) -> Result<Option<String>> {
        match self.temporary(path)? {
            Some(path) => Ok(read_if_there(&path)?.map(into_text)),
            None => Ok(None),
        }
    }

    /// Returns the exit status of the last command that failed, or 0; `None` if the job left no exit marker,
    /// as when it was killed.
    pub fn exit_status(&self) -> Option<i32> {
        self.job.exit_status
    }

    /// Returns the scheduler's own word for the end; `None` if it has none.
    pub fn scheduler_state(&self) -> Option<&str> {
        self.job.scheduler_state.as_deref()
    }

    /// Returns the name of the retrieved file that holds the scheduler's standard output.
    pub fn scheduler_stdout(&self) -> &str {
        &self.job.scheduler_stdout
    }

    /// Returns the name of the retrieved file that holds the scheduler's standard error.
    pub fn scheduler_stderr(&self) -> &str {
        &self.job.scheduler_stderr
    }

    /// Returns the absolute path of the work directory on the computer.
    pub fn work_dir(&self) -> &str {
        &self.job.work_dir
    }

    /// Returns an exit code that the engine has already concluded (out of memory, out of time, ...). It
    /// stands if `parse` returns none.
    pub fn engine_exit(&self) -> Option<&Exit> {
        self.job.engine_exit.as_ref()
    }

    /// Returns whether the job ran outside of ferry, or in another process, and this process only imports its
    /// results.
    pub fn is_imported(&self) -> bool {
        self.job.imported
    }

    /// Returns the process's options (`metadata.options`).
    pub fn options(&self) -> &BTreeMap<String, Value> {
        &self.options
    }

    /// Returns the name of the output file, which the user or the type's own
    /// [`options`](crate::CalcJob::options) set.
    ///
    /// # Errors
    /// Fails if neither sets it.
    pub fn output_filename(&self) -> Result<String> {
        option::text(&self.options, "output_filename")
    }

    /// Adds a line to the process's report.
    pub fn report(&self, line: impl Into<String>) {
        report::report(line.into());
    }
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(cant_read(path, &error))?,
    }
}

fn read_tail(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(bytes);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(into_text(tail))
}

fn cant_read(path: &Path, error: &io::Error) -> String {
    format!("can't read `{}`: {error}", path.display())
}

/// Returns the files and every directory that holds one, sorted.
fn with_directories(files: &[String]) -> Vec<String> {
    let parents =
        |file: &str| file.match_indices('/').map(|(at, _)| file[..at].to_owned()).collect::<Vec<_>>();
    let mut all: Vec<String> =
        files.iter().flat_map(|file| parents(file)).chain(files.iter().cloned()).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn finished(dir: &Scratch) -> Finished {
        fs::create_dir_all(dir.path().join("out/deep")).unwrap();
        for file in ["out/a.xml", "out/deep/b.xml", "c.txt", ".hidden"] {
            fs::write(dir.path().join(file), file).unwrap();
        }
        Finished::new(dir.path().to_owned(), None, JobReport::default())
    }

    #[test]
    fn a_missing_file_is_none_and_a_bad_path_an_error() {
        let dir = Scratch::new();
        let run = finished(&dir);
        assert_eq!(run.read("out/a.xml").unwrap().as_deref(), Some("out/a.xml"));
        assert_eq!(run.read("nope").unwrap(), None);
        assert_eq!(run.read("c.txt/x").unwrap(), None);
        assert!(run.read("../x").is_err() && !run.exists("../x"));
        assert!(run.read("out").unwrap_err().to_string().contains("can't read"));
        assert_eq!(run.read_temporary("x").unwrap(), None);
        assert_eq!(run.tail("c.txt", 3).unwrap().as_deref(), Some("txt"));
    }

    #[test]
    fn text_that_is_not_utf8_is_still_text() {
        let dir = Scratch::new();
        let run = finished(&dir);
        fs::write(dir.path().join("bin"), [b'a', 0xff]).unwrap();
        assert_eq!(run.read("bin").unwrap().as_deref(), Some("a\u{fffd}"));
        assert_eq!(run.read_bytes("bin").unwrap(), Some(vec![b'a', 0xff]));
    }

    #[test]
    fn globs_find_files_and_directories() {
        let dir = Scratch::new();
        let run = finished(&dir);
        assert_eq!(run.glob("*").unwrap(), ["c.txt", "out"]);
        assert_eq!(run.glob("out/*").unwrap(), ["out/a.xml", "out/deep"]);
        assert_eq!(run.glob("out/*.xml").unwrap(), ["out/a.xml"]);
        assert_eq!(run.glob("./c.txt").unwrap(), ["c.txt"]);
        assert!(run.glob("nope").unwrap().is_empty());
        assert_eq!(run.list().unwrap(), [".hidden", "c.txt", "out/a.xml", "out/deep/b.xml"]);
        fs::write(dir.path().join("a[1].dat"), "").unwrap();
        assert_eq!(run.glob("a[1].dat").unwrap(), ["a[1].dat"]);
    }
}
