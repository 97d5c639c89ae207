//! Every crate that a manifest names is used: its name stands in the code of the member that names it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::sources;
use crate::workspace::{Dependency, Member, Workspace};

/// Crates that a member names without a word of theirs in its code: the member, the crate and the reason.
const ALLOWED: &[(&str, &str, &str)] = &[];

/// Returns every dependency that nothing uses, and every exception that has become needless.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for member in &workspace.members {
        let code = Code::of(workspace, member)?;
        problems.extend(unused(&workspace.members, member, &code, ALLOWED));
    }
    Ok(problems)
}

/// The code of one member, without that of members inside its directory.
#[derive(Debug, Default)]
struct Code {
    /// Sources of the library or the program.
    built: String,
    /// Integration tests, examples and benchmarks.
    beside: String,
}

impl Code {
    fn of(workspace: &Workspace, member: &Member) -> Result<Code> {
        let dir = workspace.root.join(&member.dir);
        let mut code = Code::default();
        for path in sources::files(&dir)? {
            let name = path.strip_prefix(&workspace.root).unwrap_or(&path);
            if owner(&workspace.members, name) != Some(member) {
                continue;
            }
            let text =
                fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            let inside = path.strip_prefix(&dir).unwrap_or(&path);
            let built = inside.starts_with("src") || inside == Path::new("build.rs");
            let place = if built { &mut code.built } else { &mut code.beside };
            place.push_str(&text);
            place.push('\n');
        }
        Ok(code)
    }

    /// Returns true if the member may use the dependency somewhere, and does.
    fn uses(&self, members: &[Member], line: &Dependency) -> bool {
        // A library of ours may have another name than its package.
        let ours = members.iter().find(|member| member.name == line.name);
        let library = ours.and_then(|member| member.library.clone());
        let name = library.unwrap_or_else(|| line.name.replace('-', "_"));
        names(&self.built, &name) || (line.dev && names(&self.beside, &name))
    }
}

/// Returns the member in whose directory a file lies, the innermost one.
fn owner<'a>(members: &'a [Member], file: &Path) -> Option<&'a Member> {
    let around = members.iter().filter(|member| file.starts_with(&member.dir));
    around.max_by_key(|member| member.dir.len())
}

fn unused(members: &[Member], member: &Member, code: &Code, allowed: &[(&str, &str, &str)]) -> Vec<String> {
    let exception = |line: &Dependency| {
        allowed.iter().any(|(of, name, _)| *of == member.name && *name == line.name.as_str())
    };
    let place = format!("{}/Cargo.toml", member.dir);
    let lines = member.dependencies.iter();
    lines
        .filter_map(|line| match (code.uses(members, line), exception(line)) {
            (false, false) => Some(format!("{place}: nothing in the code uses {}; remove it", line.name)),
            (true, true) => Some(format!("{place}: {} is used, and needs no exception", line.name)),
            _ => None,
        })
        .collect()
}

/// The texts that stand before the name of a crate that is no path's beginning: an import, a word of a macro, an attribute.
const BEFORE: [&str; 4] = ["use ", "crate ", "!(", "= \""];

/// Returns true if the code, not a comment, has a path that begins with this crate, or names it otherwise.
fn names(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let code = line.split("//").next().unwrap_or_default();
        code.match_indices(name).any(|(at, word)| {
            let (before, after) = (&code[..at], &code[at + word.len()..]);
            let part = |c: char| c.is_alphanumeric() || c == '_';
            let whole = !before.ends_with(part) && !after.starts_with(part);
            whole && (after.starts_with("::") || BEFORE.iter().any(|words| before.ends_with(words)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(dependencies: &[(&str, bool)]) -> Member {
        let dependencies =
            dependencies.iter().map(|&(name, dev)| Dependency { name: name.to_owned(), dev }).collect();
        Member { name: "m".to_owned(), dir: "m".to_owned(), dependencies, tests: Vec::new(), library: None }
    }

    #[test]
    fn paths_and_imports_count_and_talk_does_not() {
        let codes = [
            "use serde::Serialize;",
            "pub use serde;",
            "x: serde::Value,",
            "a!(serde, 1)",
            "#[x(with = \"serde\")]",
        ];
        for code in codes {
            assert!(names(code, "serde"), "{code}");
        }
        for other in ["use serde_json::Value;", "// serde::Value", "#[serde(default)]", "my_serde::x()"] {
            assert!(!names(other, "serde"), "{other}");
        }
    }

    #[test]
    fn what_only_tests_use_is_a_dev_dependency() {
        let code = Code { built: "use a_b::C;".to_owned(), beside: "use d::E;".to_owned() };
        assert_eq!(unused(&[], &member(&[("a-b", false), ("d", true)]), &code, &[]).len(), 0);
        assert_eq!(unused(&[], &member(&[("d", false)]), &code, &[]).len(), 1);
        assert_eq!(unused(&[], &member(&[("e", true)]), &code, &[]).len(), 1);
    }

    #[test]
    fn a_library_of_ours_is_looked_for_by_its_own_name() {
        let ours = Member { name: "ferry-x".to_owned(), library: Some("x".to_owned()), ..member(&[]) };
        let code = Code { built: "export!(x);".to_owned(), ..Code::default() };
        assert_eq!(unused(&[ours], &member(&[("ferry-x", false)]), &code, &[]).len(), 0);
    }

    #[test]
    fn an_exception_is_made_only_where_it_is_needed() {
        let code = Code { built: "use a::B;".to_owned(), ..Code::default() };
        assert_eq!(unused(&[], &member(&[("x", false)]), &code, &[("m", "x", "features")]).len(), 0);
        assert_eq!(unused(&[], &member(&[("a", false)]), &code, &[("m", "a", "features")]).len(), 1);
    }

    #[test]
    fn a_file_is_its_innermost_member_s() {
        let inside = Member { dir: "m/inside".to_owned(), ..member(&[]) };
        let members = [member(&[]), inside.clone()];
        assert_eq!(owner(&members, Path::new("m/inside/src/lib.rs")), Some(&inside));
        assert_eq!(owner(&members, Path::new("m/src/lib.rs")), Some(&members[0]));
    }
}
