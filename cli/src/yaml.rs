//! Reading YAML and JSON files that people wrote, and saying in plain words what is wrong with one.
//!
//! Only `true` and `false` are booleans, and `0042` is text: what a person did not mean as a number or a truth
//! value is not turned into one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ferry_plugin_proto::Value;

use crate::error::{Failure, Result};

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its path.
    pub(crate) path: PathBuf,
    /// Its value.
    pub(crate) value: Value,
    text: String,
}

/// Reads a file.
///
/// # Errors
/// Fails if it can't be read, or is not YAML, with line and column. Both count as wrong arguments (exit
/// status 2).
pub(crate) fn read(path: &Path) -> Result<Document> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("can't read {}: {error}", path.display())))?;
    let value = parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(Document { path: path.to_owned(), value, text })
}

impl Document {
    /// Returns the place where a key is first written, by the last part of its dotted name: `FILE, line 3,
    /// column 1`.
    pub(crate) fn place(&self, key: &str) -> Option<String> {
        let (line, column) = place(&self.text, key.rsplit('.').next().unwrap_or(key))?;
        Some(format!("{}, line {line}, column {column}", self.path.display()))
    }
}

fn place(text: &str, key: &str) -> Option<(usize, usize)> {
    text.lines().enumerate().find_map(|(at, line)| {
        line.match_indices(key).find_map(|(column, _)| {
            let before = line[..column].chars().next_back();
            let after = line[column + key.len()..].trim_start_matches(['"', '\'']).trim_start();
            let begins = before.is_none_or(|c| c.is_whitespace() || "\"'{,.".contains(c));
            (begins && after.starts_with(':')).then_some((at + 1, column + 1))
        })
    })
}

/// Reads a text. Both YAML and JSON, which YAML includes.
///
/// # Errors
/// `line 3, column 5: ...`.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| explain(text, &error))
}

fn explain(text: &str, error: &serde_saphyr::Error) -> String {
    let (mut line, mut column) =
        error.location().map_or((1, 1), |at| (at.line() as usize, at.column() as usize));
    let what = match tab(text, line) {
        Some((tab_line, tab_column)) => {
            (line, column) = (tab_line, tab_column);
            "a tab; YAML takes only spaces for indentation".to_owned()
        }
        None => plain(&error.without_snippet().to_string(), text, line, column),
    };
    format!("line {line}, column {column}: {what}")
}

/// Returns the position of a tab in front of the words of the line at which the reader stopped, or of the
/// next one.
fn tab(text: &str, line: usize) -> Option<(usize, usize)> {
    text.lines().enumerate().skip(line.saturating_sub(1)).take(2).find_map(|(at, content)| {
        let indentation = &content[..content.len() - content.trim_start().len()];
        indentation.find('\t').map(|column| (at + 1, column + 1))
    })
}

/// Returns the reader's message without the place, which is printed already, and without advice to
/// programmers.
fn plain(message: &str, text: &str, line: usize, column: usize) -> String {
    if message.contains("multiple YAML documents") {
        return "a second document; only one fits in here".into();
    }
    if let Some(rest) = message.split("duplicate mapping key: ").nth(1) {
        return format!("`{}` is there twice", rest.split([',', ' ']).next().unwrap_or_default());
    }
    if message.contains("unexpected character: `@'") {
        let word =
            text.lines().nth(line - 1).and_then(|found| found.get(column.saturating_sub(1)..)).unwrap_or("@");
        return format!("text that begins with `@` must be quoted in YAML: \"{}\"", word.trim());
    }
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let found = match parse(text) {
            Ok(value) => serde_json::to_string(&value).unwrap(),
            Err(error) => error,
        };
        assert_eq!(found, expect, "{text:?}");
    }

    #[test]
    fn values_are_what_they_look_like() {
        check(
            "a: 1\nb: 1.0\nc: yes\nd: true\ne: '5'\nf: 0042\ng: 1_000\nh: null",
            r#"{"a":1,"b":1.0,"c":"yes","d":true,"e":"5","f":"0042","g":"1_000","h":null}"#,
        );
        check(r#"{"a": [1, 2.5], "b": {"c": "x"}}"#, r#"{"a":[1,2.5],"b":{"c":"x"}}"#);
        check("", "null");
    }

    #[test]
    fn keys_are_found_where_they_are_written() {
        assert_eq!(place("a: 1\nb:\n  lable: x", "lable"), Some((3, 3)));
        assert_eq!(place(r#"{"a": 1, "b": {"c": 2}}"#, "c"), Some((1, 17)));
        assert_eq!(place("ab: b", "b"), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        check("a: 1\n\tb: 2\n", "line 2, column 1: a tab; YAML takes only spaces for indentation");
        check("a:\n\tb: 2\n", "line 2, column 1: a tab; YAML takes only spaces for indentation");
        check("a: 1\na: 2\n", "line 2, column 1: `a` is there twice");
        check("a: @5\n", "line 1, column 4: text that begins with `@` must be quoted in YAML: \"@5\"");
        check("a: 1\n---\nb: 2\n", "line 3, column 1: a second document; only one fits in here");
        check("a: 'x\n", "line 1, column 4: unclosed quote");
        check("a: b: c\n", "line 1, column 5: mapping values are not allowed in this context");
    }
}
