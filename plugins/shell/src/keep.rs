//! Selection of the retrieved files that become output nodes, and their labels.

use std::collections::{BTreeMap, BTreeSet};

use ferry_plugin::{AnyOutput, Finished, Folder, Result, SingleFile};

use crate::run::{STDERR, STDOUT};

/// Files that the input `outputs` selected.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Relative path by label.
    pub(crate) by_label: BTreeMap<String, String>,
    /// Paths and globs that nothing matched.
    pub(crate) missing: Vec<String>,
}

impl Kept {
    /// Looks for each path and glob among the retrieved files.
    pub(crate) fn of(patterns: &[String], run: &Finished) -> Result<Self> {
        let mut kept = Kept::default();
        let mut paths = BTreeSet::new();
        for pattern in patterns {
            let found = run.glob(pattern)?;
            let wanted: Vec<String> =
                found.into_iter().filter(|path| path == pattern || !is_ours(path, run)).collect();
            if wanted.is_empty() {
                kept.missing.push(pattern.clone());
            }
            paths.extend(wanted);
        }
        paths.into_iter().for_each(|path| kept.add(path));
        Ok(kept)
    }

    fn add(&mut self, path: String) {
        let first = label(&path);
        let others = (2..).map(|n| format!("{first}_{n}"));
        let free =
            std::iter::once(first.clone()).chain(others).find(|label| !self.by_label.contains_key(label));
        self.by_label.insert(free.unwrap_or(first), path);
    }
}

/// Returns a kept file or directory as an output, by reference.
pub(crate) fn output(path: &str, run: &Finished) -> Result<AnyOutput> {
    let full = run.path(path)?;
    Ok(if full.is_dir() { Folder::from_dir(full)?.into() } else { SingleFile::from_path(full)?.into() })
}

/// Returns whether a file has an output of its own, so that a wide glob should not keep it a second time.
fn is_ours(path: &str, run: &Finished) -> bool {
    [STDOUT, STDERR, run.scheduler_stdout(), run.scheduler_stderr()].contains(&path)
}

/// Makes a label of a path: characters other than letters, digits or `_` become `_`, and no digit comes
/// first.
fn label(path: &str) -> String {
    let label: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if label.starts_with(|c: char| c.is_ascii_digit()) { format!("_{label}") } else { label }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_made_of_paths() {
        let labels = ["a.txt", "out/b-1.xml", "7.dat", "ä"].map(label);
        assert_eq!(labels, ["a_txt", "out_b_1_xml", "_7_dat", "_"]);
    }

    #[test]
    fn no_two_files_share_a_label() {
        let mut kept = Kept::default();
        ["a.b", "a-b", "a_b"].into_iter().for_each(|path| kept.add(path.to_owned()));
        assert_eq!(kept.by_label.keys().collect::<Vec<_>>(), ["a_b", "a_b_2", "a_b_3"]);
    }
}
