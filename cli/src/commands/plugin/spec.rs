//! Description of a process type's inputs and outputs, for people and for scripts.

use std::collections::BTreeMap;

use ferry_engine::{
    process::{FlatPort, flatten, input_ports},
    store::PluginRow,
};
use ferry_plugin_proto::{MonitorType, Port, ProcessType, Value};
use serde_json::json;

use crate::{
    error::Result,
    output::{self, Format},
    session::Session,
};

/// Shows a process type.
pub(super) fn show(session: &Session, plugin: &PluginRow, offered: &ProcessType) -> Result {
    if session.format == Format::Json {
        return output::json(&to_json(plugin, offered));
    }
    output::line(format!("{} ({})", offered.name, offered.kind.as_str()))?;
    output::line(format!("plugin {} {}, {}", plugin.name, plugin.version, super::short(&plugin.digest)))?;
    if !offered.aliases.is_empty() {
        output::line(format!("also called {}", offered.aliases.join(", ")))?;
    }
    if !offered.doc.is_empty() {
        output::line(format!("\n{}", offered.doc.trim_end()))?;
    }
    ports("input", input_ports(offered))?;
    ports("output", flatten(&offered.outputs))?;
    if !offered.options.is_empty() {
        output::line("")?;
        let word = |value: &Value| serde_json::to_string(value).unwrap_or_default();
        let row = |(name, value): (&String, &Value)| vec![name.clone(), word(value)];
        output::table(&["option", "unless said otherwise"], offered.options.iter().map(row))?;
    }
    if offered.exit_codes.is_empty() {
        return Ok(());
    }
    output::line("")?;
    let row = |code: &ferry_plugin_proto::ExitCode| {
        vec![code.status.to_string(), code.label.clone(), code.message.clone()]
    };
    output::table(&["exit", "label", "message"], offered.exit_codes.iter().map(row))
}

/// Shows a monitor.
pub(super) fn show_monitor(session: &Session, plugin: &PluginRow, monitor: &MonitorType) -> Result {
    if session.format == Format::Json {
        return output::json(&json!({
            "name": monitor.name,
            "kind": "monitor",
            "doc": monitor.doc,
            "aliases": monitor.aliases,
            "plugin": {"name": plugin.name, "version": plugin.version, "digest": plugin.digest},
            "kwargs": flatten(&monitor.inputs).values().map(port_json).collect::<serde_json::Value>(),
        }));
    }
    output::line(format!("{} (monitor)", monitor.name))?;
    output::line(format!("plugin {} {}, {}", plugin.name, plugin.version, super::short(&plugin.digest)))?;
    if !monitor.aliases.is_empty() {
        output::line(format!("also called {}", monitor.aliases.join(", ")))?;
    }
    if !monitor.doc.is_empty() {
        output::line(format!("\n{}", monitor.doc.trim_end()))?;
    }
    ports("kwarg", flatten(&monitor.inputs))
}

fn ports(title: &str, flat: BTreeMap<String, FlatPort>) -> Result {
    let mut ports: Vec<_> = flat.into_values().collect();
    if ports.is_empty() {
        return Ok(());
    }
    // Required ports come first.
    ports.sort_by_key(|port| !must_be_given(port));
    output::line("")?;
    let row = |flat: &FlatPort| {
        let needed = if must_be_given(flat) { "yes" } else { "" };
        vec![shown_name(flat), types(&flat.port), needed.to_owned(), bounds(&flat.port), help(&flat.port)]
    };
    output::table(&[title, "type", "required", "values", "meaning"], ports.iter().map(row))
}

fn must_be_given(flat: &FlatPort) -> bool {
    flat.required && flat.port.default.is_none() && !flat.dynamic
}

fn shown_name(flat: &FlatPort) -> String {
    match (flat.dynamic, flat.name.as_str()) {
        (false, name) => name.to_owned(),
        (true, "") => "<name>".to_owned(),
        (true, name) => format!("{name}.<name>"),
    }
}

fn types(port: &Port) -> String {
    if port.types.is_empty() { "any".into() } else { port.types.join(" or ") }
}

fn help(port: &Port) -> String {
    port.help.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Describes default, range and choices in a few words.
fn bounds(port: &Port) -> String {
    let word = |value: &Value| serde_json::to_string(value).unwrap_or_default();
    let mut parts = Vec::new();
    if !port.choices.is_empty() {
        parts.push(port.choices.iter().map(word).collect::<Vec<_>>().join("|"));
    }
    if let Some(range) = port.range {
        parts.extend(range.min.map(|min| format!(">= {min}")));
        let below = if range.max_exclusive { "<" } else { "<=" };
        parts.extend(range.max.map(|max| format!("{below} {max}")));
    }
    parts.extend(port.default.as_ref().map(|default| format!("default {}", word(default))));
    parts.join(", ")
}

fn port_json(flat: &FlatPort) -> serde_json::Value {
    json!({
        "name": flat.name,
        "types": flat.port.types,
        "required": must_be_given(flat),
        "dynamic": flat.dynamic,
        "default": flat.port.default,
        "range": flat.port.range.map(|range| json!({
            "min": range.min, "max": range.max, "max_exclusive": range.max_exclusive,
        })),
        "choices": flat.port.choices,
        "help": flat.port.help,
    })
}

fn to_json(plugin: &PluginRow, offered: &ProcessType) -> serde_json::Value {
    let ports =
        |ports: BTreeMap<String, FlatPort>| ports.values().map(port_json).collect::<serde_json::Value>();
    json!({
        "name": offered.name,
        "options": offered.options,
        "kind": offered.kind.as_str(),
        "doc": offered.doc,
        "aliases": offered.aliases,
        "plugin": {"name": plugin.name, "version": plugin.version, "digest": plugin.digest},
        "inputs": ports(input_ports(offered)),
        "outputs": ports(flatten(&offered.outputs)),
        "exit_codes": offered.exit_codes.iter().map(|code| json!({
            "status": code.status, "label": code.label, "message": code.message,
        })).collect::<serde_json::Value>(),
    })
}

#[cfg(test)]
mod tests {
    use ferry_plugin_proto::Range;

    use super::*;

    #[test]
    fn bounds_are_said_in_a_few_words() {
        let range = Range { min: Some(0.0), max: Some(1.5), max_exclusive: true };
        let port = Port { default: Some(Value::Int(1)), range: Some(range), ..Port::default() };
        assert_eq!(bounds(&port), ">= 0, < 1.5, default 1");
        let port = Port { choices: vec![Value::from("a"), Value::from("b")], ..Port::default() };
        assert_eq!(bounds(&port), r#""a"|"b""#);
    }
}
