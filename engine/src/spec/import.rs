//! The input `remote_folder`, which makes a calcjob an import: a run that is over, whose files are only retrieved and
//! parsed.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Inputs, Node, Port, ProcessType, Value};

use super::ports::{FlatPort, flatten, lookup};

/// The input that makes a process an import.
pub(crate) const FOLDER: &str = "remote_folder";
/// The entry of a process's body that marks it as an import.
pub const IMPORTED: &str = "imported";

/// Adds the input to the ports of a type, unless the type has one of that name itself.
pub(crate) fn add_port(ports: &mut BTreeMap<String, FlatPort>) {
    if lookup(ports, FOLDER).is_some() {
        return;
    }
    let port = Port {
        types: vec!["remote_folder".into()],
        help: "Directory of a run that is over: nothing is submitted, it is retrieved and parsed".into(),
        ..Port::default()
    };
    let name = FOLDER.to_owned();
    ports.insert(name.clone(), FlatPort { name, port, dynamic: false, required: false });
}

/// Returns whether a process with this body is an import.
pub(crate) fn is_import(body: &Value) -> bool {
    body.get(IMPORTED) == Some(&Value::Bool(true))
}

/// Changes the inputs to those that the plugin declared: without the folder, and with an empty code for each that
/// is required. A finished run needs none.
pub(crate) fn for_plugin(process_type: &ProcessType, inputs: &mut Inputs) {
    inputs.remove(FOLDER);
    for port in flatten(&process_type.inputs).into_values() {
        if port.required && port.port.types == ["code"] && !port.dynamic {
            let text =
                ["label", "computer", "filepath_executable"].map(|key| (key.to_owned(), Value::from("")));
            let value = Value::Map(text.into());
            inputs.entry(port.name).or_insert_with(|| Node {
                data_type: "code".into(),
                value,
                ..Node::default()
            });
        }
    }
}
