//! `--like ID`: the inputs of an earlier process, as the same nodes, and its metadata. A node that several
//! processes share shows in the graph that they had the same input.

use ferry_engine::{
    process::InputValue,
    store::{NodeId, Reader},
};
use ferry_plugin_proto::Value;

use super::gather::Gathered;
use crate::{error::Result, view};

/// Takes all that a process was launched with.
///
/// # Errors
/// Returns the store's errors.
pub(super) fn gather(gathered: &mut Gathered<'_>, reader: &Reader, process: NodeId) -> Result {
    for (port, node) in view::inputs(reader, process)? {
        gathered.value(&port, InputValue::Node(node.uuid.to_string()));
    }
    for (key, value) in metadata(reader, process)? {
        gathered.metadata_value(key, value);
    }
    Ok(())
}

/// Returns the metadata that was given beside the inputs.
///
/// # Errors
/// Returns the store's errors.
pub(super) fn metadata(reader: &Reader, process: NodeId) -> Result<Vec<(&'static str, Value)>> {
    let node = reader.node(process)?;
    let options = match node.body.get("options") {
        Some(Value::Map(options)) => {
            // Options that were never set are not set again.
            let said = options.iter().filter(|(_, value)| **value != Value::Null);
            Some(Value::Map(said.map(|(key, value)| (key.clone(), value.clone())).collect()))
        }
        _ => None,
    };
    let text = |text: String| (!text.is_empty()).then(|| Value::from(text));
    let known = [
        ("label", text(node.label)),
        ("description", text(node.description)),
        ("computer", node.computer.and_then(text)),
        ("options", options),
    ];
    Ok(known.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}
