//! [`Local`]: the trait's methods, each delegated to its own module.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use ferry_engine_core::transport::{
    ByteStream, Capabilities, Command, Entry, Error, ErrorKind, Metadata, Output, Progress, QUIET, Result,
    Transport, Tree, check_path, provided,
};
use tokio::{
    io::AsyncRead,
    sync::{Semaphore, SemaphorePermit},
};

use crate::{Config, copy, errors::At, exec, fetch, files, rename, tree, user, work, write};

/// Most children at a time: each takes three descriptors, and a process may have about a thousand.
const CHILDREN: usize = 64;
/// Most file jobs at a time, well below the runtime's number of threads.
const JOBS: usize = 64;

/// This machine, as this user. Opened by the factory that [`register`](crate::register) returns.
#[derive(Debug)]
pub struct Local {
    config: Config,
    is_closed: AtomicBool,
    children: Semaphore,
    jobs: Semaphore,
    user: provided::User,
}

impl Local {
    /// Makes it, ready for use.
    pub fn new(config: Config) -> Self {
        Local {
            config,
            is_closed: AtomicBool::new(false),
            children: Semaphore::new(CHILDREN),
            jobs: Semaphore::new(JOBS),
            user: provided::User::default(),
        }
    }

    /// Checks the paths, and waits for a permit.
    async fn turn(&self, operation: &'static str, paths: &[&Path]) -> Result<SemaphorePermit<'_>> {
        paths.iter().try_for_each(|path| check_path(operation, path))?;
        self.permit(operation, &self.jobs).await
    }

    async fn permit<'a>(&self, operation: &'static str, of: &'a Semaphore) -> Result<SemaphorePermit<'a>> {
        self.check_open(operation)?;
        of.acquire().await.map_err(|_| closed(operation))
    }

    fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(closed(operation)) } else { Ok(()) }
    }

    /// Runs a job of one or a few system calls on one path.
    async fn on<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: &Path,
        job: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let _turn = self.turn(operation, &[path]).await?;
        let path = path.to_owned();
        work::quick(operation, move || job(&path).at(operation, &path)).await
    }
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unreachable, operation).message("the transport was closed")
}

#[async_trait]
impl Transport for Local {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            is_local: true,
            atomic_no_replace: true,
            any_bytes_in_names: true,
            ..Capabilities::default()
        }
    }

    async fn exec(&self, command: &Command) -> Result<Output> {
        let _child = self.permit("exec", &self.children).await?;
        exec::exec(self.config, command).await
    }

    async fn stat(&self, path: &Path) -> Result<Metadata> {
        self.on("stat", path, files::stat).await
    }

    async fn lstat(&self, path: &Path) -> Result<Metadata> {
        self.on("lstat", path, files::lstat).await
    }

    async fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.on("list", dir, files::list).await
    }

    async fn mkdir(&self, dir: &Path) -> Result<()> {
        self.on("mkdir", dir, |dir| fs::create_dir(dir)).await
    }

    async fn mkdirs(&self, dir: &Path) -> Result<()> {
        self.on("mkdirs", dir, |dir| fs::create_dir_all(dir)).await
    }

    async fn remove_file(&self, path: &Path) -> Result<()> {
        self.on("remove_file", path, |path| fs::remove_file(path)).await
    }

    async fn remove_dir(&self, dir: &Path) -> Result<()> {
        self.on("remove_dir", dir, |dir| fs::remove_dir(dir)).await
    }

    async fn remove_tree(&self, path: &Path) -> Result<()> {
        let removed = self.on("remove_tree", path, |path| Ok(files::remove_tree(path))).await?;
        removed.at("remove_tree", path).map_err(Error::effect_unknown)
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let _turn = self.turn("rename", &[from, to]).await?;
        let (from, to) = (from.to_owned(), to.to_owned());
        work::quick("rename", move || {
            rename::no_replace(&from, &to)
                .at("rename", &from)
                .map_err(|error| error.with("target", to.display()))
        })
        .await
    }

    async fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let _turn = self.turn("copy", &[from, to]).await?;
        let (from, to) = (from.to_owned(), to.to_owned());
        work::long("copy", QUIET, move |line| copy::copy(&from, &to, line)).await
    }

    async fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        check_path("symlink", target)?;
        let target = target.to_owned();
        self.on("symlink", link, move |link| symlink(target, link)).await
    }

    async fn chmod(&self, path: &Path, mode: u32) -> Result<()> {
        self.on("chmod", path, move |path| files::chmod(path, mode)).await
    }

    async fn read(&self, path: &Path, offset: u64) -> Result<ByteStream> {
        let file = self.on("read", path, move |path| files::open_at(path, offset)).await?;
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    async fn write(
        &self,
        path: &Path,
        from: &mut (dyn AsyncRead + Send + Unpin),
        executable: bool,
    ) -> Result<u64> {
        // No permit: it would be held while `from` is awaited, which may itself need one.
        check_path("write", path)?;
        self.check_open("write")?;
        write::write(path, from, executable).await
    }

    async fn put_tree(&self, tree: &Tree, to: &Path, progress: Progress<'_>) -> Result<()> {
        tree.check()?;
        let _turn = self.turn("put_tree", &[to]).await?;
        let (tree, to) = (tree.clone(), to.to_owned());
        let job = work::long("put_tree", progress, move |line| tree::put(&tree, &to, line));
        job.await.map_err(Error::effect_unknown)
    }

    async fn get_files(&self, pairs: &[(PathBuf, PathBuf)], progress: Progress<'_>) -> Result<()> {
        let paths: Vec<&Path> = pairs.iter().flat_map(|(far, local)| [&**far, &**local]).collect();
        let _turn = self.turn("get_files", &paths).await?;
        let pairs = pairs.to_owned();
        let job = work::long("get_files", progress, move |line| fetch::get_files(&pairs, line));
        job.await.map_err(Error::effect_unknown)
    }

    async fn whoami(&self) -> Result<String> {
        self.check_open("whoami")?;
        self.user.name(self).await
    }

    fn shell_command(&self, dir: &Path) -> Vec<OsString> {
        user::shell_command(dir)
    }

    async fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }
}
