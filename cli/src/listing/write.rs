//! Rows as a table, as JSON, or as CSV (RFC 4180).

use serde_json::{Map, Value};

use super::key::Key;
use crate::{
    error::Result,
    output::{self, Format},
    printable::one_line,
    session::Session,
};

/// Longest cell of a table, characters.
const CELL_MAX: usize = 60;

/// Prints rows of a value for each key.
///
/// # Errors
/// Fails if standard output does.
pub(super) fn rows(session: &Session, raw: bool, keys: &[Key], rows: Vec<Vec<Value>>) -> Result {
    if session.csv {
        return csv(raw, keys, &rows);
    }
    if session.format == Format::Json {
        let name =
            |row: Vec<Value>| -> Map<String, Value> { keys.iter().map(Key::to_string).zip(row).collect() };
        return output::json(&rows.into_iter().map(name).collect());
    }
    if rows.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = keys.iter().map(Key::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let cells = rows.iter().map(|row| row.iter().map(|value| one_line(&text(value), CELL_MAX)).collect());
    if raw { output::bare_table(cells) } else { output::table(&names, cells) }
}

fn csv(raw: bool, keys: &[Key], rows: &[Vec<Value>]) -> Result {
    let line = |cells: Vec<String>| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
    let mut out = String::new();
    if !raw {
        out.push_str(&line(keys.iter().map(Key::to_string).collect()));
        out.push('\n');
    }
    for row in rows {
        out.push_str(&line(row.iter().map(text).collect()));
        out.push('\n');
    }
    output::file(out.as_bytes())
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// Returns a value as text: empty for null, JSON for lists and maps.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_csv_are_quoted_where_they_must_be() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(text(&Value::Null), "");
        assert_eq!(text(&serde_json::json!([1, "a"])), "[1,\"a\"]");
    }
}
