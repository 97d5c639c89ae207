//! Arrows between our crates: which may name which in its dependency tables.
//!
//! Arrows point at the engine's core. Implementations do not know one another; only `cli` and `tests` name them;
//! a plugin author's crate sees the SDK alone.

use crate::workspace::Member;

/// The crates that a crate may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    /// Every crate of ours but the chores.
    Everything,
    /// The first list; as dev-dependencies also the second.
    Only(&'static [&'static str], &'static [&'static str]),
    /// The library beside it, and the SDK.
    ItsLibrary,
}

/// Returns every forbidden dependency.
pub(super) fn check(members: &[Member]) -> Vec<String> {
    let ours = |name: &str| members.iter().any(|member| member.name == name);
    let mut problems = Vec::new();
    for member in members {
        let Some(may) = rule(&member.dir) else {
            problems.push(format!(
                "{}: lies in no room that xtask/src/tidy/arrows.rs knows; add its rule",
                member.dir
            ));
            continue;
        };
        for line in member.dependencies.iter().filter(|line| ours(&line.name)) {
            if !allows(may, members, member, &line.name, line.dev) {
                problems
                    .push(format!("{}/Cargo.toml: {} may not name {}", member.dir, member.name, line.name));
            }
        }
    }
    problems
}

fn rule(dir: &str) -> Option<May> {
    let parts: Vec<_> = dir.split('/').collect();
    Some(match parts.as_slice() {
        ["engine"] => May::Only(
            &["ferry-engine-core", "ferry-engine-plugin-host", "ferry-engine-store", "ferry-plugin-proto"],
            &[],
        ),
        ["engine", "core"] => May::Only(&[], &[]),
        ["engine", "plugin-host"] => {
            May::Only(&["ferry-engine-core", "ferry-plugin-abi", "ferry-plugin-proto"], &[])
        }
        ["engine", "store"] => May::Only(&["ferry-engine-core", "ferry-plugin-proto"], &[]),
        ["transports" | "schedulers", _] => May::Only(&["ferry-engine-core"], &["ferry-conformance"]),
        // What a stranger writes: an example names only what its reader's own crate would.
        ["examples", "dialect"] => {
            May::Only(&["ferry-engine-core"], &["ferry-conformance", "ferry-transport-local"])
        }
        ["examples", "embed"] => May::Only(
            &["ferry-engine", "ferry-plugin-proto", "ferry-scheduler-direct", "ferry-transport-local"],
            &[],
        ),
        ["examples", "plugin"] => May::Only(&["ferry-plugin"], &[]),
        ["examples", "plugin", "file"] => May::ItsLibrary,
        ["examples", "transport"] => May::Only(&["ferry-engine-core"], &["ferry-conformance"]),
        ["plugins", "abi" | "proto"] | ["xtask"] => May::Only(&[], &[]),
        // It reads what `ferry plugin interface` writes, which is a message.
        ["plugins", "sdk", "macros"] => May::Only(&["ferry-plugin-proto"], &[]),
        ["plugins", "sdk"] => {
            May::Only(&["ferry-plugin-abi", "ferry-plugin-proto", "ferry-plugin-macros"], &[])
        }
        ["plugins", "data"] => May::Only(&["ferry-plugin"], &[]),
        ["plugins", _] => May::Only(&["ferry-plugin", "ferry-data"], &[]),
        ["plugins", _, _] => May::ItsLibrary,
        ["cli"] | ["tests", ..] => May::Everything,
        _ => return None,
    })
}

fn allows(may: May, members: &[Member], member: &Member, name: &str, dev: bool) -> bool {
    match may {
        May::Everything => name != "xtask",
        May::Only(always, for_tests) => always.contains(&name) || (dev && for_tests.contains(&name)),
        May::ItsLibrary => {
            let parent = member.dir.rsplit_once('/').map(|(parent, _)| parent);
            name == "ferry-plugin"
                || members.iter().any(|other| other.name == name && Some(other.dir.as_str()) == parent)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn member(dir: &str, name: &str, dependencies: &[(&str, bool)]) -> Member {
        let dependencies =
            dependencies.iter().map(|&(name, dev)| Dependency { name: name.to_owned(), dev }).collect();
        Member { name: name.to_owned(), dir: dir.to_owned(), dependencies, tests: Vec::new(), library: None }
    }

    fn check(dir: &str, name: &str, dependencies: &[(&str, bool)], expect: usize) {
        let members = [
            member("engine", "ferry-engine", &[]),
            member("engine/core", "ferry-engine-core", &[]),
            member("transports/local", "ferry-transport-local", &[]),
            member("tests/conformance", "ferry-conformance", &[]),
            member("plugins/sdk", "ferry-plugin", &[]),
            member("plugins/arithmetic", "ferry-arithmetic", &[]),
            member(dir, name, dependencies),
        ];
        assert_eq!(super::check(&members).len(), expect, "{name}: {dependencies:?}");
    }

    #[test]
    fn arrows_point_at_the_engine() {
        check("schedulers/direct", "d", &[("ferry-engine-core", false), ("serde", false)], 0);
        check("schedulers/direct", "d", &[("ferry-engine", false)], 1);
        check("schedulers/direct", "d", &[("ferry-transport-local", false)], 1);
        check("schedulers/direct", "d", &[("ferry-conformance", true)], 0);
        check("schedulers/direct", "d", &[("ferry-conformance", false)], 1);
        check("examples/dialect", "e", &[("ferry-engine-core", false), ("ferry-conformance", true)], 0);
        check("examples/dialect", "e", &[("ferry-engine", false)], 1);
        check("examples/embed", "e", &[("ferry-engine", false), ("ferry-transport-local", false)], 0);
        check("examples/plugin", "e", &[("ferry-engine", false)], 1);
        check("cli", "ferry-cli", &[("ferry-engine", false), ("ferry-transport-local", false)], 0);
    }

    #[test]
    fn a_plugin_sees_the_sdk_and_its_file_the_library() {
        check("plugins/shell", "s", &[("ferry-plugin", false)], 0);
        check("plugins/shell", "s", &[("ferry-engine", true)], 1);
        check("plugins/data", "ferry-data", &[("ferry-plugin", false)], 0);
        check("plugins/data", "ferry-data", &[("ferry-arithmetic", false)], 1);
        check("plugins/arithmetic/file", "f", &[("ferry-plugin", false), ("ferry-arithmetic", false)], 0);
        check("plugins/shell/file", "f", &[("ferry-arithmetic", false)], 1);
    }

    #[test]
    fn the_chores_link_nothing_of_ours_and_a_new_room_needs_a_rule() {
        check("xtask", "xtask", &[("ferry-engine", false)], 1);
        check("attic", "a", &[], 1);
    }
}
