//! The texts that users read are kept: each crate whose code makes some has a golden file, `texts.txt`, with all of
//! them. So a new or changed message is a line of the diff, and somebody reads it. Where it stands in the code does
//! not matter: the lines are sorted, without files and numbers.
//!
//! A text is a string literal with at least one word beside something else. Scripts and statements of SQL are none,
//! but what such a statement has in quotes may be one. Texts of one word alone are not kept.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

use super::{literals, sources};
use crate::workspace::{Member, Workspace};

/// The crates whose texts are kept. The command line has its own ways to be read.
const SPEAKERS: &[&str] = &["engine", "engine/", "transports/", "schedulers/"];
/// The golden file in a crate's directory.
const GOLDEN: &str = "texts.txt";
/// Code whose texts no user reads: the simulation, and what other programs say, which is only compared.
const SILENT: &[&str] = &["engine/src/testing/", "schedulers/slurm/src/refusal"];
/// Marks of shell text.
const SHELL: &[&str] = &[
    "$",
    "printf",
    " 2>",
    " || ",
    "\\n",
    "trap ",
    "export ",
    "echo ",
    "esac",
    "; do :",
    ";then",
    "timeout -k",
    "xargs ",
    "exec {",
    "SBATCH --{",
    "--jobs=",
];
/// Marks of SQL.
const SQL: &[&str] = &[
    "SELECT ",
    "INSERT ",
    "UPDATE ",
    "DELETE ",
    "PRAGMA ",
    "SAVEPOINT ",
    "RELEASE ",
    "ROLLBACK ",
    "VACUUM ",
];
/// Marks of pieces of SQL.
const CLAUSES: &[&str] = &[
    " IN (",
    " FROM ",
    " JOIN ",
    "ORDER BY",
    " NULL",
    "WHERE ",
    "ON CONFLICT",
    " ?",
    " = '",
    "('",
    "paused = ",
];
/// The way to renew the files.
const RENEW: &str = "cargo xtask tidy --renew-texts";

/// Compares the texts of each crate with its golden file, or writes the file anew.
pub(super) fn check(workspace: &Workspace, renew: bool) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for member in workspace.members.iter().filter(|member| is_speaker(&member.dir)) {
        let place = format!("{}/{GOLDEN}", member.dir);
        let path = workspace.root.join(&place);
        let now = of_crate(workspace, member)?;
        if renew {
            let lines: String = now.iter().map(|text| format!("{text}\n")).collect();
            fs::write(&path, lines).with_context(|| format!("could not write {place}"))?;
            continue;
        }
        let kept = if path.exists() {
            fs::read_to_string(&path).with_context(|| format!("could not read {place}"))?
        } else {
            String::new()
        };
        let differences = differences(&kept.lines().map(str::to_owned).collect(), &now);
        problems.extend(differences.iter().map(|difference| format!("{place}: {difference}")));
    }
    if !problems.is_empty() {
        problems.push(format!("read these texts as a user will, then keep them: {RENEW}"));
    }
    Ok(problems)
}

fn is_speaker(dir: &str) -> bool {
    SPEAKERS.iter().any(|room| dir == *room || (room.ends_with('/') && dir.starts_with(room)))
}

/// Returns the texts of a crate's code, tests and examples left out.
fn of_crate(workspace: &Workspace, member: &Member) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for path in sources::files(&workspace.root.join(&member.dir).join("src"))? {
        let name = path.strip_prefix(&workspace.root).unwrap_or(&path).to_string_lossy().into_owned();
        if name.ends_with("tests.rs") || SILENT.iter().any(|room| name.starts_with(room)) {
            continue;
        }
        let source = fs::read_to_string(&path).with_context(|| format!("could not read {name}"))?;
        found.extend(
            literals::of(&source).with_context(|| name.clone())?.iter().flat_map(|literal| texts(literal)),
        );
    }
    Ok(found)
}

/// Returns the texts of a literal: itself, the quoted words of a statement, or none.
fn texts(literal: &str) -> Vec<String> {
    let literal_has = |literal: &str, marks: &[&str]| marks.iter().any(|mark| literal.contains(mark));
    let literal = literal.trim_start_matches("\\n").trim_end_matches("\\n");
    let parts: Vec<_> = if literal_has(literal, SQL) {
        literal.split('\'').skip(1).step_by(2).collect()
    } else if literal.starts_with('#') || literal_has(literal, CLAUSES) || literal_has(literal, SHELL) {
        Vec::new()
    } else {
        vec![literal]
    };
    parts.into_iter().filter(|part| is_text(part)).map(|part| part.trim().to_owned()).collect()
}

/// Returns whether a literal has a word of letters, with something else beside it.
fn is_text(literal: &str) -> bool {
    let is_word = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        word.len() > 1 && word.chars().all(|c| c.is_alphabetic() || matches!(c, '\'' | '-'))
    };
    let words: Vec<_> = outside_of_braces(literal).split_whitespace().map(str::to_owned).collect();
    words.iter().any(|word| is_word(word)) && literal.trim().contains(' ')
}

/// Returns a text with its placeholders emptied: their names are code.
fn outside_of_braces(literal: &str) -> String {
    let mut outside = String::new();
    let mut depth = 0_u32;
    for c in literal.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => outside.push(c),
            _ => {}
        }
    }
    outside
}

/// Returns a line for each text that is new, changed or gone.
fn differences(kept: &BTreeSet<String>, now: &BTreeSet<String>) -> Vec<String> {
    let mut gone: Vec<_> = kept.difference(now).collect();
    let mut told = Vec::new();
    for text in now.difference(kept) {
        let closest = (0..gone.len()).max_by_key(|at| likeness(gone[*at], text));
        match closest.filter(|at| likeness(gone[*at], text) >= 50) {
            Some(at) => told.push(format!("changed: `{}` is now `{text}`", gone.remove(at))),
            None => told.push(format!("new: `{text}`")),
        }
    }
    told.extend(gone.iter().map(|text| format!("gone: `{text}`")));
    told
}

/// Returns the share of words that two texts have in common, in percent of the longer one.
fn likeness(one: &str, other: &str) -> usize {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
    let (one, other) = (words(one), words(other));
    one.intersection(&other).count() * 100 / one.len().max(other.len()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_texts_and_code_is_none() {
        for text in [
            "no node has the id {id}",
            "job {}",
            "job {id}{reason}",
            ", a file of node {node}",
            "timed out",
            "try `ferry status`; it's \"fine\"",
            "`{}` is not a name",
        ] {
            assert_eq!(texts(text), [text]);
        }
        assert_eq!(
            texts("\\nferry: {lost} more bytes were dropped\\n"),
            ["ferry: {lost} more bytes were dropped"]
        );
        for code in [
            "{}: {}",
            "{label} ({uuid})",
            "timeout",
            "a.b",
            "cd -- \"$1\" && exec \"$@\"",
            "one\\ntwo three",
            "{COLUMNS} WHERE process = ?1",
            "DELETE FROM node WHERE id = ?1 AND kind = 'data'",
            "#SBATCH --{line}",
        ] {
            assert!(texts(code).is_empty(), "{code}");
        }
        let statement = "SELECT 'node ' || id || ' is linked to itself' FROM link WHERE kind = 'data'";
        assert_eq!(texts(statement), ["is linked to itself"]);
    }

    #[test]
    fn a_text_is_told_as_new_changed_or_gone() {
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
        let kept = set(&["the store is damaged", "no node {id}", "timed out"]);
        let now = set(&["the store is broken", "timed out", "wholly other words"]);
        assert_eq!(
            differences(&kept, &now),
            [
                "changed: `the store is damaged` is now `the store is broken`",
                "new: `wholly other words`",
                "gone: `no node {id}`"
            ]
        );
        assert!(differences(&kept, &kept).is_empty());
    }

    #[test]
    fn the_engine_transports_and_schedulers_speak() {
        for dir in ["engine", "engine/core", "transports/ssh", "schedulers/pbs"] {
            assert!(is_speaker(dir), "{dir}");
        }
        for dir in ["cli", "engineer", "plugins/sdk", "tests/matrix"] {
            assert!(!is_speaker(dir), "{dir}");
        }
    }
}
