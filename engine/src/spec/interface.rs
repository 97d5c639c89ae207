//! The check that an installed process type is still compatible with a plugin that was built to call it. Every
//! port, output and exit code of the interface must exist, with types that fit. Additions of the installed type do
//! no harm.

use std::collections::BTreeMap;

use ferry_plugin_proto::{ExitCode, Interface, Kind, Namespace, ProcessType};

use super::ports::{FlatPort, find_pinned_type, flatten, lookup};
use crate::store::{PluginRow, Reader};

/// Returns the type of a child, from the plugin files of its call tree. A type of another plugin must still be
/// what the caller's plugin, the file `caller`, was built to call.
///
/// # Errors
/// Returns a text for the user if the type is unknown, claimed by two plugins, or no longer compatible.
pub(crate) fn find_called_type(
    reader: &Reader,
    name: &str,
    caller: &str,
    pins: &[String],
) -> Result<(PluginRow, ProcessType), String> {
    let found = find_pinned_type(reader, name, pins);
    let caller = reader.plugin(caller).map_err(|error| error.to_string())?;
    let Some(needed) = interface_of(&caller, name) else { return found };
    let (plugin, process_type) = found.map_err(|why| missing(&caller, needed, &why))?;
    fits(&caller, needed, &plugin, &process_type)?;
    Ok((plugin, process_type))
}

/// Returns the interface of the type of this name that a plugin was built with, if it has one.
fn interface_of<'a>(caller: &'a PluginRow, name: &str) -> Option<&'a Interface> {
    let is_meant = |interface: &&Interface| {
        let ProcessType { name: full, aliases, .. } = &interface.process_type;
        full == name || aliases.iter().any(|alias| alias == name)
    };
    caller.manifest.interfaces.iter().find(is_meant)
}

/// Returns the message for a type that a plugin calls and no plugin offers.
fn missing(caller: &PluginRow, interface: &Interface, why: &str) -> String {
    format!(
        "{why}; plugin `{}` {} was built to call the version of plugin `{}` {}: install that plugin and launch the \
         tree again",
        caller.name, caller.version, interface.plugin, interface.version
    )
}

/// Checks that the installed type keeps an interface.
///
/// # Errors
/// Returns all differences at once, in words that name both plugins.
fn fits(
    caller: &PluginRow,
    interface: &Interface,
    plugin: &PluginRow,
    offered: &ProcessType,
) -> Result<(), String> {
    let wrong = misfits(&interface.process_type, offered);
    if wrong.is_empty() {
        return Ok(());
    }
    let name = &offered.name;
    Err(format!(
        "`{name}` of the installed plugin `{}` {} is not what plugin `{}` {} was built to call, the `{name}` of `{}` {}: {}; \
         install a version of `{}` that fits, or build `{}` again with what `ferry plugin interface {name}` writes now",
        plugin.name,
        plugin.version,
        caller.name,
        caller.version,
        interface.plugin,
        interface.version,
        wrong.join(", "),
        plugin.name,
        caller.name,
    ))
}

fn misfits(wanted: &ProcessType, offered: &ProcessType) -> Vec<String> {
    let mut wrong = Vec::new();
    if wanted.kind != offered.kind && (wanted.kind == Kind::CalcJob || offered.kind == Kind::Unknown) {
        wrong.push(format!("it was a {} and is now a {}", wanted.kind.as_str(), offered.kind.as_str()));
    }
    inputs(&wanted.inputs, &offered.inputs, &mut wrong);
    outputs(&wanted.outputs, &offered.outputs, &mut wrong);
    exit_codes(&wanted.exit_codes, &offered.exit_codes, &mut wrong);
    wrong
}

/// Compares inputs. An installed input must accept all that the interface's accepts, and no required one may be
/// new.
fn inputs(wanted: &Namespace, offered: &Namespace, wrong: &mut Vec<String>) {
    let (wanted, offered) = (flatten(wanted), flatten(offered));
    for (name, port) in &wanted {
        let (before, now) = match found(&offered, name, port) {
            None => {
                wrong.push(format!("input `{name}` is gone"));
                continue;
            }
            Some(now) => (&port.port.types, &now.port.types),
        };
        let takes = |data_type: &String| {
            now.contains(data_type) || (data_type == "int" && now.iter().any(|other| other == "float"))
        };
        if !now.is_empty() && (before.is_empty() || !before.iter().all(takes)) {
            wrong.push(format!("input `{name}` took {} and takes {}", in_words(before), in_words(now)));
        }
    }
    let is_new = |port: &&FlatPort| {
        port.required && port.port.default.is_none() && !port.dynamic && lookup(&wanted, &port.name).is_none()
    };
    for port in offered.values().filter(is_new) {
        wrong.push(format!("input `{}` is new and required ({})", port.name, in_words(&port.port.types)));
    }
}

/// Compares outputs. An installed output must be of a type that the interface lists, and must exist whenever the
/// interface's did.
fn outputs(wanted: &Namespace, offered: &Namespace, wrong: &mut Vec<String>) {
    let (wanted, offered) = (flatten(wanted), flatten(offered));
    for (name, port) in &wanted {
        let Some(now) = found(&offered, name, port) else {
            wrong.push(format!("output `{name}` is gone"));
            continue;
        };
        let (before, types) = (&port.port.types, &now.port.types);
        if !before.is_empty()
            && (types.is_empty() || !types.iter().all(|data_type| before.contains(data_type)))
        {
            wrong.push(format!("output `{name}` was {} and is {}", in_words(before), in_words(types)));
        } else if port.required && !now.required {
            wrong.push(format!("output `{name}` was required and is now optional"));
        }
    }
}

/// Finds a port of the same name, which is dynamic if the wanted one is. A dynamic namespace stands in for ports
/// inside it.
fn found<'a>(offered: &'a BTreeMap<String, FlatPort>, name: &str, wanted: &FlatPort) -> Option<&'a FlatPort> {
    if wanted.dynamic { offered.get(name).filter(|port| port.dynamic) } else { lookup(offered, name) }
}

fn exit_codes(wanted: &[ExitCode], offered: &[ExitCode], wrong: &mut Vec<String>) {
    for ExitCode { status, label, .. } in wanted {
        match offered.iter().find(|code| code.status == *status) {
            None => wrong.push(format!("exit code {status} {label} is gone")),
            Some(now) if now.label != *label => {
                wrong.push(format!("exit code {status} was {label} and is {}", now.label));
            }
            Some(_) => {}
        }
    }
}

fn in_words(types: &[String]) -> String {
    if types.is_empty() { "anything".to_owned() } else { types.join(" or ") }
}

#[cfg(test)]
mod tests {
    use ferry_plugin_proto::Port;

    use super::*;

    fn port(types: &[&str], required: bool) -> Port {
        Port { types: types.iter().map(|name| (*name).to_owned()).collect(), required, ..Port::default() }
    }

    fn namespace<const N: usize>(ports: [(&str, Port); N]) -> Namespace {
        Namespace { ports: ports.map(|(name, port)| (name.to_owned(), port)).into(), dynamic: None }
    }

    fn code(status: u32, label: &str) -> ExitCode {
        ExitCode { status, label: label.to_owned(), message: String::new(), invalidates_cache: false }
    }

    fn pw() -> ProcessType {
        let free = Namespace { ports: BTreeMap::new(), dynamic: Some(vec!["file".to_owned()]) };
        let inputs = namespace([
            ("ecut", port(&["int"], true)),
            ("mesh", Port { namespace: Some(namespace([("n", port(&["int"], true))])), ..port(&[], true) }),
            ("pseudos", Port { namespace: Some(free), ..Port::default() }),
        ]);
        ProcessType {
            name: "qe.pw".into(),
            kind: Kind::CalcJob,
            doc: String::new(),
            inputs,
            outputs: namespace([("energy", port(&["float"], true))]),
            exit_codes: vec![code(410, "ERROR_NOT_CONVERGED")],
            aliases: Vec::new(),
            cache_version: 0,
            options: BTreeMap::new(),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut ProcessType), expected: &[&str]) {
        let mut offered = pw();
        change(&mut offered);
        assert_eq!(misfits(&pw(), &offered), expected);
    }

    #[test]
    fn what_is_added_or_wider_fits() {
        check(
            |pw| {
                pw.inputs.ports.insert("more".into(), port(&["str"], false));
                pw.inputs.ports.insert("ecut".into(), port(&["float"], false));
                pw.outputs.ports.insert("bands".into(), port(&["list"], true));
                pw.exit_codes.push(code(420, "ERROR_OTHER"));
            },
            &[],
        );
    }

    #[test]
    fn a_port_or_exit_code_that_is_gone_does_not_fit() {
        check(
            |pw| {
                pw.inputs.ports.remove("mesh");
                pw.inputs.ports.remove("pseudos");
                pw.outputs.ports.clear();
                pw.exit_codes.clear();
            },
            &[
                "input `mesh.n` is gone",
                "input `pseudos` is gone",
                "output `energy` is gone",
                "exit code 410 ERROR_NOT_CONVERGED is gone",
            ],
        );
    }

    #[test]
    fn another_type_or_meaning_does_not_fit() {
        check(
            |pw| {
                pw.kind = Kind::WorkChain;
                pw.inputs.ports.insert("ecut".into(), port(&["str"], true));
                pw.outputs.ports.insert("energy".into(), port(&["float", "dict"], true));
                pw.exit_codes = vec![code(410, "ERROR_NO_INPUT")];
            },
            &[
                "it was a calcjob and is now a workchain",
                "input `ecut` took int and takes str",
                "output `energy` was float and is float or dict",
                "exit code 410 was ERROR_NOT_CONVERGED and is ERROR_NO_INPUT",
            ],
        );
    }

    #[test]
    fn a_new_duty_or_a_weaker_promise_does_not_fit() {
        check(
            |pw| {
                pw.inputs.ports.insert("code".into(), port(&["code"], true));
                pw.outputs.ports.insert("energy".into(), port(&["float"], false));
            },
            &["input `code` is new and required (code)", "output `energy` was required and is now optional"],
        );
    }
}
