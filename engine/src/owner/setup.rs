//! The setup of a new profile, and the installation and removal of plugin files.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use crate::{
    computer::Computer,
    node::disagreement,
    owner::Context,
    plugin::{self, Admitted, probe},
    process::check_declared,
    rpc::{Response, handlers::failed},
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
            tracing::warn!(file = %file.display(), %error, "a bundled plugin is left out");
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

async fn admit(cx: &Context, file: &Path) -> plugin::Result<Admitted> {
    let (library, file) = (cx.library.clone(), file.to_owned());
    tokio::task::spawn_blocking(move || library.admit(&file))
        .await
        .map_err(|error| plugin::Error::new(plugin::ErrorKind::Io, "plugin").source(error))?
}

async fn offer(
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

/// Admits, probes and activates a plugin file.
pub(crate) async fn install(cx: &Context, path: &str) -> Response {
    match try_install(cx, Path::new(path)).await {
        Ok(response) => response,
        Err(error) => {
            Response::Failed { message: error.to_string(), help: error.help_text().map(str::to_owned) }
        }
    }
}

async fn try_install(cx: &Context, file: &Path) -> plugin::Result<Response> {
    let admitted = admit(cx, file).await?;
    let known = cx.store.plugins().unwrap_or_default();
    let digest = admitted.digest.to_string();
    if let Some(row) = known.iter().find(|row| row.digest == digest && row.active) {
        return Ok(answer(row, true));
    }
    let row = offer(cx, &admitted, file, false, json!(null)).await?;
    if let Some(message) = claimed_twice(&row, &known) {
        let help = Some("remove the other plugin with `ferry plugin remove`, or rename the type".into());
        return Ok(Response::Failed { message, help });
    }
    if let Some(message) = disagreement(&row, &known) {
        let help =
            "what a data type looks like never changes within a version: give the new form a new `version`";
        return Ok(Response::Failed { message, help: Some(help.into()) });
    }
    match cx.store.commit(vec![Change::Plugin(Box::new(row.clone()))]).await {
        Ok(_) => Ok(answer(&row, false)),
        Err(error) => Ok(failed(&error)),
    }
}

fn answer(row: &PluginRow, unchanged: bool) -> Response {
    let types = row.manifest.types.iter().map(|offered| offered.name.clone()).collect();
    Response::Plugin {
        digest: row.digest.clone(),
        name: row.name.clone(),
        version: row.version.clone(),
        types,
        unchanged,
    }
}

/// Returns an error if an active plugin of another name already offers one of the types.
fn claimed_twice(new: &PluginRow, known: &[PluginRow]) -> Option<String> {
    let others = known.iter().filter(|row| row.active && row.name != new.name);
    others.flat_map(|row| row.manifest.types.iter().map(move |offered| (row, &offered.name))).find_map(
        |(row, name)| {
            new.manifest.types.iter().any(|offered| offered.name == *name).then(|| {
                format!(
                    "`{name}` is offered by plugin {} ({}) and by plugin {} ({})",
                    row.name, row.origin, new.name, new.origin
                )
            })
        },
    )
}

/// Deactivates the installed plugin of a name. Running processes keep the plugin file that they run on.
pub(crate) async fn remove(cx: &Context, name: &str) -> Response {
    let known = match cx.store.plugins() {
        Ok(known) => known,
        Err(error) => return failed(&error),
    };
    let named: Vec<&PluginRow> = known.iter().filter(|row| row.active && row.name == name).collect();
    if named.is_empty() {
        let help = Some("`ferry plugin list` shows what there is".into());
        return Response::Failed { message: format!("no plugin is called `{name}`"), help };
    }
    if named.iter().all(|row| row.bundled) {
        let help = Some("it came with ferry; an installed plugin of the same name takes its place".into());
        return Response::Failed { message: format!("plugin `{name}` is bundled and stays"), help };
    }
    let change = Change::DeactivatePlugin { name: name.to_owned(), bundled: false };
    match cx.store.commit(vec![change]).await {
        Ok(_) => Response::Done,
        Err(error) => failed(&error),
    }
}
