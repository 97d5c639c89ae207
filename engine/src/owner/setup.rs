//! The setup of a new profile, and the installation and removal of plugin files.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use crate::{
    computer::Computer,
    owner::Context,
    plugin::{self, Admitted, probe},
    spec::check_declared,
    store::{Change, Error, ErrorKind, PluginRow, Result, SET_UP},
};

/// Time limit for a plugin file to load and to return its manifest.
const PROBE: Duration = Duration::from_secs(10);
/// Prefix of the names of bundled plugin files.
const BUNDLED: &str = "libferry_bundled_";

/// Ensures that `localhost` and the bundled plugins exist.
pub(crate) async fn first_time(cx: &Context) -> Result<()> {
    if cx.store.computers()?.is_empty() {
        let config = Box::new(localhost(&cx.paths.root().join("work")));
        match cx.store.commit(vec![Change::Computer { config, replace: false }]).await {
            Err(error) if *error.kind() != ErrorKind::Exists => return Err(error),
            _ => {}
        }
    }
    for file in bundled_files(&cx.bundled) {
        if let Err(error) = admit_bundled(cx, &file).await {
            // A disk error is not the plugin's fault, and a profile without plugins would be confusing.
            if *error.kind() == plugin::ErrorKind::Io {
                return Err(Error::new(ErrorKind::Other, "set up profile")
                    .message(error.to_string())
                    .later());
            }
            tracing::warn!(file = %file.display(), %error, "a bundled plugin is not installed");
        }
    }
    if !cx.store.is_set_up()? {
        let version = Some(crate::VERSION.to_owned());
        cx.store.commit(vec![Change::Setting { key: SET_UP.into(), value: version }]).await?;
    }
    Ok(())
}

fn localhost(work_dir: &Path) -> Computer {
    Computer {
        label: "localhost".into(),
        hostname: "localhost".into(),
        description: "this machine".into(),
        work_dir: work_dir.to_string_lossy().into_owned(),
        mpirun_command: "mpirun -np {tot_num_mpiprocs}".into(),
        ..Computer::default()
    }
}

fn bundled_files(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let names = dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
    let is_bundled = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(BUNDLED) && name.ends_with(".so")
    };
    let mut files: Vec<PathBuf> = names.map(|entry| entry.path()).filter(is_bundled).collect();
    files.sort();
    files
}

/// Returns size and time of a file. If both are unchanged, it need not be read again.
fn stamp(file: &Path) -> serde_json::Value {
    let Ok(found) = std::fs::metadata(file) else { return json!(null) };
    json!([found.len(), found.mtime(), found.mtime_nsec()])
}

async fn admit_bundled(cx: &Context, file: &Path) -> plugin::Result<()> {
    let stamp = stamp(file);
    let origin = file.to_string_lossy();
    let known = cx.store.plugins().unwrap_or_default();
    if known
        .iter()
        .any(|row| row.active && row.bundled && row.origin == origin && row.facts["stamp"] == stamp)
    {
        return Ok(());
    }
    let admitted = admit(cx, file).await?;
    let row = offer(cx, &admitted, file, true, stamp).await?;
    let stored = cx.store.commit(vec![Change::Plugin(Box::new(row))]).await;
    stored.map(drop).map_err(|error| plugin::Error::new(plugin::ErrorKind::Io, "plugin").source(error))
}

pub(crate) async fn admit(cx: &Context, file: &Path) -> plugin::Result<Admitted> {
    let (library, file) = (cx.library.clone(), file.to_owned());
    tokio::task::spawn_blocking(move || library.admit(&file))
        .await
        .map_err(|error| plugin::Error::new(plugin::ErrorKind::Io, "plugin").source(error))?
}

pub(crate) async fn offer(
    cx: &Context,
    admitted: &Admitted,
    origin: &Path,
    bundled: bool,
    stamp: serde_json::Value,
) -> plugin::Result<PluginRow> {
    let manifest = probe(&cx.host_exe, &admitted.path, PROBE).await?;
    check_declared(&manifest)?;
    let facts = &admitted.facts;
    Ok(PluginRow {
        digest: admitted.digest.to_string(),
        name: manifest.plugin.clone(),
        version: manifest.version.clone(),
        origin: origin.to_string_lossy().into_owned(),
        bundled,
        active: true,
        manifest: manifest.into(),
        facts: json!({
            "abi": format!("{}.{}", facts.abi_major, facts.abi_minor),
            "sdk": facts.sdk, "rustc": facts.rustc, "target": facts.target, "stamp": stamp,
        }),
        installed: crate::clock::now(),
    })
}
