//! [`Ssh`]: the trait's methods, each delegated to its own module.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use ferry_engine_core::transport::{
    ByteStream, Capabilities, Command, Entry, Error, ErrorKind, Metadata, Output, Progress, Result,
    Transport, Tree, check_path, provided, shell::ShellTransport,
};
use tokio::{io::AsyncRead, sync::OnceCell};

use crate::{
    connection::Connection,
    exec::{Runner, remote},
    files::{self, fetch, tree, write},
    settings::config::Config,
    sftp::{Missing, Sftp, open_reader},
    shell,
};

/// A computer over SSH, as one user. Opened by the factory that [`register`](crate::register) returns.
#[derive(Debug)]
pub struct Ssh {
    runner: Runner,
    /// The way to files by commands, once the server has turned out to have no SFTP.
    commands: OnceCell<ShellTransport>,
    user: provided::User,
}

/// The way to files.
enum Files<'a> {
    Sftp(Arc<Sftp>),
    Commands(&'a ShellTransport),
}

impl Ssh {
    pub(crate) fn new(host: &str, config: Config, connection: Arc<Connection>) -> Self {
        let (host, config) = (Arc::from(host), Arc::new(config));
        Ssh {
            runner: Runner { connection, sftp: Arc::default(), host, config },
            commands: OnceCell::new(),
            user: provided::User::default(),
        }
    }

    /// Checks the paths, and returns the way to files.
    async fn files(&self, operation: &'static str, paths: &[&Path]) -> Result<Files<'_>> {
        self.check(operation, paths)?;
        if let Some(commands) = self.commands.get() {
            return Ok(Files::Commands(commands));
        }
        match self.runner.sftp.get(&self.runner.connection, operation).await {
            Ok(sftp) => Ok(Files::Sftp(sftp)),
            Err(Missing::Sftp(error)) => self.by_commands(error).await.map(Files::Commands),
            Err(Missing::Other(error)) => Err(error),
        }
    }

    /// Returns whether a stream can put a tree there: it needs SFTP where something is at the target.
    async fn may_stream(&self, to: &Path) -> Result<bool> {
        let Some(commands) = self.commands.get() else { return Ok(true) };
        match commands.lstat(to).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(true),
            looked => looked.map(|_| false),
        }
    }

    async fn is_without_sftp(&self) -> bool {
        matches!(self.files("put_tree", &[]).await, Ok(Files::Commands(_)))
    }

    /// Changes to files by commands, if a command shows that the server and the connection are fine otherwise.
    async fn by_commands(&self, missing: Error) -> Result<&ShellTransport> {
        let shell = || async {
            let output = self.runner.exec(&Command::new(["true"]).no_login_shell()).await;
            match output {
                Ok(output) if output.status == 0 => {
                    tracing::info!(host = %self.runner.host, "the server has no SFTP; files go by commands");
                    Ok(ShellTransport::new(self.runner.clone(), false).reads_pieces())
                }
                Ok(_) => Err(missing),
                // A server that is for files alone has a reason of its own.
                Err(error) if *error.kind() == ErrorKind::Unsupported => Err(missing),
                Err(error) => Err(error),
            }
        };
        self.commands.get_or_try_init(shell).await
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
        ErrorKind::Unreachable | ErrorKind::TimedOut | ErrorKind::Stalled | ErrorKind::Interrupted => {
            error.effect_unknown()
        }
        _ => error,
    }
}

#[async_trait]
impl Transport for Ssh {
    fn capabilities(&self) -> Capabilities {
        let files_by_commands = self.commands.initialized();
        Capabilities { any_bytes_in_names: true, files_by_commands, ..Capabilities::default() }
    }

    async fn exec(&self, command: &Command) -> Result<Output> {
        self.runner.connection.check("exec")?;
        self.runner.exec(command).await
    }

    async fn stat(&self, path: &Path) -> Result<Metadata> {
        match self.files("stat", &[path]).await? {
            Files::Sftp(sftp) => files::stat(&sftp, path).await,
            Files::Commands(shell) => shell.stat(path).await,
        }
    }

    async fn lstat(&self, path: &Path) -> Result<Metadata> {
        match self.files("lstat", &[path]).await? {
            Files::Sftp(sftp) => files::lstat(&sftp, path).await,
            Files::Commands(shell) => shell.lstat(path).await,
        }
    }

    async fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        match self.files("list", &[dir]).await? {
            Files::Sftp(sftp) => files::list(&sftp, "list", dir).await,
            Files::Commands(shell) => shell.list(dir).await,
        }
    }

    async fn mkdir(&self, dir: &Path) -> Result<()> {
        match self.files("mkdir", &[dir]).await? {
            Files::Sftp(sftp) => files::mkdir(&sftp, dir).await.map_err(in_doubt),
            Files::Commands(shell) => shell.mkdir(dir).await,
        }
    }

    async fn remove_file(&self, path: &Path) -> Result<()> {
        match self.files("remove_file", &[path]).await? {
            Files::Sftp(sftp) => files::remove_file(&sftp, path).await.map_err(in_doubt),
            Files::Commands(shell) => shell.remove_file(path).await,
        }
    }

    async fn remove_dir(&self, dir: &Path) -> Result<()> {
        match self.files("remove_dir", &[dir]).await? {
            Files::Sftp(sftp) => files::remove_dir(&sftp, dir).await.map_err(in_doubt),
            Files::Commands(shell) => shell.remove_dir(dir).await,
        }
    }

    async fn remove_tree(&self, path: &Path) -> Result<()> {
        self.check("remove_tree", &[path])?;
        remote::remove_tree(&self.runner, path).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        match self.files("rename", &[from, to]).await? {
            Files::Sftp(sftp) => files::rename(&sftp, "rename", from, to).await.map_err(in_doubt),
            Files::Commands(shell) => shell.rename(from, to).await,
        }
    }

    async fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        match self.files("symlink", &[target, link]).await? {
            Files::Sftp(sftp) => files::symlink(&sftp, target, link).await.map_err(in_doubt),
            Files::Commands(shell) => shell.symlink(target, link).await,
        }
    }

    async fn chmod(&self, path: &Path, mode: u32) -> Result<()> {
        match self.files("chmod", &[path]).await? {
            Files::Sftp(sftp) => files::chmod(&sftp, path, mode).await.map_err(in_doubt),
            Files::Commands(shell) => shell.chmod(path, mode).await,
        }
    }

    async fn read(&self, path: &Path, offset: u64) -> Result<ByteStream> {
        match self.files("read", &[path]).await? {
            Files::Sftp(sftp) => Ok(Box::new(open_reader(&sftp, "read", path, offset).await?.0)),
            Files::Commands(shell) => shell.read(path, offset).await,
        }
    }

    async fn write(
        &self,
        path: &Path,
        from: &mut (dyn AsyncRead + Send + Unpin),
        executable: bool,
    ) -> Result<u64> {
        match self.files("write", &[path]).await? {
            Files::Sftp(sftp) => write::write(&sftp, path, from, executable).await.map_err(in_doubt),
            Files::Commands(shell) => shell.write(path, from, executable).await,
        }
    }

    async fn put_tree(&self, tree: &Tree, to: &Path, progress: Progress<'_>) -> Result<()> {
        tree.check()?;
        self.check("put_tree", &[to])?;
        if tree::is_worth_a_stream(tree) && self.may_stream(to).await? {
            match tree::stream(&self.runner, tree, to, progress).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if *error.kind() == ErrorKind::Unsupported && self.is_without_sftp().await => {}
                Err(error) => return Err(error.during("put_tree").effect_unknown()),
            }
        }
        provided::put_tree(self, tree, to, progress).await
    }

    async fn get_files(&self, pairs: &[(PathBuf, PathBuf)], progress: Progress<'_>) -> Result<()> {
        let sftp = match self.files("get_files", &[]).await? {
            Files::Sftp(sftp) => Some(sftp),
            Files::Commands(_) => None,
        };
        let left = fetch::streamed(&self.runner, sftp.as_ref(), pairs, progress).await;
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
