//! The text in a node of the picture: its class and names, then its state, value or file.

use clap::ValueEnum;
use ferry_engine::store::{Node, Process};
use ferry_plugin_proto::Value;

/// Names of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Identifier {
    /// Its number.
    #[value(alias = "pk")]
    Id,
    /// Its uuid.
    Uuid,
    /// Its label, or its number where it has none.
    Label,
}

/// Longest value shown, characters.
const LONG: usize = 40;

/// Returns all lines of a node.
pub(super) fn lines(node: &Node, process: Option<&Process>, identifiers: &[Identifier]) -> Vec<String> {
    let names: Vec<_> = identifiers.iter().map(|identifier| name(node, *identifier)).collect();
    let mut lines = vec![format!("{} ({})", node.node_type, names.join(", "))];
    match process {
        Some(process) => lines.extend(facts(process)),
        None => lines.extend(value(node).map(|text| shorten(&text))),
    }
    lines
}

fn name(node: &Node, identifier: Identifier) -> String {
    match identifier {
        Identifier::Uuid => node.uuid.to_string(),
        Identifier::Label if !node.label.is_empty() => node.label.clone(),
        Identifier::Id | Identifier::Label => node.id.to_string(),
    }
}

fn facts(process: &Process) -> Vec<String> {
    let label = Some(shorten(&process.label)).filter(|label| !label.is_empty());
    let exit = process.end.status.map(|status| format!("Exit Code: {status}"));
    label.into_iter().chain([format!("State: {}", process.state.as_str())]).chain(exit).collect()
}

/// Describes the contents of a data node in one line, if that is possible.
fn value(node: &Node) -> Option<String> {
    let text = |key: &str| node.body.get(key).and_then(Value::as_str).map(str::to_owned);
    match node.node_type.as_str() {
        "file" => text("filename"),
        "code" => Some(format!("{}@{}", node.label, node.computer.as_deref().unwrap_or_default())),
        "remote_folder" | "remote_stash" => text("computer").map(|computer| format!("@{computer}")),
        _ => match &node.body {
            Value::Str(text) => Some(text.clone()),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => serde_json::to_string(&node.body).ok(),
            Value::List(list) => Some(format!("{} items", list.len())),
            Value::Map(map) if !map.is_empty() => Some(map.keys().cloned().collect::<Vec<_>>().join(", ")),
            _ => None,
        },
    }
}

fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > LONG {
        line.chars().take(LONG - 3).chain("...".chars()).collect()
    } else {
        line
    }
}
