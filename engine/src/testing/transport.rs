//! A transport to a host of a [`World`]: its files are in memory, and it runs no programs.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{
    files::Files,
    world::{Lost, World},
};
use crate::{
    computer::Computer,
    transport::{
        ByteStream, Capabilities, Command, Entry, Error, ErrorKind, Factory, Metadata, Output, Progress,
        Result, Setting, Transport, Tree, check_path,
    },
};

/// Opens connections to the hosts of a world, by a computer's `hostname`. Its name is `memory`.
#[derive(Debug, Clone)]
pub struct MemoryFactory {
    world: Arc<World>,
}

impl MemoryFactory {
    /// Makes the factory for this world.
    pub fn new(world: Arc<World>) -> MemoryFactory {
        MemoryFactory { world }
    }
}

#[async_trait]
impl Factory for MemoryFactory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn settings(&self) -> &'static [Setting] {
        &[]
    }

    fn check(&self, _: &Computer) -> Result<()> {
        Ok(())
    }

    async fn open(&self, computer: &Computer) -> Result<Arc<dyn Transport>> {
        let host = computer.hostname.clone();
        let connect = |host: &mut super::queue::Host, _: &mut super::queue::Means<'_>, _| {
            host.connected = host.generation;
            host.generation
        };
        let generation = self.world.act(&host, "open", None, connect).await;
        let generation = generation.map_err(|lost| unreachable("open", lost))?;
        Ok(Arc::new(MemoryTransport {
            world: self.world.clone(),
            host,
            generation,
            is_closed: Default::default(),
        }))
    }
}

/// A connection to one host. It fulfils the contract of [`Transport`] except that it runs no programs: all
/// commands return 127, as for a missing program.
#[derive(Debug)]
pub struct MemoryTransport {
    world: Arc<World>,
    host: String,
    generation: u64,
    is_closed: std::sync::atomic::AtomicBool,
}

impl MemoryTransport {
    /// Does one operation on the host's files; errors name `path`.
    async fn files<T>(
        &self,
        operation: &'static str,
        path: &Path,
        act: impl FnOnce(&mut Files) -> Result<T, ErrorKind> + Send,
    ) -> Result<T> {
        check_path(operation, path)?;
        self.act(operation, act).await?.map_err(|kind| failed(kind, operation, path))
    }

    async fn act<T>(&self, operation: &'static str, act: impl FnOnce(&mut Files) -> T + Send) -> Result<T> {
        if self.is_closed.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(unreachable(operation, Lost::NotSent));
        }
        let act = |_: &mut super::queue::Host, means: &mut super::queue::Means<'_>, _| act(means.files);
        let done = self.world.act(&self.host, operation, Some(self.generation), act).await;
        done.map_err(|lost| unreachable(operation, lost))
    }
}

fn failed(kind: ErrorKind, operation: &'static str, path: &Path) -> Error {
    Error::new(kind, operation).with("path", path.display())
}

fn unreachable(operation: &'static str, lost: Lost) -> Error {
    let error = Error::new(ErrorKind::Unreachable, operation).message("the connection was lost").later();
    if lost == Lost::Unknown { error.effect_unknown() } else { error }
}

#[async_trait]
impl Transport for MemoryTransport {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            is_local: false,
            atomic_no_replace: true,
            any_bytes_in_names: true,
            ..Capabilities::default()
        }
    }

    async fn exec(&self, command: &Command) -> Result<Output> {
        match &command.cwd {
            Some(dir) => drop(self.files("exec", dir, |files| files.list(dir)).await?),
            None => self.act("exec", |_| ()).await?,
        }
        let program = command.argv.first().cloned().unwrap_or_default();
        let stderr =
            format!("{}: this host is in memory and runs no programs\n", program.display()).into_bytes();
        Ok(Output { status: 127, stdout: Vec::new(), stderr })
    }

    async fn stat(&self, path: &Path) -> Result<Metadata> {
        self.files("stat", path, |files| files.stat(path, true)).await
    }

    async fn lstat(&self, path: &Path) -> Result<Metadata> {
        self.files("lstat", path, |files| files.stat(path, false)).await
    }

    async fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.files("list", dir, |files| files.list(dir)).await
    }

    async fn mkdir(&self, dir: &Path) -> Result<()> {
        self.files("mkdir", dir, |files| files.mkdir(dir)).await
    }

    async fn mkdirs(&self, dir: &Path) -> Result<()> {
        self.files("mkdirs", dir, |files| files.mkdirs(dir)).await
    }

    async fn remove_file(&self, path: &Path) -> Result<()> {
        self.files("remove_file", path, |files| files.remove_file(path)).await
    }

    async fn remove_dir(&self, dir: &Path) -> Result<()> {
        self.files("remove_dir", dir, |files| files.remove_dir(dir)).await
    }

    async fn remove_tree(&self, path: &Path) -> Result<()> {
        self.files("remove_tree", path, |files| files.remove_tree(path)).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        check_path("rename", to)?;
        self.files("rename", from, |files| files.rename(from, to)).await
    }

    async fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        check_path("copy", to)?;
        self.files("copy", from, |files| files.copy(from, to)).await
    }

    async fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        check_path("symlink", target)?;
        self.files("symlink", link, |files| files.symlink(target, link)).await
    }

    async fn chmod(&self, path: &Path, mode: u32) -> Result<()> {
        self.files("chmod", path, |files| files.chmod(path, mode)).await
    }

    async fn read(&self, path: &Path, offset: u64) -> Result<ByteStream> {
        let bytes = self.files("read", path, |files| files.read(path)).await?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(Box::new(io::Cursor::new(bytes[start..].to_vec())))
    }

    async fn write(
        &self,
        path: &Path,
        from: &mut (dyn AsyncRead + Send + Unpin),
        executable: bool,
    ) -> Result<u64> {
        check_path("write", path)?;
        let mut bytes = Vec::new();
        let read = from.read_to_end(&mut bytes).await;
        let size = read.map_err(|error| failed(ErrorKind::Other, "write", path).source(error))?;
        self.files("write", path, |files| files.write(path, bytes.into(), executable)).await?;
        Ok(size as u64)
    }

    // Trees and downloads are no faster here, but read and write this machine's files without a thread: a schedule can be
    // repeated only if no other clock than the simulation's decides what comes first.

    async fn put_tree(&self, tree: &Tree, to: &Path, progress: Progress<'_>) -> Result<()> {
        tree.check()?;
        let mut moved = 0;
        let put = |files: &mut Files| {
            files.put_tree(tree, to, &mut |local| {
                let bytes =
                    std::fs::read(local).map_err(|error| *Error::from_io("put_tree", local, error).kind())?;
                moved += bytes.len() as u64;
                Ok(bytes.into())
            })
        };
        self.files("put_tree", to, put).await?;
        let inline = tree.entries.values().filter_map(|entry| match entry {
            crate::transport::TreeEntry::Bytes { bytes, .. } => Some(bytes.len() as u64),
            _ => None,
        });
        progress(moved + inline.sum::<u64>());
        Ok(())
    }

    async fn get_files(&self, pairs: &[(PathBuf, PathBuf)], progress: Progress<'_>) -> Result<()> {
        for (far, local) in pairs {
            check_path("get_files", local)?;
            let bytes = self.files("get_files", far, |files| files.read(far)).await?;
            let failed = |error| Error::from_io("get_files", local, error);
            if let Some(parent) = local.parent() {
                std::fs::create_dir_all(parent).map_err(failed)?;
            }
            if local.is_dir() && !local.is_symlink() {
                return Err(self::failed(ErrorKind::IsADirectory, "get_files", local));
            }
            // Written under another name first, so that a local link is replaced and not followed.
            let parts = local.with_file_name(crate::transport::fresh_name());
            std::fs::write(&parts, &bytes).map_err(failed)?;
            std::fs::rename(&parts, local).map_err(failed)?;
            progress(bytes.len() as u64);
        }
        Ok(())
    }

    async fn whoami(&self) -> Result<String> {
        self.act("whoami", |_| "user".to_owned()).await
    }

    fn shell_command(&self, _: &Path) -> Vec<OsString> {
        vec!["true".into()]
    }

    async fn close(&self) {
        self.is_closed.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
