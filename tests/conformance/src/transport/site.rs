//! The site of a case: the transport, a directory of its own, and the short methods that cases are written
//! in.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ferry_engine_core::transport::{Command, ErrorKind, FileKind, Output, Result, Transport};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, sleep},
};

/// Maximum time for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A transport and a fresh directory on its far side.
#[derive(Debug, Clone)]
pub(super) struct Site {
    transport: Arc<dyn Transport>,
    dir: PathBuf,
}

impl Deref for Site {
    type Target = dyn Transport;

    fn deref(&self) -> &Self::Target {
        &*self.transport
    }
}

impl Site {
    pub(super) fn new(transport: Arc<dyn Transport>, dir: PathBuf) -> Self {
        Site { transport, dir }
    }

    /// Returns the case's own directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns a path in it.
    pub(super) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes a directory in it.
    pub(super) async fn make_dir(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        self.mkdirs(&path).await?;
        Ok(path)
    }

    /// Writes a file in it.
    pub(super) async fn make_file(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path(name);
        self.write(&path, &mut bytes.as_ref(), false).await?;
        Ok(path)
    }

    /// Makes a link in it, to another name in it.
    pub(super) async fn make_link(&self, name: &str, target: &str) -> Result<PathBuf> {
        let path = self.path(name);
        self.symlink(&self.path(target), &path).await?;
        Ok(path)
    }

    /// Returns all of a file.
    pub(super) async fn bytes(&self, path: &Path) -> Result<Vec<u8>> {
        self.bytes_from(path, 0).await
    }

    /// Returns the bytes of a file from an offset on.
    pub(super) async fn bytes_from(&self, path: &Path, offset: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut stream = self.read(path, offset).await?;
        stream.read_to_end(&mut bytes).await.expect("an open file can be read");
        Ok(bytes)
    }

    /// Runs a script in the directory.
    pub(super) async fn sh(&self, script: &str) -> Result<Output> {
        self.exec(&Command::sh(script).cwd(self.dir())).await
    }

    /// Returns the names in a directory, sorted.
    pub(super) async fn names(&self, dir: &Path) -> Result<Vec<String>> {
        let entries = self.list(dir).await?;
        let mut names: Vec<_> =
            entries.into_iter().map(|entry| entry.name.to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// Returns the kind of the file at a path; `None` if there is none.
    pub(super) async fn kind(&self, path: &Path) -> Option<FileKind> {
        self.lstat(path).await.ok().map(|metadata| metadata.kind)
    }

    /// Returns whether the child whose pid is in a file has ended. A zombie has.
    pub(super) async fn has_ended(&self, pid_file: &str) -> Result<bool> {
        let script = format!(
            r#"pid=$(cat {pid_file}) && [ "$pid" ] || exit 9
            kill -0 "$pid" 2>/dev/null || exit 0
            # Gone between the two looks is ended as well: grep's status is 2 then.
            grep -qs '^State:[[:space:]]*Z' "/proc/$pid/status"; [ $? -ne 1 ]"#
        );
        let output = self.sh(&script).await?;
        assert_ne!(output.status, 9, "no pid in {pid_file}: {}", output.error_text());
        Ok(output.status == 0)
    }

    /// Waits until a file has bytes in it.
    pub(super) async fn await_file(&self, name: &str) {
        let path = self.path(name);
        eventually(name, async || self.stat(&path).await.is_ok_and(|metadata| metadata.size > 0)).await;
    }

    /// Waits until the child whose pid is in a file has ended.
    pub(super) async fn await_end(&self, pid_file: &str) {
        eventually("the child's end", async || self.has_ended(pid_file).await.expect("can be asked")).await;
    }
}

/// Asks again and again, for a while.
#[track_caller]
pub(super) fn eventually(what: &str, is_so: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + PATIENCE;
        while !is_so().await {
            assert!(Instant::now() < deadline, "{what} did not come within {PATIENCE:?}, at {caller}");
            sleep(Duration::from_millis(25)).await;
        }
    }
}

/// Asserts that a request was refused, and as what. The text must name the operation.
#[track_caller]
pub(super) fn refused<T>(result: Result<T>, kinds: &[ErrorKind]) {
    match result {
        Ok(_) => panic!("it worked, instead of {kinds:?}"),
        Err(error) => assert!(kinds.contains(error.kind()), "{error:?} is none of {kinds:?}"),
    }
}
