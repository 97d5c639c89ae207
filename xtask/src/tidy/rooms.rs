//! Arrows between the modules of a crate: each may name itself and those below it, by an ordered list. So no circle
//! of files ties two rooms.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};

use super::code::{self, is_punct};
use super::sources;

/// The modules of a crate's root, lowest first.
struct House {
    /// The directory of its sources.
    dir: &'static str,
    rooms: &'static [&'static str],
}

const HOUSES: &[House] = &[
    House {
        dir: "engine/src",
        rooms: &[
            "blocking",
            "node",
            "spec",
            "caching",
            "step",
            "admission",
            "owner",
            "process",
            "calcjob",
            "computers",
            "workflow",
            "executor",
            "rpc",
            "embed",
            "daemon",
            "testing",
        ],
    },
    House {
        dir: "engine/core/src",
        rooms: &["error", "clock", "ids", "back_off", "process", "computer", "transport", "scheduler"],
    },
    House {
        dir: "engine/store/src",
        rooms: &[
            "error",
            "crash",
            "attempts",
            "profile",
            "database",
            "objects",
            "records",
            "tables",
            "change",
            "transition",
            "query",
            "sqlite",
            "upkeep",
            "store",
            "sqlite_store",
            "testing",
        ],
    },
    House {
        dir: "plugins/sdk/src",
        rooms: &["error", "path", "glob", "host", "ports", "process", "workflow", "export", "testing"],
    },
    House {
        dir: "transports/ssh/src",
        rooms: &["settings", "trust", "connection", "sftp", "exec", "files", "shell", "openssh", "transport"],
    },
];

/// Returns every arrow that points upwards, and every module that the lists leave out or name in vain.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for house in HOUSES {
        let src = root.join(house.dir);
        let mut seen = BTreeSet::new();
        for path in sources::files(&src)? {
            let name = path.strip_prefix(&src).unwrap_or(&path).to_string_lossy().into_owned();
            let text =
                fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            let room = name.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
            let is_test =
                path.components().any(|part| part.as_os_str() == "tests") || name.ends_with("tests.rs");
            if room == "lib" || is_test {
                continue;
            }
            let code = code::of(&text).with_context(|| name.clone())?;
            problems.extend(upward(house, &room, &name, code));
            seen.insert(room);
        }
        let listed = house.rooms.iter().map(|room| (*room).to_owned()).collect();
        problems.extend(seen.difference(&listed).map(|room| {
            format!("{}/{room}: has no place in the list of rooms in xtask/src/tidy/rooms.rs", house.dir)
        }));
        problems.extend(
            listed
                .difference(&seen)
                .map(|room| format!("xtask/src/tidy/rooms.rs: there is no module `{room}` in {}", house.dir)),
        );
    }
    Ok(problems)
}

/// Returns a problem for each module above its own that a file names, and for each item that it names by the root.
fn upward(house: &House, room: &str, name: &str, code: TokenStream) -> Vec<String> {
    let place = |room: &str| house.rooms.iter().position(|listed| *listed == room);
    let Some(own) = place(room) else { return Vec::new() };
    let mut named = BTreeSet::new();
    names(code, &mut named);
    let above = named.iter().filter(|named| place(named).is_some_and(|place| place > own));
    let above =
        above.map(|named| format!("{}/{name}: names `crate::{named}`, which is above `{room}`", house.dir));
    // What the root re-exports is for other crates: by its name nobody sees which way an arrow points.
    let is_type =
        |named: &&String| named.starts_with(char::is_uppercase) && named.contains(char::is_lowercase);
    let by_root = named.iter().filter(is_type).map(|named| {
        format!("{}/{name}: names `crate::{named}`; inside the crate, use the path of its room", house.dir)
    });
    above.chain(by_root).collect()
}

/// Adds the first names of all paths that begin with `crate::`, those of `use crate::{...}` included.
fn names(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let trees: Vec<_> = tokens.into_iter().collect();
    for (at, tree) in trees.iter().enumerate() {
        if let TokenTree::Group(group) = tree {
            names(group.stream(), found);
        }
        let is_root = matches!(tree, TokenTree::Ident(ident) if ident == "crate");
        // `$crate` is the crate of a macro's author.
        let is_of_macro = at.checked_sub(1).is_some_and(|before| is_punct(&trees[before], '$'));
        let colons = trees.iter().skip(at + 1).take_while(|tree| is_punct(tree, ':')).count();
        if !is_root || is_of_macro || colons != 2 {
            continue;
        }
        match trees.get(at + 3) {
            Some(TokenTree::Group(list)) => {
                let paths: Vec<_> = list.stream().into_iter().collect();
                let heads = paths.split(|tree| is_punct(tree, ',')).filter_map(<[_]>::first);
                found.extend(heads.map(TokenTree::to_string));
            }
            Some(name) => drop(found.insert(name.to_string())),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUSE: House = House { dir: "a/src", rooms: &["low", "middle", "high"] };

    fn upward(house: &House, room: &str, name: &str, text: &str) -> Vec<String> {
        super::upward(house, room, name, code::of(text).unwrap())
    }

    #[test]
    fn an_arrow_that_points_upwards_is_named() {
        let text = "use crate::{low, middle::{X, high}, high::Y};\nfn f() { crate::low::g() }\n";
        assert_eq!(
            upward(&HOUSE, "middle", "middle/a.rs", text),
            ["a/src/middle/a.rs: names `crate::high`, which is above `middle`"]
        );
        assert_eq!(upward(&HOUSE, "high", "high.rs", text), [""; 0]);
    }

    #[test]
    fn an_item_that_is_named_by_the_root_is_told() {
        assert_eq!(
            upward(&HOUSE, "low", "low.rs", "use crate::{Thing, low::Other};"),
            ["a/src/low.rs: names `crate::Thing`; inside the crate, use the path of its room"]
        );
    }

    #[test]
    fn comments_tests_and_macros_do_not_count() {
        let text = "//! [x](crate::high)\nfn f() { $crate::high::g() }\n#[cfg(test)]\nmod tests { use crate::high; }";
        assert_eq!(upward(&HOUSE, "low", "low.rs", text), [""; 0]);
    }

    #[test]
    fn the_names_of_a_list_are_found() {
        let mut found = BTreeSet::new();
        names(code::of("use crate::{\n    a::{b, c},\n    d,\n};").unwrap(), &mut found);
        assert_eq!(found, ["a", "d"].map(str::to_owned).into());
    }
}
