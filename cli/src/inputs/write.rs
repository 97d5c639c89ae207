//! The inputs of a process as a file that `--inputs` reads: a line for each port. A line is JSON, which YAML includes.

use ferry_engine::store::{Node, NodeId, Reader};
use ferry_plugin_proto::Value;

use super::like;
use crate::{error::Result, view};

/// The choice when an input is written as a reference to its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum References {
    /// Values where they can be written, to be changed; nodes for the rest.
    WhereNeeded,
    /// The nodes themselves.
    Always,
}

/// Returns the text of the file.
///
/// # Errors
/// Returns the store's errors.
pub(crate) fn document_of(reader: &Reader, process: NodeId, references: References) -> Result<String> {
    let found = reader.process(process)?;
    let mut text = format!(
        "# The inputs of process {process}: `ferry submit {} --inputs FILE` starts it again.\n",
        found.process_type
    );
    for (port, node) in view::inputs(reader, process)? {
        let value = literal(&node).filter(|_| references == References::WhereNeeded);
        match value {
            Some(value) => text.push_str(&format!("{}: {}\n", json(&port.into()), json(&value))),
            None => text.push_str(&format!(
                "{}: {{\"node\": \"{}\"}} # {}: {}\n",
                json(&port.into()),
                node.uuid,
                node.node_type,
                view::value_line(reader, &node)
            )),
        }
    }
    let metadata = like::metadata(reader, process)?;
    if !metadata.is_empty() {
        text.push_str("metadata:\n");
    }
    for (key, value) in metadata {
        text.push_str(&format!("  {key}: {}\n", json(&value)));
    }
    Ok(text)
}

/// Returns the value of a node as a file can express it. Text is marked as text, so that it is read as
/// nothing else.
fn literal(node: &Node) -> Option<Value> {
    match (node.node_type.as_str(), &node.body) {
        ("int" | "float" | "bool" | "list", value) => Some(value.clone()),
        // A map that would be read as the name of a node.
        ("dict", Value::Map(map)) if map.len() == 1 && map.contains_key("node") => None,
        ("dict", value) => Some(value.clone()),
        ("str", Value::Str(text)) if is_plain(text) => Some(Value::from(text.as_str())),
        ("str", Value::Str(text)) => Some(Value::from(format!("str:{text}"))),
        _ => None,
    }
}

/// Returns whether a reader takes the text literally, whatever else its port accepts.
fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '/' || c == '-')
        && !text.contains(':')
        && serde_json::from_str::<serde_json::Value>(text).is_err()
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_could_be_something_else_is_marked() {
        for text in ["-n", "hello world", "/usr/bin/sort"] {
            assert!(is_plain(text), "{text}");
        }
        for text in ["5", "true", "@12", "file:a", "str:x", "{a}", "", "-5", "null"] {
            assert!(!is_plain(text), "{text}");
        }
    }
}
