//! The workspace as `cargo metadata` describes it: its directory, its target directory, its crates and their
//! dependencies.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::json;

/// The workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Directory of the root manifest.
    pub(crate) root: PathBuf,
    /// Directory of build outputs.
    pub(crate) target: PathBuf,
    /// Its members, sorted by name.
    pub(crate) members: Vec<Member>,
}

/// One crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Package name.
    pub(crate) name: String,
    /// Its directory, relative to the root, with `/`.
    pub(crate) dir: String,
    /// Entries of its dependency tables.
    pub(crate) dependencies: Vec<Dependency>,
    /// Names of its integration tests.
    pub(crate) tests: Vec<String>,
    /// Its library's name in code, if it has one.
    pub(crate) library: Option<String>,
}

/// One line of a dependency table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// Package name.
    pub(crate) name: String,
    /// Only tests and examples see it.
    pub(crate) dev: bool,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Workspace> {
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .output()
            .context("could not start cargo")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Workspace::read(&serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?)
    }

    fn read(metadata: &Value) -> Result<Workspace> {
        let root = PathBuf::from(json::text(metadata, "/workspace_root")?);
        let target = PathBuf::from(json::text(metadata, "/target_directory")?);
        let mut members = json::list(metadata, "/packages")?
            .iter()
            .map(|package| Member::read(package, &root))
            .collect::<Result<Vec<_>>>()?;
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Workspace { root, target, members })
    }

    /// Makes a cargo command in the root. Its output is without colour, since we read it as well.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.args(args).current_dir(&self.root).env("CARGO_TERM_COLOR", "never").env("NO_COLOR", "1");
        command
    }

    /// Returns the path of a built program.
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }
}

impl Member {
    fn read(package: &Value, root: &Path) -> Result<Member> {
        let manifest = PathBuf::from(json::text(package, "/manifest_path")?);
        let dir = manifest.parent().and_then(|dir| dir.strip_prefix(root).ok()).unwrap_or(Path::new(""));
        let targets = json::list(package, "/targets")?;
        let is_library = |target: &&Value| {
            let kinds = target["kind"].as_array().into_iter().flatten().filter_map(Value::as_str);
            kinds.clone().any(|kind| kind.contains("lib") || kind == "proc-macro")
        };
        let library = targets.iter().find(is_library).map(|target| json::text(target, "/name"));
        Ok(Member {
            name: json::text(package, "/name")?.to_owned(),
            dir: dir.to_string_lossy().into_owned(),
            dependencies: json::list(package, "/dependencies")?
                .iter()
                .map(Dependency::read)
                .collect::<Result<_>>()?,
            library: library.transpose()?.map(|name| name.replace('-', "_")),
            tests: targets
                .iter()
                .filter(|target| target["kind"][0] == "test")
                .map(|target| Ok(json::text(target, "/name")?.to_owned()))
                .collect::<Result<_>>()?,
        })
    }
}

impl Dependency {
    fn read(line: &Value) -> Result<Dependency> {
        Ok(Dependency { name: json::text(line, "/name")?.to_owned(), dev: line["kind"] == "dev" })
    }
}

/// Returns the cargo that started us, or the one in PATH.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_with_their_rooms_and_tables() {
        let metadata = serde_json::json!({
            "workspace_root": "/w", "target_directory": "/w/target",
            "packages": [{
                "name": "a", "manifest_path": "/w/transports/a/Cargo.toml",
                "dependencies": [{"name": "x", "kind": null}, {"name": "y", "kind": "dev"}],
                "targets": [{"name": "conformance", "kind": ["test"]}, {"name": "a", "kind": ["lib"]}],
            }],
        });
        let workspace = Workspace::read(&metadata).unwrap();
        let a = &workspace.members[0];
        assert_eq!(a.dir, "transports/a");
        assert_eq!(a.tests, ["conformance"]);
        assert_eq!(a.library.as_deref(), Some("a"));
        assert_eq!(a.dependencies.iter().map(|line| line.dev).collect::<Vec<_>>(), [false, true]);
    }
}
