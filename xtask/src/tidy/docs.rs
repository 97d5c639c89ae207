//! The map is complete: ARCHITECTURE.md names every top-level room, and README.md leads to it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Returns every directory that the map leaves out.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let read = |name: &str| {
        fs::read_to_string(workspace.root.join(name)).with_context(|| format!("could not read {name}"))
    };
    let rooms: BTreeSet<_> =
        workspace.members.iter().filter_map(|member| member.dir.split('/').next()).collect();
    let mut problems = forgotten(&read("ARCHITECTURE.md")?, &rooms);
    if !read("README.md")?.contains("ARCHITECTURE.md") {
        problems.push("README.md: does not lead to ARCHITECTURE.md".to_owned());
    }
    Ok(problems)
}

fn forgotten(map: &str, rooms: &BTreeSet<&str>) -> Vec<String> {
    rooms
        .iter()
        .filter(|room| !map.contains(&format!("{room}/")) && !map.contains(&format!("`{room}`")))
        .map(|room| format!("ARCHITECTURE.md: has no word on `{room}/`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_room_is_named() {
        let map = "`cli` is the binary, `engine/store` keeps";
        let problems = forgotten(map, &["cli", "engine", "tests"].into());
        assert_eq!(problems, ["ARCHITECTURE.md: has no word on `tests/`"]);
    }
}
