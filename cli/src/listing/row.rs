//! The value of a node in a column, as JSON. A missing value is null.

use std::{cell::OnceCell, collections::BTreeSet};

use ferry_engine::store::{Node, NodeId, NodeKind, Process, Reader};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Listed,
    key::{Key, Place},
};
use crate::{error::Result, view};

/// One node of a list. What only some columns need is looked up when the first of them asks.
pub(super) struct Row<'a> {
    reader: &'a Reader,
    node: OnceCell<Node>,
    process: Option<Process>,
    id: NodeId,
    inputs: OnceCell<Ports>,
    outputs: OnceCell<Ports>,
}

type Ports = Vec<(String, Node)>;

impl<'a> Row<'a> {
    /// Makes the row of a node or a process.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub(super) fn new(reader: &'a Reader, it: &impl Listed) -> Result<Row<'a>> {
        let process = match (it.process(), it.node()) {
            (Some(process), _) => Some(process.clone()),
            (None, Some(node)) if node.kind == NodeKind::Process => Some(reader.process(node.id)?),
            _ => None,
        };
        let node = it.node().cloned().map_or_else(OnceCell::new, OnceCell::from);
        Ok(Row { reader, node, process, id: it.id(), inputs: OnceCell::new(), outputs: OnceCell::new() })
    }

    /// Returns the value in a column.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub(super) fn get(&self, key: &Key) -> Result<Value> {
        match &key.place {
            Place::Field(name) => self.field(name),
            Place::Attribute(path) => Ok(within(&body(self.node()?), path)),
            Place::Input(path) => Ok(port(once(&self.inputs, || view::inputs(self.reader, self.id))?, path)),
            Place::Output(path) => {
                Ok(port(once(&self.outputs, || view::outputs(self.reader, self.id))?, path))
            }
        }
    }

    fn node(&self) -> Result<&Node> {
        once(&self.node, || Ok(self.reader.node(self.id)?))
    }

    fn field(&self, name: &str) -> Result<Value> {
        match &self.process {
            Some(process) => {
                if let Some(value) = of_process(process, name) {
                    return Ok(value);
                }
            }
            None if matches!(name, "state" | "status" | "exit_code" | "exit_message") => {
                return Ok(Value::Null);
            }
            None => {}
        }
        let node = self.node()?;
        Ok(match name {
            "id" => json!(node.id),
            "uuid" => json!(node.uuid),
            "kind" => json!("data"),
            "type" => json!(node.node_type),
            "label" => json!(node.label),
            "description" => json!(node.description),
            "created" => json!(view::time(node.created)),
            "modified" => json!(view::time(node.modified)),
            "computer" => json!(node.computer),
            "value" if node.kind == NodeKind::Data => short(node),
            "sealed" => json!(true),
            "cached" if self.process.is_some() => json!(self.taken_from()?.is_some()),
            "cached_from" if self.process.is_some() => json!(self.taken_from()?),
            _ => Value::Null,
        })
    }

    /// Returns the process whose results it took over.
    fn taken_from(&self) -> Result<Option<Uuid>> {
        Ok(self.reader.cache_entry(self.id)?.and_then(|entry| entry.taken_from))
    }
}

/// Looks it up once.
fn once<T>(cell: &OnceCell<T>, look: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(known) = cell.get() {
        return Ok(known);
    }
    let found = look()?;
    Ok(cell.get_or_init(|| found))
}

fn of_process(process: &Process, name: &str) -> Option<Value> {
    let live = !process.state.is_terminal();
    Some(match name {
        "id" => json!(process.id),
        "uuid" => json!(process.uuid),
        "kind" => json!(process.kind.as_str()),
        "type" => json!(process.process_type),
        "label" => json!(process.label),
        "description" => json!(process.description),
        "created" => json!(view::time(process.created)),
        "modified" => json!(view::time(process.modified)),
        "computer" => json!(process.computer()),
        "state" => json!(process.state.as_str()),
        "paused" => json!(process.wishes.paused && live),
        "sealed" => json!(!live),
        "status" => json!(view::status(process)),
        "exit_code" => json!(process.end.status),
        "exit_message" => json!(process.end.message),
        "job_id" => json!(process.job_id()),
        "scheduler_state" => json!(process.scheduler_state()),
        "work_dir" => json!(process.work_dir()),
        "plugin" => json!(process.plugin),
        "caller" => json!(process.caller),
        "root" => json!(process.root),
        _ => return None,
    })
}

/// Finds the longest label that the path begins with. The rest of the path names a part of the value, or a
/// field of the node.
fn port(ports: &Ports, path: &str) -> Value {
    let rest_of = |label: &str| match path.strip_prefix(label)? {
        "" => Some(String::new()),
        rest => rest.strip_prefix('.').map(str::to_owned),
    };
    let found = ports.iter().filter_map(|(label, node)| Some((label.len(), node, rest_of(label)?)));
    let Some((_, node, rest)) = found.max_by_key(|(length, ..)| *length) else { return Value::Null };
    if rest.is_empty() {
        return short(node);
    }
    match (within(&body(node), &rest), rest.as_str()) {
        (Value::Null, "id" | "pk") => json!(node.id),
        (Value::Null, "uuid") => json!(node.uuid),
        (Value::Null, "type") => json!(node.node_type),
        (Value::Null, "label") => json!(node.label),
        (value, _) => value,
    }
}

/// Returns the value of a node, or its name if it has no value that fits into a column.
fn short(node: &Node) -> Value {
    let text = |key: &str| node.body.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    match node.node_type.as_str() {
        "file" => json!(text("filename")),
        "remote_folder" | "remote_stash" => json!(text("path")),
        "code" => json!(format!("{}@{}", node.label, node.computer.as_deref().unwrap_or_default())),
        "folder" => json!(format!("@{}", node.id)),
        _ => body(node),
    }
}

fn body(node: &Node) -> Value {
    serde_json::to_value(&node.body).unwrap_or_default()
}

/// Returns the value at a dotted path; null if there is none. Numbers are indices into lists.
fn within(value: &Value, path: &str) -> Value {
    path.split('.')
        .try_fold(value, |value, part| match value {
            Value::Array(list) => list.get(part.parse::<usize>().ok()?),
            other => other.get(part),
        })
        .cloned()
        .unwrap_or_default()
}

/// Describes the ports on the key's side: `; they have: x, y`.
///
/// # Errors
/// Returns the store's errors.
pub(super) fn ports_of<T: Listed>(reader: &Reader, all: &[T], key: &Key) -> Result<String> {
    let mut labels = BTreeSet::new();
    for it in all {
        let ports = match key.place {
            Place::Input(_) => view::inputs(reader, it.id())?,
            _ => view::outputs(reader, it.id())?,
        };
        labels.extend(ports.into_iter().map(|(label, _)| label));
    }
    let labels: Vec<_> = labels.into_iter().collect();
    Ok(if labels.is_empty() { String::new() } else { format!("; they have: {}", labels.join(", ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_into_maps_and_lists() {
        let value = json!({"a": {"b": [1, {"c": 2}]}});
        assert_eq!(within(&value, "a.b.1.c"), 2);
        assert_eq!(within(&value, "a.x"), Value::Null);
        assert_eq!(within(&value, "a.b.7"), Value::Null);
    }
}
