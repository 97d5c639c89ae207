//! Builds the plugins under `tests/plugins`, each a workspace of its own with its own lock file, as a third
//! party would, and gathers their files in one directory for the matrix.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// Builds them all and returns the directory of their `.so` files.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.target.join("test-plugins");
    let gathered = target.join("files");
    fs::create_dir_all(&gathered).with_context(|| format!("could not make {}", gathered.display()))?;
    for manifest in manifests(&workspace.root.join("tests/plugins"))? {
        build_one(workspace, &manifest, &target, &[])?;
    }
    gather(&target.join("debug"), &gathered)?;
    // Plugin files that are no member's library are built as examples.
    gather(&target.join("debug/examples"), &gathered)?;
    Ok(gathered)
}

/// Builds the plugins of one workspace optimized, as its users would get them, and returns the directory of
/// their `.so` files.
pub(crate) fn build_optimized(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let target = workspace.target.join("test-plugins");
    let manifest = workspace.root.join("tests/plugins").join(name).join("Cargo.toml");
    build_one(workspace, &manifest, &target, &["--release"])?;
    Ok(target.join("release"))
}

fn manifests(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut manifests: Vec<_> = fs::read_dir(dir)
        .with_context(|| format!("could not list {}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.path().join("Cargo.toml")))
        .filter(|manifest| manifest.is_file())
        .collect();
    manifests.sort();
    Ok(manifests)
}

fn build_one(workspace: &Workspace, manifest: &Path, target: &Path, flags: &[&str]) -> Result<()> {
    let mut command =
        workspace.cargo(&["build", "--locked", "--workspace", "--lib", "--examples", "--manifest-path"]);
    command.arg(manifest).arg("--target-dir").arg(target).args(flags);
    let finished = shell::watch(&mut command)?;
    if !finished.status.success() {
        bail!("{} does not build", manifest.display());
    }
    Ok(())
}

/// Copies by rename, since a test run that is still at work may hold the old file open.
fn gather(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("could not list {}", from.display()))?;
    for entry in entries {
        let file = entry.with_context(|| format!("could not list {}", from.display()))?.path();
        let (Some(name), Some("so")) = (file.file_name(), file.extension().and_then(OsStr::to_str)) else {
            continue;
        };
        // Beside `libname.so` cargo keeps `libname-<hash>.so` for examples: the same file.
        if name.to_string_lossy().contains('-') {
            continue;
        }
        let fresh = to.join(format!("{}.new", name.to_string_lossy()));
        fs::copy(&file, &fresh)
            .and_then(|_| fs::rename(&fresh, to.join(name)))
            .with_context(|| format!("could not copy {}", file.display()))?;
    }
    Ok(())
}
