//! `ferry calcjob res`: the outputs that are values, not files.

use ferry_engine::store::Node;
use ferry_plugin_proto::Value;
use serde_json::Map;

use super::find;
use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
    view,
};

/// Shows the results.
pub(super) async fn show(session: &Session, name: &str) -> Result {
    let reader = session.reader().await?;
    let process = find(&reader, name)?;
    let mut outputs = view::outputs(&reader, process.id)?;
    outputs.retain(|(_, node)| is_value(node));
    if outputs.is_empty() {
        return Err(Failure::new(format!("{} has no results", view::title(&process))).help(format!(
            "it is {}; `ferry process show {}` shows all of it",
            view::state(&process),
            process.id
        )));
    }
    if session.format == Format::Json {
        let results: Map<_, _> = outputs
            .into_iter()
            .map(|(label, node)| (label, serde_json::to_value(&node.body).unwrap_or_default()))
            .collect();
        return output::json(&results.into());
    }
    output::details(outputs.iter().map(|(label, node)| (label.as_str(), text(&node.body))))
}

fn is_value(node: &Node) -> bool {
    matches!(node.node_type.as_str(), "int" | "float" | "str" | "bool" | "list" | "dict")
}

fn text(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        Value::List(_) | Value::Map(_) => serde_json::to_string_pretty(value).unwrap_or_default(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}
