//! Checks a manifest before it is used: versions, names, exit codes, ports.

use std::collections::BTreeSet;

use ferry_plugin_proto::{DataType, ExitCode, Manifest, MonitorType, Namespace, PROTO, ProcessType};

use super::{Error, ErrorKind, Result};

/// Deepest nesting of ports.
const DEPTH_MAX: usize = 16;
/// Smallest exit code of a plugin; those below are the engine's.
const STATUS_MIN: u32 = 200;

/// Checks a manifest.
///
/// # Errors
/// `Abi` for messages that this ferry does not know, else `BadReply`. The text names the first problem.
pub fn check(manifest: &Manifest) -> Result<()> {
    let error = |kind, message| Error::new(kind, "plugin manifest").message(message);
    let found = manifest.proto;
    if found == 0 || found > PROTO {
        let message = format!("the plugin speaks message set {found}, this ferry knows 1 to {PROTO}");
        return Err(error(ErrorKind::Abi, message)
            .with("plugin", &manifest.plugin)
            .help("install a newer ferry, or build the plugin with an older ferry_plugin"));
    }
    let checked = check_types(&manifest.types)
        .and_then(|()| check_monitors(&manifest.monitors))
        .and_then(|()| check_data_types(&manifest.data_types));
    checked.map_err(|message| refused(manifest, message))
}

/// Returns the error for a manifest that its author has to mend.
pub fn refused(manifest: &Manifest, message: String) -> Error {
    Error::new(ErrorKind::BadReply, "plugin manifest")
        .message(message)
        .with("plugin", format!("{} {}", manifest.plugin, manifest.version))
        .help("only the plugin's author can fix this")
}

fn check_types(types: &[ProcessType]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for each in types {
        if !is_full_name(&each.name) {
            return Err(format!(
                "process type `{}`: a name is `plugin.type`, of a-z, 0-9, `_` and `-`, separated by dots",
                each.name
            ));
        }
        if let Some(alias) = each.aliases.iter().find(|alias| !is_dotted(alias)) {
            return Err(format!("process type `{}`: `{alias}` is not a valid alias", each.name));
        }
        for name in std::iter::once(&each.name).chain(&each.aliases) {
            if !names.insert(name) {
                return Err(format!("two process types claim the name `{name}`"));
            }
        }
        check_type(each).map_err(|message| format!("process type `{}`: {message}", each.name))?;
    }
    Ok(())
}

fn check_data_types(types: &[DataType]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for DataType { name, version, reads, writes, .. } in types {
        if !is_full_name(name) {
            return Err(format!(
                "data type `{name}`: a name is `library.type`, of a-z, 0-9, `_` and `-`, separated by dots"
            ));
        }
        if !names.insert(name) {
            return Err(format!("the data type `{name}` is declared twice"));
        }
        if *version == 0 {
            return Err(format!("data type `{name}`: versions start at 1"));
        }
        let is_word = |word: &&String| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if let Some(word) = reads.iter().chain(writes).find(|word| !is_word(word)) {
            return Err(format!("data type `{name}`: `{word}` is not a valid file format: use a-z and 0-9"));
        }
    }
    Ok(())
}

fn check_monitors(monitors: &[MonitorType]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for each in monitors {
        let wrong = |message: String| Err(format!("monitor `{}`: {message}", each.name));
        if !is_full_name(&each.name) {
            return wrong("a name is `plugin.monitor`, of a-z, 0-9, `_` and `-`, separated by dots".into());
        }
        if let Some(alias) = each.aliases.iter().find(|alias| !is_dotted(alias)) {
            return wrong(format!("`{alias}` is not a valid alias"));
        }
        if !std::iter::once(&each.name).chain(&each.aliases).all(|name| names.insert(name)) {
            return wrong("another monitor claims one of its names".into());
        }
        check_ports("input", &each.inputs, DEPTH_MAX).or_else(wrong)?;
    }
    Ok(())
}

fn check_type(process_type: &ProcessType) -> Result<(), String> {
    check_exit_codes(&process_type.exit_codes)?;
    check_ports("input", &process_type.inputs, DEPTH_MAX)?;
    check_ports("output", &process_type.outputs, DEPTH_MAX)
}

fn check_exit_codes(codes: &[ExitCode]) -> Result<(), String> {
    let (mut statuses, mut labels) = (BTreeSet::new(), BTreeSet::new());
    for ExitCode { status, label, .. } in codes {
        if *status < STATUS_MIN {
            return Err(format!("exit code {status} ({label}): those below {STATUS_MIN} are ferry's own"));
        }
        if !is_identifier(label) {
            return Err(format!(
                "exit code {status}: `{label}` is not a valid label: it must begin with ERROR_"
            ));
        }
        if !statuses.insert(status) {
            return Err(format!("exit code {status} is declared twice"));
        }
        if !labels.insert(label) {
            return Err(format!("exit code label `{label}` is declared twice"));
        }
    }
    Ok(())
}

/// Checks ports and those nested in them. A double underscore separates the names of nested ports in link labels.
fn check_ports(kind: &str, namespace: &Namespace, depth: usize) -> Result<(), String> {
    if depth == 0 {
        return Err(format!("{kind} ports are nested more than {DEPTH_MAX} deep"));
    }
    for (name, port) in &namespace.ports {
        if !is_identifier(name) || name.contains("__") {
            return Err(format!(
                "{kind} port `{name}`: use letters, digits and single underscores, and no digit at the start"
            ));
        }
        if let Some(range) = &port.range
            && let (Some(min), Some(max)) = (range.min, range.max)
            && min > max
        {
            return Err(format!("{kind} port `{name}`: its range from {min} to {max} is empty"));
        }
        if let Some(nested) = &port.namespace {
            check_ports(kind, nested, depth - 1)?;
        }
    }
    Ok(())
}

fn is_full_name(name: &str) -> bool {
    name.contains('.') && is_dotted(name)
}

fn is_dotted(name: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    name.split('.').all(|part| !part.is_empty() && part.bytes().all(fits))
}

fn is_identifier(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(fits) && !name.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use ferry_plugin_proto::{Kind, Port};

    use super::*;

    fn process_type(name: &str) -> ProcessType {
        ProcessType {
            name: name.into(),
            kind: Kind::CalcJob,
            doc: String::new(),
            inputs: Namespace::default(),
            outputs: Namespace::default(),
            exit_codes: Vec::new(),
            aliases: Vec::new(),
            cache_version: 0,
            options: Default::default(),
        }
    }

    fn problem(change: impl FnOnce(&mut Manifest)) -> String {
        let types = vec![process_type("qe.pw"), process_type("qe.ph")];
        let mut manifest = Manifest { proto: 1, plugin: "qe".into(), types, ..Manifest::default() };
        change(&mut manifest);
        check(&manifest).map_or_else(|error| error.to_string(), |()| "fine".into())
    }

    fn with_port(name: &str, port: Port) -> Namespace {
        Namespace { ports: [(name.to_owned(), port)].into(), dynamic: None }
    }

    #[track_caller]
    fn says(problem: &str, part: &str) {
        assert!(problem.contains(part), "{problem}");
    }

    #[test]
    fn names_are_full_and_unique() {
        assert_eq!(problem(|_| ()), "fine");
        for wrong in ["pw", "qe.", ".pw", "qe..pw", "Qe.pw", "qe.p w", "qe/x.pw", ""] {
            says(&problem(|m| m.types[0].name = wrong.into()), "a name is `plugin.type`");
        }
        says(&problem(|m| m.types[1].name = "qe.pw".into()), "two process types claim the name `qe.pw`");
        says(&problem(|m| m.types[1].aliases = vec!["qe.pw".into()]), "claim the name `qe.pw`");
        says(&problem(|m| m.types[1].aliases = vec!["../x".into()]), "is not a valid alias");
    }

    #[test]
    fn data_types_have_names_versions_and_formats() {
        let with = |name: &str, version, reads: &[&str]| {
            let reads = reads.iter().map(|word| (*word).to_owned()).collect();
            let data_type = DataType { name: name.into(), version, reads, ..DataType::default() };
            problem(|m| m.data_types = vec![data_type])
        };
        assert_eq!(with("core.x", 1, &["cif"]), "fine");
        says(&with("int", 1, &[]), "a name is `library.type`");
        says(&with("core.x", 0, &[]), "versions start at 1");
        says(&with("core.x", 1, &["../x"]), "is not a valid file format");
        let twice = DataType { name: "core.x".into(), version: 1, ..DataType::default() };
        says(&problem(|m| m.data_types = vec![twice.clone(), twice]), "declared twice");
    }

    #[test]
    fn exit_codes_leave_the_engines_alone() {
        let code = |status, label: &str| ExitCode {
            status,
            label: label.into(),
            message: String::new(),
            invalidates_cache: false,
        };
        for (codes, part) in [
            (vec![code(0, "OK")], "below 200 are ferry's own"),
            (vec![code(110, "ERROR_X")], "below 200 are ferry's own"),
            (vec![code(300, "not good")], "is not a valid label"),
            (vec![code(300, "ERROR_X"), code(300, "ERROR_Y")], "300 is declared twice"),
            (vec![code(300, "ERROR_X"), code(301, "ERROR_X")], "`ERROR_X` is declared twice"),
            (vec![code(300, "ERROR_X"), code(400, "ERROR_Y")], "fine"),
        ] {
            says(&problem(|m| m.types[0].exit_codes = codes), part);
        }
    }

    #[test]
    fn ports_have_names_that_fit_into_labels() {
        for wrong in ["a__b", "1a", "a-b", "a.b", ""] {
            says(&problem(|m| m.types[0].inputs = with_port(wrong, Port::default())), "input port");
        }
        let nest = |port| Port { namespace: Some(with_port("a", port)), ..Port::default() };
        let nested =
            nest(nest(Port { namespace: Some(with_port("b__", Port::default())), ..Port::default() }));
        says(&problem(|m| m.types[0].outputs = with_port("a", nested)), "output port `b__`");
        let deep = (0..20).fold(Port::default(), |port, _| nest(port));
        says(&problem(|m| m.types[0].inputs = with_port("a", deep)), "nested more than");
    }

    #[test]
    fn messages_of_a_newer_ferry_are_refused() {
        says(&problem(|m| m.proto = PROTO + 1), "this ferry knows 1 to");
        says(&problem(|m| m.proto = 0), "message set 0");
    }
}
