//! Resolution of inputs: given ones become nodes, stored or new, and missing ones get their defaults.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Problem, Value};
use uuid::Uuid;

use super::{InputValue, Launch, problem};
use crate::{
    ids,
    node::{check_typed_body, with_version},
    spec::{
        coerce,
        ports::{FlatPort, judge, lookup, unknown_port},
    },
    store::{FileContent, NewData, NodeKind, Reader, label_problem},
};

/// An input that was resolved: an existing node, or a new one, and its data for the plugin.
pub(crate) struct Resolved {
    pub(crate) uuid: Uuid,
    pub(crate) new: Option<NewData>,
    pub(crate) data_type: String,
    pub(crate) value: Value,
    pub(super) computer: Option<String>,
}

pub(super) fn resolve_inputs(
    reader: &Reader,
    plugin: &str,
    ports: &BTreeMap<String, FlatPort>,
    launch: &Launch,
    imported: bool,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Resolved> {
    let mut resolved = BTreeMap::new();
    for (name, given) in &launch.inputs {
        let Some(port) = lookup(ports, name) else {
            problems.push(unknown_port(name, ports));
            continue;
        };
        if let Some(message) = label_problem(name) {
            problems.push(problem(name, message));
            continue;
        }
        match resolve(reader, port, given, plugin) {
            Ok(input) => drop(resolved.insert(name.clone(), input)),
            Err(message) => problems.push(problem(name, message)),
        }
    }
    add_defaults(ports, launch, &mut resolved, problems);
    if imported {
        // A finished run needs no code.
        let is_code = |name: &str| ports.get(name).is_some_and(|port| port.port.types == ["code"]);
        problems.retain(|problem| launch.inputs.contains_key(&problem.port) || !is_code(&problem.port));
    }
    resolved
}

fn add_defaults(
    ports: &BTreeMap<String, FlatPort>,
    launch: &Launch,
    resolved: &mut BTreeMap<String, Resolved>,
    problems: &mut Vec<Problem>,
) {
    for (name, port) in ports.iter().filter(|(_, port)| !port.dynamic) {
        if launch.inputs.contains_key(name) {
            continue;
        }
        match &port.port.default {
            Some(default) => match coerce(&port.port.types, None, default.clone()) {
                Ok((data_type, value)) => {
                    drop(resolved.insert(name.clone(), new_input(data_type, value, Vec::new())))
                }
                Err(message) => {
                    problems.push(problem(name, format!("the type's own default is wrong: {message}")))
                }
            },
            None if port.required => {
                let types =
                    if port.port.types.is_empty() { "any".into() } else { port.port.types.join(" or ") };
                problems.push(problem(name, format!("required, but not given ({types})")));
            }
            None => {}
        }
    }
}

fn new_input(data_type: String, value: Value, files: Vec<FileContent>) -> Resolved {
    let uuid = ids::fresh();
    let new = NewData {
        uuid,
        data_type: data_type.clone(),
        label: String::new(),
        description: String::new(),
        body: value.clone(),
        files,
        computer: None,
    };
    Resolved { uuid, new: Some(new), data_type, value, computer: None }
}

impl Resolved {
    fn on(mut self, computer: Option<String>) -> Self {
        if let Some(new) = &mut self.new {
            new.computer.clone_from(&computer);
        }
        Resolved { computer, ..self }
    }
}

fn resolve(reader: &Reader, port: &FlatPort, given: &InputValue, plugin: &str) -> Result<Resolved, String> {
    let types = &port.port.types;
    let node = match given {
        InputValue::New { data_type, value, files } => {
            if let Some(name) = data_type
                && !types.contains(name)
                && !known_type(name)
            {
                return Err(format!("`{name}` is not a value type that ferry knows"));
            }
            let (data_type, value) = coerce(types, data_type.as_deref(), value.clone())?;
            let value = with_version(reader, &data_type, value, plugin).map_err(|error| error.to_string())?;
            check_typed_body(reader, &data_type, &value, files.len())?;
            judge(&port.port, &value)?;
            let computer = place_of(reader, &data_type, &value)?;
            return Ok(new_input(data_type, value, files.clone()).on(computer));
        }
        InputValue::Node(name) => reader.find_node(name).map_err(|error| error.to_string())?,
        InputValue::Code(name) => reader.find_code(name).map_err(|error| error.to_string())?,
    };
    if node.kind != NodeKind::Data {
        return Err(format!("node {} is a process, not data; name one of its outputs", node.id));
    }
    let (data_type, value) = coerce(types, Some(&node.node_type), node.body.clone())?;
    judge(&port.port, &value)?;
    if data_type != node.node_type {
        // An int where a float is wanted becomes a new node, since stored ones never change.
        return Ok(new_input(data_type, value, Vec::new()));
    }
    Ok(Resolved { uuid: node.uuid, new: None, data_type, value, computer: node.computer })
}

/// Returns the computer of a new node that is on one.
fn place_of(reader: &Reader, data_type: &str, value: &Value) -> Result<Option<String>, String> {
    if data_type != "remote_folder" {
        return Ok(None);
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    if !text("path").starts_with('/') {
        return Err(format!("the path `{}` is not absolute", text("path")));
    }
    let row = reader.computer(text("computer")).map_err(|error| error.to_string())?;
    Ok(Some(row.config.label))
}

/// Returns whether a type may exist: `library.name` is a plugin's type, and a plain word must be one of the
/// engine's.
fn known_type(name: &str) -> bool {
    name.contains('.') || crate::node::BASE_TYPES.contains(&name)
}
