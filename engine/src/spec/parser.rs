//! The option `parser_name`: another calcjob type whose `parse` reads the results. It is chosen at launch,
//! together with its plugin file. It gets the inputs of the process that it has ports for.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Inputs, Kind, Node, Problem, ProcessType};
use serde::{Deserialize, Serialize};

use super::ports::{coerce, flatten, lookup};
use crate::store::PluginRow;

/// The entry of a process's body for its parser.
pub(crate) const PARSER: &str = "parser";

/// The `parse` function of a type in a plugin file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parser {
    /// Digest of the file.
    pub(crate) plugin: String,
    /// Name of the type.
    pub(crate) process_type: String,
}

impl Parser {
    /// Returns the parser that a stored process was launched with, if it is not its own.
    ///
    /// # Errors
    /// Fails if the body can't be read.
    pub(crate) fn of(body: &ferry_plugin_proto::Value) -> Result<Option<Parser>, String> {
        body.get(PARSER).map(ferry_plugin_proto::from_value).transpose()
    }

    /// Selects the parser that was found for a name, for a process with inputs of these types.
    ///
    /// # Errors
    /// Returns the reason why it can't be used.
    pub(crate) fn choose(
        found: Result<(PluginRow, ProcessType), String>,
        given: &BTreeMap<&str, &str>,
    ) -> Result<Parser, Problem> {
        let problem = |message| Problem { port: "metadata.options.parser_name".into(), message };
        let (plugin, process_type) = found.map_err(problem)?;
        let name = process_type.name.clone();
        if process_type.kind != Kind::CalcJob {
            let kind = process_type.kind.as_str();
            return Err(problem(format!("`{name}` is a {kind}: only a calcjob has a parser")));
        }
        for port in flatten(&process_type.inputs).values().filter(|port| !port.dynamic) {
            let message = match given.get(port.name.as_str()) {
                Some(data_type)
                    if !port.port.types.is_empty() && !port.port.types.iter().any(|t| t == data_type) =>
                {
                    format!(
                        "`{name}` needs {} as `{}`, but this process has {data_type}",
                        port.port.types.join(" or "),
                        port.name
                    )
                }
                None if port.required && port.port.default.is_none() => {
                    format!("`{name}` needs the input `{}`, which this process does not have", port.name)
                }
                _ => continue,
            };
            return Err(problem(message));
        }
        Ok(Parser { plugin: plugin.digest, process_type: name })
    }

    /// Returns the inputs of a process that a parser has ports for, with its own defaults.
    ///
    /// # Errors
    /// Fails if a default does not fit its port.
    pub(crate) fn inputs(process_type: &ProcessType, mut inputs: Inputs) -> Result<Inputs, String> {
        let ports = flatten(&process_type.inputs);
        inputs.retain(|name, _| lookup(&ports, name).is_some());
        for port in ports.into_values().filter(|port| !port.dynamic) {
            if let Some(default) = port.port.default.filter(|_| !inputs.contains_key(&port.name)) {
                let (data_type, value) = coerce(&port.port.types, None, default)?;
                inputs.insert(port.name, Node { data_type, value, ..Node::default() });
            }
        }
        Ok(inputs)
    }
}
