//! Work that a command on the remote side does best: removing trees.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use ferry_engine_core::transport::{Error, ErrorKind, Output, Result, shell::script::Job};

use crate::exec::Runner;

/// Most time that work on whole trees may take.
const TREE: Duration = Duration::from_secs(60 * 60);

/// Removes a file, a link, or a directory with everything below it.
pub(crate) async fn remove_tree(runner: &Runner, path: &Path) -> Result<()> {
    const OPERATION: &str = "remove_tree";
    if path.parent().is_none() {
        return Err(
            Error::new(ErrorKind::InvalidPath, OPERATION).message("refusing to remove the root directory")
        );
    }
    let output = run(runner, &["rm", "-rf", "--"], &[path]).await?;
    match output.status {
        0 => Ok(()),
        _ => Err(said(OPERATION, path, &output).effect_unknown()),
    }
}

/// Removes an unwanted tree in the background, even while another process still writes into it.
pub(crate) fn remove_later(runner: Runner, path: PathBuf) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        for _ in 0..5 {
            match remove_tree(&runner, &path).await {
                Ok(()) => {}
                Err(error) if *error.kind() == ErrorKind::Unreachable => return,
                Err(error) => tracing::debug!(%error, "removing it again"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
}

/// Runs words on paths, with untranslated messages.
async fn run(runner: &Runner, words: &[&str], paths: &[&Path]) -> Result<Output> {
    let words = ["env", "LC_ALL=C"].iter().chain(words).map(OsStr::new);
    runner.run(&Job::new(words.chain(paths.iter().map(|path| path.as_os_str())), TREE)).await
}

/// Returns a remote program's message as an error.
pub(crate) fn said(operation: &'static str, path: &Path, output: &Output) -> Error {
    let text = output.error_text();
    let kind = ErrorKind::of_text(&text).unwrap_or(ErrorKind::Other);
    let first = text.lines().next().unwrap_or("it did not say why").to_owned();
    Error::new(kind, operation).with("path", path.display()).source(std::io::Error::other(first))
}

/// A remote tree that is removed unless it is kept.
pub(crate) struct Leftover {
    pub(crate) runner: Runner,
    pub(crate) path: Option<PathBuf>,
}

impl Leftover {
    /// Keeps the tree.
    pub(crate) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            remove_later(self.runner.clone(), path);
        }
    }
}
