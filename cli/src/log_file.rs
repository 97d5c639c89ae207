//! The daemon's log: standard error itself, which is the file `daemon.log`, so that panics and plugin hosts
//! write there too. It is rotated by size, and opened again if another program moved or removed it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::stdio::{dup2_stderr, dup2_stdout, stderr};

/// The limits of the log's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Size at which the file is rotated, bytes; 0: never.
    pub(crate) bytes_max: u64,
    /// Files kept, the current one included.
    pub(crate) files: u32,
}

impl Limits {
    /// The supervisor's: the worker rotates, it follows.
    pub(crate) const NEVER: Limits = Limits { bytes_max: 0, files: 1 };
}

/// The log file of a daemon. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    path: PathBuf,
    limits: Arc<Mutex<Limits>>,
}

impl LogFile {
    /// Makes a log on standard error, which the caller has redirected to the file at `path`.
    pub(crate) fn new(path: PathBuf, limits: Limits) -> LogFile {
        LogFile { path, limits: Arc::new(Mutex::new(limits)) }
    }

    /// Sets other limits from now on.
    pub(crate) fn limit(&self, limits: Limits) {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Makes standard error the file of our path again, where it is not, or the file has grown too large.
    fn keep(&self, limits: Limits, more: usize) -> io::Result<()> {
        let ours = rustix::fs::fstat(stderr())?;
        let there = fs::metadata(&self.path).ok();
        if there.is_some_and(|there| (there.dev(), there.ino()) == (ours.st_dev, ours.st_ino)) {
            let size = u64::try_from(ours.st_size).unwrap_or(0);
            if limits.bytes_max == 0 || size == 0 || size + more as u64 <= limits.bytes_max {
                return Ok(());
            }
            shift(&self.path, limits.files)?;
        }
        let new = open(&self.path)?;
        dup2_stdout(&new)?;
        dup2_stderr(&new)?;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // One line at a time, and none while the file changes.
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever prevents the change: the line goes where it can.
        let _ = self.keep(*limits, line.len());
        io::stderr().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Opens a log for appending, for this user's eyes only.
///
/// # Errors
/// Fails if the disk does.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// Returns the path of an older log: `daemon.log.1` is the newest of them.
pub(crate) fn older(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Moves each log to the next number, so that `path` is free; the last one goes.
fn shift(path: &Path, files: u32) -> io::Result<()> {
    let last = files.max(1) - 1;
    if last == 0 {
        return fs::remove_file(path);
    }
    for number in (1..last).rev() {
        match fs::rename(older(path, number), older(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, older(path, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: u32, expect: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.log");
        for text in ["a", "b", "c"] {
            fs::write(&path, text).unwrap();
            shift(&path, files).unwrap();
        }
        let there: Vec<_> =
            (1..5).map_while(|number| fs::read_to_string(older(&path, number)).ok()).collect();
        assert_eq!(there, expect);
        assert!(!path.exists());
    }

    #[test]
    fn the_oldest_log_goes() {
        check(1, &[]);
        check(2, &["c"]);
        check(3, &["c", "b"]);
        check(5, &["c", "b", "a"]);
    }
}
