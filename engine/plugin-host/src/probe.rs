//! The first load of a plugin file, in a child of its own, which is asked for its manifest and then ended.

use std::{path::Path, sync::Arc, time::Duration};

use ferry_plugin_abi::method;
use ferry_plugin_proto::{Manifest, decode};
use tokio::time::Instant;

use super::{
    Error, ErrorKind, Facts, Result, elf,
    host::{Host, Request},
    manifest,
};

/// Loads the plugin file `path` in a child (`exe plugin-host path`), asks for its manifest, and checks that.
///
/// # Errors
/// Returns the errors of [`elf::inspect`] and [`manifest::check`]; `Crashed` and `TimedOut` when the child died or hung;
/// `Load` with the system's words; `InitFailed`, `Refused`, `Panicked`, `BadReply`, `Io`.
///
/// # Cancel safety
/// A dropped future ends the child.
pub async fn probe(exe: &Path, path: &Path, limit: Duration) -> Result<Manifest> {
    let end = Instant::now() + limit;
    let facts = read_facts(path).await?;
    let label: Arc<str> = format!("{} {}", facts.name, facts.version).into();
    let mut host = Host::start(exe, path, label, limit).await?;
    let deadline = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
    let request =
        Request { what: "listing its process types", method: method::MANIFEST, payload: &[], deadline };
    let reply = host.call(&request).await;
    host.end().await;
    let manifest = decode(&reply?).map_err(|problem| {
        Error::new(ErrorKind::BadReply, "plugin manifest")
            .message(format!("the list of process types can't be read: {problem}"))
            .with("plugin", format!("{} {}", facts.name, facts.version))
    })?;
    manifest::check(&manifest)?;
    Ok(manifest)
}

async fn read_facts(path: &Path) -> Result<Facts> {
    let bytes = tokio::fs::read(path).await.map_err(|error| super::io_error("plugin file", path, error))?;
    elf::inspect(&bytes).map_err(|error| error.with("path", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::elf::tests::sample;

    /// Probes with another program in place of the host.
    async fn probed_by(program: &str) -> Error {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sample.so");
        std::fs::write(&file, sample(0)).unwrap();
        probe(Path::new(program), &file, Duration::from_millis(300)).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_child_that_dies_is_reported_with_its_last_lines() {
        let error = probed_by("cat").await;
        assert_eq!(*error.kind(), ErrorKind::Crashed);
        let text = error.to_string();
        assert!(text.contains("died while loading: exit status 1, plugin: sample 1.2.3"), "{text}");
        assert!(text.contains("cat: plugin-host: "), "{text}");
    }

    #[tokio::test]
    async fn a_child_that_only_prints_is_ended_in_time() {
        let start = Instant::now();
        let error = probed_by("yes").await;
        assert_eq!(*error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn without_a_program_there_is_no_probe() {
        assert_eq!(*probed_by("/nowhere/ferry").await.kind(), ErrorKind::Io);
    }
}
