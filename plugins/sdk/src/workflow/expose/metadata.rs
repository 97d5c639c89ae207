//! The metadata and monitors of an exposed calcjob, as ports in its namespace: `pw.metadata.computer`,
//! `pw.metadata.options.*`, `pw.monitors.*`.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Namespace, Node, Port, Value};

use crate::{
    ports::{
        given::Ports,
        input::{PortType, macros::namespace_port},
    },
    workflow::draft::CallMetadata,
};

/// The name of the namespace.
pub(super) const METADATA: &str = "metadata";
/// The name of the namespace of monitors, which every calcjob has.
pub(super) const MONITORS: &str = "monitors";
const OPTIONS: &str = "options";

/// Returns the port of the monitors.
pub(super) fn monitors_port() -> Port {
    let each = Namespace { ports: BTreeMap::new(), dynamic: Some(vec!["dict".to_owned()]) };
    Port { help: "Who looks at the running job, and may stop it".to_owned(), ..namespace_port(each) }
}

/// Returns its port.
pub(super) fn port() -> Port {
    let text = |help: &str| Port { types: String::types(), help: help.to_owned(), ..Port::default() };
    let options = Namespace { ports: BTreeMap::new(), dynamic: Some(Vec::new()) };
    let options = Port {
        help: "Options of the job: `max_wallclock_seconds`, ...".to_owned(),
        ..namespace_port(options)
    };
    let ports = [
        ("computer".to_owned(), text("Label of the computer that the job runs on")),
        ("description".to_owned(), text("For people")),
        ("label".to_owned(), text("For people")),
        (OPTIONS.to_owned(), options),
    ];
    namespace_port(Namespace { ports: ports.into(), dynamic: None })
}

/// Takes in what a port below `metadata` was given.
pub(super) fn read(metadata: &mut CallMetadata, port: &str, node: &Node) {
    let text = || node.value.as_str().unwrap_or_default().to_owned();
    match port {
        "computer" => metadata.computer = Some(text()),
        "description" => metadata.description = text(),
        "label" => metadata.label = text(),
        _ => {
            if let Some(option) = port.strip_prefix(OPTIONS).and_then(|rest| rest.strip_prefix('.')) {
                set(&mut metadata.options, option, &node.value);
            }
        }
    }
}

/// Sets `resources.num_machines` as an entry of the map `resources`.
fn set(options: &mut BTreeMap<String, Value>, name: &str, value: &Value) {
    match name.split_once('.') {
        None => drop(options.insert(name.to_owned(), value.clone())),
        Some((first, rest)) => {
            let entry = options.entry(first.to_owned()).or_default();
            if !matches!(entry, Value::Map(_)) {
                *entry = Value::Map(BTreeMap::new());
            }
            if let Value::Map(inner) = entry {
                set(inner, rest, value);
            }
        }
    }
}

/// Sets the ports from the metadata: the inverse of reading.
pub(super) fn give(metadata: &CallMetadata, ports: &mut Ports) {
    let mut text = |name: &str, text: &str| {
        if !text.is_empty() {
            ports.give(&format!("{METADATA}.{name}"), text.to_owned().given());
        }
    };
    text("computer", metadata.computer.as_deref().unwrap_or_default());
    text("description", &metadata.description);
    text("label", &metadata.label);
    for (name, value) in &metadata.options {
        ports.give(
            &format!("{METADATA}.{OPTIONS}.{name}"),
            crate::ports::scalars::Json(value.clone()).given(),
        );
    }
}
