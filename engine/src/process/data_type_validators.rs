//! New nodes of data types that a process's own plugin does not read. The plugins that declare those types check
//! them.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Check, Inputs, Problem, ProcessType};

use super::Refusal;
use crate::{
    node::declared_type,
    owner::Context,
    spec::{input_ports, lookup_port},
    store::{PluginRow, Result},
};

/// Asks those plugins to check the nodes. `new` are the ports of inputs that are not stored yet.
///
/// # Errors
/// Returns an error of a plugin or of the store.
pub(super) async fn ask(
    cx: &Context,
    plugin: &PluginRow,
    process_type: &ProcessType,
    inputs: &Inputs,
    new: impl Iterator<Item = &str>,
) -> Result<Vec<Problem>, Refusal> {
    let mut problems = Vec::new();
    for (digest, nodes) in by_plugin(cx, plugin, process_type, inputs, new)? {
        problems.extend(cx.check_data(&digest, &Check::Data(nodes)).await?.problems);
    }
    Ok(problems)
}

fn by_plugin<'a>(
    cx: &Context,
    plugin: &PluginRow,
    process_type: &ProcessType,
    inputs: &Inputs,
    new: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, Inputs>> {
    let ports = input_ports(process_type);
    // The plugin itself reads a port that takes certain types, when it validates.
    let reads = |port: &str, data_type: &str| {
        let declares = plugin.manifest.data_types.iter().any(|known| known.name == data_type);
        declares && lookup_port(&ports, port).is_some_and(|port| !port.port.types.is_empty())
    };
    let mut foreign: BTreeMap<String, Inputs> = BTreeMap::new();
    for port in new {
        let Some(node) = inputs.get(port) else { continue };
        let data_type = &node.data_type;
        if !data_type.contains('.') || reads(port, data_type) {
            continue;
        }
        if let Some(declared) = declared_type(&cx.store, data_type, None)? {
            foreign.entry(declared.plugin.digest).or_default().insert(port.to_owned(), node.clone());
        }
    }
    Ok(foreign)
}
