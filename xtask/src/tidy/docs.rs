//! The map is complete and true: ARCHITECTURE.md names every crate and every room of the engine, the store and the
//! SDK, each file that it names exists, and README.md leads to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::sentences;
use crate::workspace::Workspace;

/// The map.
const MAP: &str = "ARCHITECTURE.md";
/// Directories whose folders are rooms, beside the crates themselves.
const HOUSES: &[&str] = &["engine/src", "engine/core/src", "engine/store/src", "plugins/sdk/src"];

/// Returns every directory that the map leaves out, every file that it names in vain, and its long sentences.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let root = &workspace.root;
    let read =
        |name: &str| fs::read_to_string(root.join(name)).with_context(|| format!("could not read {name}"));
    let mut rooms: BTreeSet<String> = workspace.members.iter().map(|member| member.dir.clone()).collect();
    for house in HOUSES {
        rooms.extend(folders(root, house)?);
    }
    let map = read(MAP)?;
    let mut problems = forgotten(&map, &rooms);
    problems.extend(in_vain(&map, |path| root.join(path).is_file()));
    problems.extend(sentences::long(MAP, &map));
    if !read("README.md")?.contains(MAP) {
        problems.push(format!("README.md: does not lead to {MAP}"));
    }
    Ok(problems)
}

/// Returns the folders directly below a directory, by their paths from the root.
fn folders(root: &Path, house: &str) -> Result<Vec<String>> {
    let could_not = || format!("could not list {house}");
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(house)).with_context(could_not)? {
        let entry = entry.with_context(could_not)?;
        if entry.file_type().with_context(could_not)?.is_dir() {
            found.push(format!("{house}/{}", entry.file_name().to_string_lossy()));
        }
    }
    Ok(found)
}

/// Returns a problem for each room whose whole path the map does not name in backticks.
fn forgotten(map: &str, rooms: &BTreeSet<String>) -> Vec<String> {
    rooms
        .iter()
        .filter(|room| !map.contains(&format!("`{room}`")) && !map.contains(&format!("`{room}/`")))
        .map(|room| format!("{MAP}: has no word on `{room}`"))
        .collect()
}

/// Returns a problem for each `*.rs` in backticks that is no file: neither from the root, nor in the room that the
/// heading above it names, nor in the `src` of that room.
fn in_vain(map: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut room = String::new();
    let mut problems = Vec::new();
    for (number, line) in map.lines().enumerate() {
        let words: Vec<_> = line.split('`').skip(1).step_by(2).collect();
        if line.starts_with('#') {
            room = words.first().map(|word| word.trim_end_matches('/').to_owned()).unwrap_or_default();
        }
        for word in words.into_iter().filter(|word| word.ends_with(".rs") && !word.contains([' ', '*'])) {
            let places = [word.to_owned(), format!("{room}/{word}"), format!("{room}/src/{word}")];
            if !places.iter().any(|place| exists(place)) {
                problems.push(format!("{MAP}:{}: there is no file `{word}`", number + 1));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_room_is_named() {
        let map = "`cli` is the binary, `engine/store` keeps, `engine/src/rpc/` is the socket";
        let rooms = ["cli", "engine", "engine/src/rpc", "engine/store"].map(str::to_owned);
        assert_eq!(forgotten(map, &rooms.into()), ["ARCHITECTURE.md: has no word on `engine`"]);
    }

    #[test]
    fn a_file_that_does_not_exist_is_named() {
        let exists =
            |path: &str| ["cli/src/app.rs", "engine/src/rpc/server.rs", "xtask/x.rs"].contains(&path);
        let map =
            "### `cli`\n`app.rs` and `xtask/x.rs`\n### `engine/src/rpc`\n`server.rs`, `app.rs`, `*.rs`\n";
        assert_eq!(in_vain(map, exists), ["ARCHITECTURE.md:4: there is no file `app.rs`"]);
    }

    #[test]
    fn the_folders_of_a_house_are_its_rooms() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("engine/src/rpc/deeper")).unwrap();
        fs::write(root.path().join("engine/src/lib.rs"), "").unwrap();
        assert_eq!(folders(root.path(), "engine/src").unwrap(), ["engine/src/rpc"]);
    }
}
