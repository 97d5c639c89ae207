//! A file of inputs: a map of ports, nested or dotted, with `metadata` beside them. Text in it means what it
//! would mean as a word; other values are what they are.

use std::path::Path;

use ferry_engine::process::InputValue;
use ferry_plugin_proto::Value;

use super::{gather::Gathered, plain};

/// Takes a whole document. Paths in it count from `base`, the file's own directory.
pub(super) fn gather(gathered: &mut Gathered<'_>, document: Value, base: &Path) {
    let entries = match document {
        Value::Map(entries) => entries,
        Value::Null => return,
        other => {
            let message = format!("a file of inputs is a map of ports to values, got {}", kind(&other));
            return gathered.wrong("", message);
        }
    };
    for (name, value) in entries {
        match (name.strip_prefix("metadata"), value) {
            (Some(""), Value::Map(metadata)) => {
                metadata.into_iter().for_each(|(key, value)| gathered.metadata_value(&key, value));
            }
            (Some(""), other) => gathered.wrong("metadata", format!("expected a map, got {}", kind(&other))),
            (Some(key), value) if key.starts_with('.') => gathered.metadata_value(&key[1..], value),
            (_, value) => entry(gathered, &name, value, base),
        }
    }
}

fn entry(gathered: &mut Gathered<'_>, port: &str, value: Value, base: &Path) {
    if gathered.refuse_metadata(port) {
        return;
    }
    let types = gathered.types(port);
    match value {
        Value::Str(word) => gathered.word(port, &word, base),
        Value::Map(map) if types.is_none() && gathered.is_namespace(port) => {
            map.into_iter().for_each(|(name, value)| entry(gathered, &format!("{port}.{name}"), value, base));
        }
        Value::Map(map) => match node_name(&map) {
            Some(name) => gathered.value(port, InputValue::Node(name)),
            None => gathered.value(port, plain(Value::Map(map))),
        },
        other => gathered.value(port, plain(other)),
    }
}

/// Returns the name of a node in a map such as `{node: 12}`.
fn node_name(map: &std::collections::BTreeMap<String, Value>) -> Option<String> {
    match (map.len(), map.get("node")) {
        (1, Some(Value::Int(id))) => Some(id.to_string()),
        (1, Some(Value::Str(name))) => Some(name.trim_start_matches('@').to_owned()),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Int(_) | Value::Float(_) => "a number",
        Value::Str(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    }
}
