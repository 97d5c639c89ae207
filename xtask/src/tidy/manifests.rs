//! Every member inherits lints, edition and licence from the root, so that there is one place to change.

use std::fs;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Lines that every member's manifest has.
const INHERITED: &[&str] =
    &["edition.workspace = true", "rust-version.workspace = true", "license.workspace = true"];

/// Returns every manifest that deviates from the rules.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for member in &workspace.members {
        let path = workspace.root.join(&member.dir).join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        problems.extend(missing(&text).map(|what| format!("{}/Cargo.toml: lacks `{what}`", member.dir)));
    }
    Ok(problems)
}

fn missing(manifest: &str) -> impl Iterator<Item = &'static str> {
    let lines: Vec<_> = manifest.lines().map(str::trim).collect();
    let lints = lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"]);
    INHERITED
        .iter()
        .filter(move |wanted| !lines.contains(wanted))
        .copied()
        .chain((!lints).then_some("[lints] workspace = true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manifest_lacks_is_named() {
        let fine = "[package]\nedition.workspace = true\nrust-version.workspace = true\n\
                    license.workspace = true\n[lints]\nworkspace = true\n";
        assert_eq!(missing(fine).count(), 0);
        let own = fine.replace("edition.workspace = true", "edition = \"2021\"");
        assert_eq!(missing(&own).collect::<Vec<_>>(), ["edition.workspace = true"]);
        assert_eq!(
            missing(&fine.replace("[lints]", "[x]")).collect::<Vec<_>>(),
            ["[lints] workspace = true"]
        );
    }
}
