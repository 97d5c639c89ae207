//! [`Ssh`]: the trait's methods, each delegated to its own module.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use ferry_engine_core::transport::{
    ByteStream, Capabilities, Command, Entry, Error, ErrorKind, Metadata, Output, Progress, Result,
    Transport, Tree, check_path, provided,
};
use tokio::io::AsyncRead;

use crate::{
    connection::Connection,
    exec::{Runner, remote},
    files::{self, fetch, tree, write},
    settings::config::Config,
    sftp::{Sftp, open_reader},
    shell,
};

/// A computer over SSH, as one user. Opened by the factory that [`register`](crate::register) returns.
#[derive(Debug)]
pub struct Ssh {
    runner: Runner,
    user: provided::User,
}

impl Ssh {
    pub(crate) fn new(host: &str, config: Config, connection: Arc<Connection>) -> Self {
        let (host, config) = (Arc::from(host), Arc::new(config));
        Ssh {
            runner: Runner { connection, sftp: Arc::default(), host, config },
            user: provided::User::default(),
        }
    }

    /// Checks the paths, and returns the SFTP session.
    async fn sftp(&self, operation: &'static str, paths: &[&Path]) -> Result<Arc<Sftp>> {
        self.check(operation, paths)?;
        self.runner.sftp.get(&self.runner.connection, operation).await
    }

    fn check(&self, operation: &'static str, paths: &[&Path]) -> Result<()> {
        paths.iter().try_for_each(|path| check_path(operation, path))?;
        self.runner.connection.check(operation)
    }
}

/// Marks the effect as unknown: a request that was under way at the end of the connection, or at a time-out, may
/// have been carried out.
fn in_doubt(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unreachable | ErrorKind::TimedOut => error.effect_unknown(),
        _ => error,
    }
}

#[async_trait]
impl Transport for Ssh {
    fn capabilities(&self) -> Capabilities {
        Capabilities { is_local: false, atomic_no_replace: false, any_bytes_in_names: true }
    }

    async fn exec(&self, command: &Command) -> Result<Output> {
        self.runner.connection.check("exec")?;
        self.runner.exec(command).await
    }

    async fn stat(&self, path: &Path) -> Result<Metadata> {
        files::stat(&*self.sftp("stat", &[path]).await?, path).await
    }

    async fn lstat(&self, path: &Path) -> Result<Metadata> {
        files::lstat(&*self.sftp("lstat", &[path]).await?, path).await
    }

    async fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        files::list(&self.sftp("list", &[dir]).await?, "list", dir).await
    }

    async fn mkdir(&self, dir: &Path) -> Result<()> {
        let sftp = self.sftp("mkdir", &[dir]).await?;
        files::mkdir(&sftp, dir).await.map_err(in_doubt)
    }

    async fn remove_file(&self, path: &Path) -> Result<()> {
        let sftp = self.sftp("remove_file", &[path]).await?;
        files::remove_file(&sftp, path).await.map_err(in_doubt)
    }

    async fn remove_dir(&self, dir: &Path) -> Result<()> {
        let sftp = self.sftp("remove_dir", &[dir]).await?;
        files::remove_dir(&sftp, dir).await.map_err(in_doubt)
    }

    async fn remove_tree(&self, path: &Path) -> Result<()> {
        self.check("remove_tree", &[path])?;
        remote::remove_tree(&self.runner, path).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let sftp = self.sftp("rename", &[from, to]).await?;
        files::rename(&sftp, "rename", from, to).await.map_err(in_doubt)
    }

    async fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        let sftp = self.sftp("symlink", &[target, link]).await?;
        files::symlink(&sftp, target, link).await.map_err(in_doubt)
    }

    async fn chmod(&self, path: &Path, mode: u32) -> Result<()> {
        let sftp = self.sftp("chmod", &[path]).await?;
        files::chmod(&sftp, path, mode).await.map_err(in_doubt)
    }

    async fn read(&self, path: &Path, offset: u64) -> Result<ByteStream> {
        let sftp = self.sftp("read", &[path]).await?;
        let (file, _) = open_reader(&sftp, "read", path, offset).await?;
        Ok(Box::new(file))
    }

    async fn write(
        &self,
        path: &Path,
        from: &mut (dyn AsyncRead + Send + Unpin),
        executable: bool,
    ) -> Result<u64> {
        let sftp = self.sftp("write", &[path]).await?;
        write::write(&sftp, path, from, executable).await.map_err(in_doubt)
    }

    async fn put_tree(&self, tree: &Tree, to: &Path, progress: Progress<'_>) -> Result<()> {
        tree.check()?;
        self.check("put_tree", &[to])?;
        if tree::is_worth_a_stream(tree) {
            let streamed = tree::stream(&self.runner, tree, to, progress).await;
            if streamed.map_err(|error| error.during("put_tree").effect_unknown())? {
                return Ok(());
            }
        }
        provided::put_tree(self, tree, to, progress).await
    }

    async fn get_files(&self, pairs: &[(PathBuf, PathBuf)], progress: Progress<'_>) -> Result<()> {
        let sftp = self.sftp("get_files", &[]).await?;
        let left = fetch::streamed(&self.runner, &sftp, pairs, progress).await;
        provided::get_files(self, &left.map_err(Error::effect_unknown)?, progress).await
    }

    async fn whoami(&self) -> Result<String> {
        self.check("whoami", &[])?;
        self.user.name(self).await
    }

    fn shell_command(&self, dir: &Path) -> Vec<OsString> {
        let words = shell::command(&self.runner.host, &self.runner.config, dir);
        words.into_iter().map(OsString::from).collect()
    }

    async fn close(&self) {
        self.runner.connection.close().await;
    }
}
