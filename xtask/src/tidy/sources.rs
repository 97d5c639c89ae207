//! Checks every `.rs` file: it opens with its purpose, it is short enough for one sitting, its doc comments open
//! with a noun or a verb, and it uses `unsafe` only in the directories that are made for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Findings, openers};

/// Directories where `unsafe` is allowed: the C boundary, on both of its sides, and the plugins that abuse
/// it.
const UNSAFE_ROOMS: &[&str] = &["plugins/abi", "plugins/sdk", "engine/plugin-host", "tests/plugins"];
/// More lines than one person reads in one sitting.
const LONG: usize = 600;

/// Adds what is wrong with the files under `root`.
pub(super) fn check(root: &Path, findings: &mut Findings) -> Result<()> {
    for path in files(root)? {
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        findings.problems.extend(problems(&name, &text));
        findings.problems.extend(openers::problems(&name, &text));
        let lines = text.lines().count();
        if lines > LONG {
            findings.warnings.push(format!("{name}: {lines} lines; is it still one room?"));
        }
    }
    Ok(())
}

fn problems(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//!") {
        problems.push(format!("{name}: does not open with `//!`, what it is for"));
    }
    if !UNSAFE_ROOMS.iter().any(|room| Path::new(name).starts_with(room)) {
        problems.extend(text.lines().enumerate().filter(|(_, line)| is_unsafe(line)).map(|(number, _)| {
            format!("{name}:{}: says `unsafe`; it may stand in {} alone", number + 1, UNSAFE_ROOMS.join(", "))
        }));
    }
    problems
}

/// Returns whether a line of code opens something unsafe. Comments do not count.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("unsafe").any(|(at, word)| {
        let opens = ["{", "fn ", "impl ", "extern ", "trait ", "("];
        let before = code[..at].chars().next_back();
        let whole = before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '"' | '`'));
        whole && opens.iter().any(|next| code[at + word.len()..].trim_start().starts_with(next))
    })
}

/// Returns the `.rs` files below a directory, but not those of builds and of hidden directories.
pub(super) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("could not list {}", dir.display()))? {
            let entry = entry.with_context(|| format!("could not list {}", dir.display()))?;
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type().with_context(|| format!("could not look at {}", path.display()))?;
            if kind.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                open.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_opens_something_unsafe_is_seen_and_talk_of_it_is_not() {
        // Put together here, so that this very file stays clean.
        for code in ["let x = @ { *p };", "@ impl Sync for X {}", "#[@(no_mangle)]"] {
            assert!(is_unsafe(&code.replace('@', "unsafe")), "{code}");
        }
        for talk in [
            "// unsafe { no }",
            "#![allow(unsafe_code)]",
            "where `unsafe` (if any) stands",
            "let s = \"unsafe\";",
        ] {
            assert!(!is_unsafe(talk), "{talk}");
        }
    }

    #[test]
    fn a_file_opens_with_its_purpose() {
        assert_eq!(problems("a.rs", "//! What for.\n").len(), 0);
        assert_eq!(problems("a.rs", &format!("use x;\n{} {{ y }}\n", "unsafe")).len(), 2);
        assert_eq!(problems("plugins/abi/a.rs", &format!("//! What for.\n{} {{ y }}\n", "unsafe")).len(), 0);
    }
}
