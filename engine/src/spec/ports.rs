//! Ports of a process type: finding them by dotted name, parsing literals as values of their types, and checking
//! values against the manifest (type, range, choices) without running the plugin.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Namespace, Port, Problem, ProcessType, Value};

use crate::{
    node::BASE_TYPES,
    store::{PluginRow, Reader},
};

/// A problem with one port, in the form that plugins use.
pub type PortProblem = Problem;

/// A port with its full dotted name. A dynamic namespace is listed as a port with `dynamic` set.
#[derive(Debug, Clone, PartialEq)]
pub struct FlatPort {
    /// Dotted name.
    pub name: String,
    /// The port.
    pub port: Port,
    /// True if any names are allowed below this one.
    pub dynamic: bool,
    /// True if the port and every namespace around it are required.
    pub required: bool,
}

/// Returns all ports of a namespace, by dotted name.
pub fn flatten(namespace: &Namespace) -> BTreeMap<String, FlatPort> {
    let mut ports = BTreeMap::new();
    add_ports(namespace, "", true, &mut ports);
    ports
}

fn add_ports(namespace: &Namespace, prefix: &str, required: bool, ports: &mut BTreeMap<String, FlatPort>) {
    if let Some(types) = &namespace.dynamic {
        let port = Port { types: types.clone(), ..Port::default() };
        let name = prefix.trim_end_matches('.').to_owned();
        ports.insert(name.clone(), FlatPort { name, port, dynamic: true, required: false });
    }
    for (name, port) in &namespace.ports {
        let name = format!("{prefix}{name}");
        let required = required && port.required;
        match &port.namespace {
            Some(inner) => add_ports(inner, &format!("{name}."), required, ports),
            None => {
                let flat = FlatPort { name: name.clone(), port: port.clone(), dynamic: false, required };
                ports.insert(name, flat);
            }
        }
    }
}

/// Returns the port that a dotted name refers to, including that of a dynamic namespace.
pub fn lookup<'a>(ports: &'a BTreeMap<String, FlatPort>, name: &str) -> Option<&'a FlatPort> {
    if let Some(port) = ports.get(name).filter(|port| !port.dynamic) {
        return Some(port);
    }
    let mut end = name.len();
    while let Some(dot) = name[..end].rfind('.') {
        if let Some(port) = ports.get(&name[..dot]).filter(|port| port.dynamic) {
            return Some(port);
        }
        end = dot;
    }
    ports.get("").filter(|port| port.dynamic)
}

/// Returns the name closest to `wanted`, if one is close enough, for "did you mean".
pub fn closest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The beginning of a name counts as close to it, however much is missing.
    let distance = |name: &str| match wanted.len() > 3 && name.starts_with(wanted) {
        true => 1,
        false => strsim::damerau_levenshtein(wanted, name),
    };
    names
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3) && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

/// Reports an unknown port, with a suggestion.
pub(crate) fn unknown_port(name: &str, ports: &BTreeMap<String, FlatPort>) -> PortProblem {
    let known: Vec<&str> = ports.keys().map(String::as_str).filter(|name| !name.is_empty()).collect();
    let hint = match closest(name, known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None if known.is_empty() => "the type has no inputs".into(),
        None => format!("its inputs are: {}", known.join(", ")),
    };
    Problem { port: name.to_owned(), message: format!("no such input; {hint}") }
}

/// Returns the active plugin and process type of a full name or alias.
///
/// # Errors
/// Returns a text for the user if the name is unknown, with a suggestion, or claimed by two plugins, naming both.
pub fn find_type(reader: &Reader, name: &str) -> Result<(PluginRow, ProcessType), String> {
    let plugins = reader.plugins().map_err(|error| error.to_string())?;
    let active: Vec<PluginRow> = plugins.into_iter().filter(|plugin| plugin.active).collect();
    choose_type(&active, name)
}

/// Finds a type as [`find_type`] does, among the plugin files of these digests: those that a call tree was
/// launched with.
///
/// # Errors
/// Fails as [`find_type`] does.
pub(crate) fn find_pinned_type(
    reader: &Reader,
    name: &str,
    pins: &[String],
) -> Result<(PluginRow, ProcessType), String> {
    choose_type(&pinned(reader, pins)?, name)
}

/// Returns the plugin files of these digests; without digests, those that offer types for new processes.
///
/// # Errors
/// Returns an error of the store, in words.
pub(crate) fn offering(reader: &Reader, pins: Option<&[String]>) -> Result<Vec<PluginRow>, String> {
    match pins {
        Some(pins) => pinned(reader, pins),
        None => {
            let plugins = reader.plugins().map_err(|error| error.to_string())?;
            Ok(plugins.into_iter().filter(|plugin| plugin.active).collect())
        }
    }
}

fn pinned(reader: &Reader, pins: &[String]) -> Result<Vec<PluginRow>, String> {
    let plugins: Result<Vec<PluginRow>, _> = pins.iter().map(|digest| reader.plugin(digest)).collect();
    plugins.map_err(|error| error.to_string())
}

/// Returns the digests of the plugin files that offer types for new processes.
pub(crate) fn active_plugins(reader: &Reader) -> crate::store::Result<Vec<String>> {
    let active = reader.plugins()?.into_iter().filter(|plugin| plugin.active);
    Ok(active.map(|plugin| plugin.digest).collect())
}

fn choose_type(plugins: &[PluginRow], name: &str) -> Result<(PluginRow, ProcessType), String> {
    let offers = |plugin: &PluginRow| {
        let fits = |t: &&ProcessType| t.name == name || t.aliases.iter().any(|alias| alias == name);
        plugin.manifest.types.iter().find(fits).cloned()
    };
    let names = plugins.iter().flat_map(|plugin| plugin.manifest.types.iter().map(|t| t.name.as_str()));
    choose(plugins, offers, names, "process type", name)
}

/// Chooses the plugin that offers an item of this name, and returns both. `names` are all items of this kind, for
/// suggestions.
///
/// # Errors
/// Fails as [`find_type`] does.
pub(super) fn choose<'a, T>(
    plugins: &[PluginRow],
    offers: impl Fn(&PluginRow) -> Option<T>,
    names: impl Iterator<Item = &'a str>,
    what: &str,
    name: &str,
) -> Result<(PluginRow, T), String> {
    let mut found: Vec<_> =
        plugins.iter().filter_map(|plugin| offers(plugin).map(|offered| (plugin.clone(), offered))).collect();
    // An installed plugin takes precedence over the bundled one of its name.
    let installed: Vec<String> =
        found.iter().filter(|(plugin, _)| !plugin.bundled).map(|(plugin, _)| plugin.name.clone()).collect();
    found.retain(|(plugin, _)| !plugin.bundled || !installed.contains(&plugin.name));
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let hint = match closest(name, names) {
                Some(close) => format!("did you mean `{close}`?"),
                None => "`ferry plugin list` shows what there is".into(),
            };
            Err(format!("no {what} is called `{name}`; {hint}"))
        }
        _ => {
            let claims: Vec<_> =
                found.iter().map(|(plugin, _)| format!("{} ({})", plugin.name, plugin.origin)).collect();
            Err(format!(
                "`{name}` is claimed by {}; remove one of them with `ferry plugin remove`",
                claims.join(" and ")
            ))
        }
    }
}

/// Fits a value to one of the accepted types. Returns the type and the value; an integer becomes a float where
/// only floats are accepted. `given` is the value's own type, if it has one.
///
/// # Errors
/// Returns a text with the accepted types and the value given.
pub fn coerce(types: &[String], given: Option<&str>, value: Value) -> Result<(String, Value), String> {
    let accepts = |data_type: &str| types.is_empty() || types.iter().any(|accepted| accepted == data_type);
    if let Some(data_type) = given {
        if accepts(data_type) {
            return Ok((data_type.to_owned(), value));
        }
        if data_type == "int"
            && accepts("float")
            && let Value::Int(number) = value
        {
            return Ok(("float".into(), Value::Float(number as f64)));
        }
        return Err(type_problem(types, &format!("a node of type `{data_type}`")));
    }
    let natural = match &value {
        Value::Bool(_) => "bool",
        Value::Int(_) if accepts("int") || !accepts("float") => "int",
        Value::Int(number) => return Ok(("float".into(), Value::Float(*number as f64))),
        Value::Float(_) => "float",
        Value::Str(_) => "str",
        Value::List(_) => "list",
        Value::Map(_) => "dict",
        Value::Null | Value::Bytes(_) => "",
    };
    if !natural.is_empty() && accepts(natural) {
        return Ok((natural.to_owned(), value));
    }
    // A map is the body of the one plugin-declared type among them, if there is exactly one.
    let mut declared = types.iter().filter(|name| name.contains('.'));
    if natural == "dict"
        && let (Some(only), None) = (declared.next(), declared.next())
    {
        return Ok((only.clone(), value));
    }
    Err(type_problem(types, &crate::node::describe(&value)))
}

/// Returns the message "expected int or float, got ...".
pub fn type_problem(types: &[String], got: &str) -> String {
    let known = if types.is_empty() { "a value".into() } else { types.join(" or ") };
    format!("expected {known}, got {got}")
}

/// Parses a word of the command line as a value of the first accepted type that can read it. Text is tried last,
/// since it accepts any word.
///
/// # Errors
/// Returns a text with the accepted types and the word.
pub fn parse_literal(types: &[String], word: &str) -> Result<(String, Value), String> {
    const GUESS: &[&str] = &["int", "float", "bool", "list", "dict", "str"];
    let mut tries: Vec<&str> =
        if types.is_empty() { GUESS.to_vec() } else { types.iter().map(String::as_str).collect() };
    tries.sort_by_key(|data_type| *data_type == "str");
    for data_type in &tries {
        if let Some(value) = read_as(data_type, word) {
            return Ok(((*data_type).to_owned(), value));
        }
    }
    let unreadable: Vec<&str> = tries.iter().copied().filter(|t| !BASE_TYPES.contains(t)).collect();
    let help = match tries.as_slice() {
        ["file"] => "; give `file:PATH` or `@NODE`",
        ["folder" | "remote_stash"] => "; give `@NODE`",
        ["remote_folder"] => "; give `@NODE` or `COMPUTER:/ABSOLUTE/PATH`",
        ["code"] => "; give `LABEL@COMPUTER`",
        _ if !unreadable.is_empty() => "; give `@NODE` or `file:PATH`",
        _ => "",
    };
    Err(format!("{}{help}", type_problem(types, &format!("`{word}`"))))
}

fn read_as(data_type: &str, word: &str) -> Option<Value> {
    match data_type {
        "int" => word.parse().ok().map(Value::Int),
        "float" => word.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Float),
        "bool" => word.parse().ok().map(Value::Bool),
        "str" => Some(Value::from(word)),
        "remote_folder" => {
            let (computer, path) = word.split_once(':').filter(|(_, path)| path.starts_with('/'))?;
            let entries = [("computer", computer), ("path", path)];
            Some(Value::Map(entries.map(|(key, text)| (key.to_owned(), Value::from(text))).into()))
        }
        "list" => serde_json::from_str(word).ok().filter(|value| matches!(value, Value::List(_))),
        "dict" => serde_json::from_str(word).ok().filter(|value| matches!(value, Value::Map(_))),
        _ => None,
    }
}

/// Checks a value against its port's range and choices.
pub(crate) fn judge(port: &Port, value: &Value) -> Result<(), String> {
    if !port.choices.is_empty() && !port.choices.contains(value) {
        let choices: Vec<_> =
            port.choices.iter().map(|choice| serde_json::to_string(choice).unwrap_or_default()).collect();
        return Err(format!("must be one of {}", choices.join(", ")));
    }
    let (Some(range), Some(number)) = (port.range, value.as_float()) else { return Ok(()) };
    let too_small = range.min.is_some_and(|min| number < min);
    let too_large =
        range.max.is_some_and(|max| if range.max_exclusive { number >= max } else { number > max });
    if !too_small && !too_large {
        return Ok(());
    }
    let below = if range.max_exclusive { "below" } else { "at most" };
    let bounds =
        [range.min.map(|min| format!("at least {min}")), range.max.map(|max| format!("{below} {max}"))];
    Err(format!("must be {}, got {number}", bounds.into_iter().flatten().collect::<Vec<_>>().join(" and ")))
}

#[cfg(test)]
mod tests {
    use ferry_plugin_proto::Range;

    use super::*;

    fn types(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn words_are_read_by_the_ports_type() {
        let read = |names: &[&str], word| parse_literal(&types(names), word).map(|(_, value)| value);
        assert_eq!(read(&["int"], "5"), Ok(Value::Int(5)));
        assert_eq!(read(&["float"], "5"), Ok(Value::Float(5.0)));
        assert_eq!(read(&["str"], "5"), Ok(Value::from("5")));
        assert_eq!(read(&[], "5"), Ok(Value::Int(5)));
        assert_eq!(read(&["int"], "five"), Err("expected int, got `five`".into()));
        assert_eq!(
            read(&["int"], "99999999999999999999"),
            Err("expected int, got `99999999999999999999`".into())
        );
        let place = [("computer".to_owned(), "daint".into()), ("path".to_owned(), "/a:b".into())];
        assert_eq!(read(&["remote_folder"], "daint:/a:b"), Ok(Value::Map(place.into())));
        assert!(read(&["remote_folder"], "daint:a").unwrap_err().contains("COMPUTER:/ABSOLUTE/PATH"));
        assert_eq!(read(&["float"], "nan"), Err("expected float, got `nan`".into()));
        assert_eq!(read(&["str", "list"], "[1]"), Ok(Value::List(vec![1i64.into()])));
        assert_eq!(read(&["str", "list"], "[1"), Ok(Value::from("[1")));
        assert_eq!(read(&["file"], "x"), Err("expected file, got `x`; give `file:PATH` or `@NODE`".into()));
    }

    #[test]
    fn a_map_is_the_body_of_the_one_declared_type() {
        let map = || Value::Map(BTreeMap::new());
        let with = |names: &[&str]| coerce(&types(names), None, map()).map(|(data_type, _)| data_type);
        assert_eq!(with(&["int", "core.structure"]), Ok("core.structure".into()));
        assert_eq!(with(&["dict", "core.structure"]), Ok("dict".into()));
        assert!(with(&["core.structure", "core.kpoints"]).is_err());
    }

    #[test]
    fn integers_widen_to_floats_and_nothing_else_changes() {
        assert_eq!(coerce(&types(&["float"]), None, Value::Int(2)), Ok(("float".into(), Value::Float(2.0))));
        assert_eq!(
            coerce(&types(&["float"]), Some("int"), Value::Int(2)),
            Ok(("float".into(), Value::Float(2.0)))
        );
        assert!(coerce(&types(&["int"]), None, Value::Float(2.0)).is_err());
        assert!(coerce(&types(&["int"]), Some("str"), "2".into()).is_err());
    }

    #[test]
    fn ranges_and_choices_are_judged() {
        let port = Port { range: Some(Range { min: Some(5.0), ..Range::default() }), ..Port::default() };
        assert_eq!(judge(&port, &Value::Int(4)), Err("must be at least 5, got 4".into()));
        assert_eq!(judge(&port, &Value::Int(5)), Ok(()));
        let port = Port { choices: vec!["a".into(), "b".into()], ..Port::default() };
        assert_eq!(judge(&port, &"c".into()), Err("must be one of \"a\", \"b\"".into()));
    }

    #[test]
    fn dotted_names_find_nested_and_dynamic_ports() {
        let leaf = Port { types: types(&["int"]), required: true, ..Port::default() };
        let inner = Namespace { ports: [("ecut".to_owned(), leaf)].into(), dynamic: None };
        let free = Namespace { ports: BTreeMap::new(), dynamic: Some(types(&["file"])) };
        let nest = |namespace| Port { namespace: Some(namespace), required: true, ..Port::default() };
        let outer = Namespace {
            ports: [("pw".to_owned(), nest(inner)), ("pseudos".to_owned(), nest(free))].into(),
            dynamic: None,
        };
        let ports = flatten(&outer);
        assert!(lookup(&ports, "pw.ecut").unwrap().required);
        assert_eq!(lookup(&ports, "pseudos.Si").unwrap().port.types, ["file"]);
        assert!(lookup(&ports, "pw.ecutt").is_none());
        assert_eq!(unknown_port("pw.ecutt", &ports).message, "no such input; did you mean `pw.ecut`?");
    }
}
