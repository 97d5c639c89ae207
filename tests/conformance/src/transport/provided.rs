//! A transport with its overrides hidden, so that the provided methods of [`Transport`] are what is tested.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use ferry_engine_core::transport::{
    ByteStream, Capabilities, Command, Entry, Metadata, Output, Result, Transport,
};
use tokio::io::AsyncRead;

/// Another transport, reduced to its required methods, its capabilities and its end.
#[derive(Debug)]
pub struct WithoutOverrides(pub Arc<dyn Transport>);

#[async_trait]
impl Transport for WithoutOverrides {
    async fn exec(&self, command: &Command) -> Result<Output> {
        self.0.exec(command).await
    }

    async fn stat(&self, path: &Path) -> Result<Metadata> {
        self.0.stat(path).await
    }

    async fn lstat(&self, path: &Path) -> Result<Metadata> {
        self.0.lstat(path).await
    }

    async fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.0.list(dir).await
    }

    async fn mkdir(&self, dir: &Path) -> Result<()> {
        self.0.mkdir(dir).await
    }

    async fn remove_file(&self, path: &Path) -> Result<()> {
        self.0.remove_file(path).await
    }

    async fn remove_dir(&self, dir: &Path) -> Result<()> {
        self.0.remove_dir(dir).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.0.rename(from, to).await
    }

    async fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        self.0.symlink(target, link).await
    }

    async fn chmod(&self, path: &Path, mode: u32) -> Result<()> {
        self.0.chmod(path, mode).await
    }

    async fn read(&self, path: &Path, offset: u64) -> Result<ByteStream> {
        self.0.read(path, offset).await
    }

    async fn write(
        &self,
        path: &Path,
        from: &mut (dyn AsyncRead + Send + Unpin),
        executable: bool,
    ) -> Result<u64> {
        self.0.write(path, from, executable).await
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// Duties whose cases rest on provided methods.
const DUTIES: &[&str] = &["files/", "removal/", "trees/", "glob/", "names/", "errors/"];
/// Parts of the names of such cases among the other duties.
const PARTS: &[&str] = &["get_files", "put_tree", "trees", "mkdirs", "a_hundred_files"];

/// Returns whether a case calls a provided method.
pub(super) fn concerns(case: &str) -> bool {
    DUTIES.iter().any(|duty| case.starts_with(duty)) || PARTS.iter().any(|part| case.contains(part))
}
