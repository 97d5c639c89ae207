//! Work that a command on the remote side does best: removing and copying trees, and the user's name.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ferry_engine_core::transport::{Command, Error, ErrorKind, FileKind, Output, Result, fresh_name};

use crate::{
    exec::Runner,
    fault::{fault, is},
    files,
    script::Job,
    sftp::{LSTAT, STAT, Sftp},
};

/// Most time that work on whole trees may take.
const TREE: Duration = Duration::from_secs(60 * 60);

/// Removes a file, a link, or a directory with everything below it.
pub(crate) async fn remove_tree(runner: &Runner, path: &Path) -> Result<()> {
    const OPERATION: &str = "remove_tree";
    if path.parent().is_none() {
        return Err(
            Error::new(ErrorKind::InvalidPath, OPERATION).message("all of the file system is too much")
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

/// Copies a file or a tree, which is made under a temporary name, then put in place.
pub(crate) async fn copy(runner: &Runner, sftp: Arc<Sftp>, from: &Path, to: &Path) -> Result<()> {
    const OPERATION: &str = "copy";
    if sftp.facts(OPERATION, LSTAT, to).await?.is_ok() {
        return Err(is(ErrorKind::AlreadyExists, OPERATION, to));
    }
    sftp.facts(OPERATION, LSTAT, from).await?.map_err(|status| fault(OPERATION, from, status))?;
    let parent = to.parent().unwrap_or(Path::new("/"));
    match sftp.facts(OPERATION, STAT, parent).await? {
        Ok(facts) if facts.kind == FileKind::Dir => {}
        Ok(_) => return Err(is(ErrorKind::NotADirectory, OPERATION, parent)),
        Err(status) => return Err(fault(OPERATION, parent, status)),
    }
    // Its session may be the only one.
    drop(sftp);
    let draft = Leftover { runner: runner.clone(), path: Some(to.with_file_name(fresh_name())) };
    let Some(path) = draft.path.as_deref() else { return Ok(()) };
    let output = run(runner, &["cp", "-RPp", "--"], &[from, path]).await?;
    if output.status != 0 {
        return Err(said(OPERATION, from, &output));
    }
    let sftp = runner.sftp.get(&runner.connection, OPERATION).await?;
    files::rename(&sftp, OPERATION, path, to).await?;
    draft.keep();
    Ok(())
}

/// Runs words on paths, with untranslated messages.
async fn run(runner: &Runner, words: &[&str], paths: &[&Path]) -> Result<Output> {
    let words = ["env", "LC_ALL=C"].iter().chain(words).map(OsStr::new);
    runner.run(&Job::new(words.chain(paths.iter().map(|path| path.as_os_str())), TREE)).await
}

/// Returns a remote program's message as an error.
pub(crate) fn said(operation: &'static str, path: &Path, output: &Output) -> Error {
    let text = output.error_text();
    let kinds = [
        ("Permission denied", ErrorKind::PermissionDenied),
        ("Operation not permitted", ErrorKind::PermissionDenied),
        ("Read-only file system", ErrorKind::PermissionDenied),
        ("No space left", ErrorKind::StorageFull),
        ("Disk quota", ErrorKind::StorageFull),
        ("No such file", ErrorKind::NotFound),
        ("into itself", ErrorKind::InvalidPath),
    ];
    let kind =
        kinds.iter().find(|(words, _)| text.contains(words)).map_or(ErrorKind::Other, |(_, kind)| *kind);
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

/// Returns the user's name, or the number where the user has none.
pub(crate) async fn whoami(runner: &Runner) -> Result<String> {
    // Without a name `id` prints the number and fails.
    let command = Command::sh("name=$(id -un 2> /dev/null) && printf '%s\\n' \"$name\" || id -u");
    let output = runner.exec(&command.no_login_shell()).await?;
    let name = output.text().trim().to_owned();
    if output.status == 0 && !name.is_empty() {
        return Ok(name);
    }
    let unknown = Error::new(ErrorKind::Other, "whoami").message("`id` does not say who the user is");
    Err(unknown.with("stderr", output.error_text()))
}
