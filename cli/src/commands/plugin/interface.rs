//! `ferry plugin interface`: the file that `interface!` reads.

use ferry_engine::process::find_type;
use ferry_plugin_proto::{INTERFACE, Interface};
use serde_json::Value;

use super::{find_plugin, unknown};
use crate::{
    error::{Failure, Result},
    output,
    session::Session,
};

/// Writes a process type's interface. It is JSON whatever the format asked for.
pub(super) async fn write(session: &Session, name: &str) -> Result {
    let reader = session.reader().await?;
    let (plugin, offered) = match find_type(&reader, name) {
        Ok(found) => found,
        Err(problem) => match find_plugin(&reader, name)? {
            Some(plugin) => {
                let types: Vec<&str> =
                    plugin.manifest.types.iter().map(|offered| offered.name.as_str()).collect();
                return Err(Failure::usage(format!(
                    "`{name}` is a plugin; an interface is that of one process type"
                ))
                .help(format!("name one of its types: {}", types.join(", "))));
            }
            None => return Err(unknown(&reader, name, problem)?),
        },
    };
    let interface = Interface {
        interface: INTERFACE,
        plugin: plugin.name,
        version: plugin.version,
        process_type: offered,
    };
    let mut shown = serde_json::to_value(&interface)
        .map_err(|error| Failure::new(format!("`{name}` can't be written as JSON: {error}")))?;
    slim(&mut shown);
    output::json(&shown)
}

/// Removes empty entries, so that people can read the file; never inside of values.
fn slim(json: &mut Value) {
    const LISTS: &[&str] = &["aliases", "choices", "types"];
    let Value::Object(entries) = json else { return };
    entries.retain(|key, value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty() || key == "default",
        Value::Array(items) => !items.is_empty() || !LISTS.contains(&key.as_str()),
        _ => true,
    });
    for (key, value) in entries.iter_mut() {
        match value {
            Value::Array(items) if key == "exit_codes" => items.iter_mut().for_each(slim),
            Value::Object(_) if key != "default" => slim(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_says_nothing_is_left_out_but_never_of_values() {
        let mut port =
            json!({"x": {"help": "", "types": [], "range": null, "default": {"a": null, "b": ""}}});
        slim(&mut port);
        assert_eq!(port, json!({"x": {"default": {"a": null, "b": ""}}}));
        let mut namespace = json!({"dynamic": [], "ports": {}});
        slim(&mut namespace);
        assert_eq!(namespace, json!({"dynamic": [], "ports": {}}));
    }
}
