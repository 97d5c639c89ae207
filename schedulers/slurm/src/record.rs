//! Lines of Slurm's commands that hold free text. Names and comments may hold bars, quotes and line breaks. So a
//! record begins with a sign, its fields are separated by a control character, and its last field says that it is
//! complete.

use std::path::PathBuf;

use ferry_engine_core::scheduler::{Error, ErrorKind, Result};

/// First character of a record.
pub(crate) const BEGIN: char = '@';
/// Separator of its fields: ASCII's unit separator.
pub(crate) const FIELD: char = '\u{1f}';
/// Its last field.
const WHOLE: &str = ".";
/// Slurm's output for a text that was not set.
const NOTHING: &str = "(null)";

/// Returns a format of `squeue` with these fields; those with free text come last.
pub(crate) fn format(fields: &[&str]) -> String {
    format!("{BEGIN}{}{FIELD}{WHOLE}", fields.join(&FIELD.to_string()))
}

/// Reads the records among lines, each with this number of fields. Lines between records are output of a login
/// shell or of a wrapper, and are skipped.
///
/// # Errors
/// `Unreadable` for a record that was cut.
pub(crate) fn read(operation: &'static str, lines: &[&str], fields: usize) -> Result<Vec<Vec<String>>> {
    let mut records = Vec::new();
    let mut open: Option<String> = None;
    for line in lines {
        let is_new = line.starts_with(BEGIN) && line[1..].starts_with(|c: char| c.is_ascii_digit());
        let text = match open.take() {
            // A line break in a name or a comment.
            Some(begun) if !is_new => format!("{begun}\n{line}"),
            Some(begun) => return Err(cut(operation, &begun)),
            None if is_new => line[1..].to_owned(),
            None => continue,
        };
        let parts: Vec<&str> = text.split(FIELD).collect();
        if parts.len() == fields + 1 && parts.last() == Some(&WHOLE) {
            records.push(parts[..fields].iter().map(|part| (*part).to_owned()).collect());
        } else if parts.len() > fields + 1 {
            return Err(cut(operation, &text));
        } else {
            open = Some(text);
        }
    }
    open.map_or(Ok(records), |begun| Err(cut(operation, &begun)))
}

fn cut(operation: &'static str, record: &str) -> Error {
    Error::new(ErrorKind::Unreadable, operation)
        .message("a line of Slurm's answer can't be read")
        .with("line", record.escape_debug())
        .later()
}

/// Returns a text; empty if it was not set.
pub(crate) fn text(field: &str) -> String {
    if field == NOTHING { String::new() } else { field.to_owned() }
}

/// Returns a directory; `None` if it was not set.
pub(crate) fn dir(field: &str) -> Option<PathBuf> {
    (!field.is_empty() && field != NOTHING).then(|| PathBuf::from(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&[&[&str]], ()>) {
        let lines: Vec<&str> = text.lines().collect();
        let read =
            read("status", &lines, 3).map_err(|error| assert_eq!(*error.kind(), ErrorKind::Unreadable));
        let expect =
            expect.map(|all| all.iter().map(|one| one.iter().map(|f| (*f).to_owned()).collect()).collect());
        assert_eq!(read, expect, "{text:?}");
    }

    #[test]
    fn free_text_stays_in_its_field() {
        check("@1\u{1f}a|b\u{1f}c\u{1f}.\n", Ok(&[&["1", "a|b", "c"]]));
        // Slurm 22.05.8: a comment with a line break is printed as it is.
        check(
            "@1\u{1f}x|y\nz\u{1f}c\u{1f}.\n@2\u{1f}\u{1f}\u{1f}.",
            Ok(&[&["1", "x|y\nz", "c"], &["2", "", ""]]),
        );
        check("Welcome!\n@home\n@1\u{1f}b\u{1f}c\u{1f}.\nBye.", Ok(&[&["1", "b", "c"]]));
    }

    #[test]
    fn half_a_record_is_none() {
        for text in
            ["@1", "@1\u{1f}b\u{1f}c", "@1\u{1f}b\n@2\u{1f}b\u{1f}c\u{1f}.", "@1\u{1f}\u{1f}\u{1f}\u{1f}."]
        {
            check(text, Err(()));
        }
    }
}
