//! The input namespace `monitors` of every calcjob: the monitors that look at its running job. Each entry is a
//! dict with AiiDA's keys. It is checked at submission, by the manifest of the plugin that offers the monitor and
//! by the plugin itself.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use ferry_plugin_proto::{Inputs, Kind, MonitorType, Node, Port, Problem, ProcessType, Value};
use serde::{Deserialize, Serialize};

use super::{
    fields::Fields,
    import::add_port,
    ports::{FlatPort, choose, coerce, flatten, judge, lookup, unknown_port},
};
use crate::store::PluginRow;

/// The name of the namespace, and of the entry of a process's body that lists its monitors.
pub(crate) const MONITORS: &str = "monitors";

/// A monitor that looks at the job of a process; stored with the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watcher {
    /// Its name among the inputs.
    pub(crate) key: String,
    /// Its full name.
    pub(crate) name: String,
    /// Digest of the plugin file that offers it.
    pub(crate) plugin: String,
    /// Its `kwargs`.
    pub(crate) kwargs: Inputs,
    /// Its priority; monitors of a higher one are called first.
    #[serde(default)]
    pub(crate) priority: i64,
    /// Shortest time between two calls.
    #[serde(default)]
    pub(crate) interval: Duration,
}

/// Returns the input ports of a process type, with those that the engine adds.
pub fn input_ports(process_type: &ProcessType) -> BTreeMap<String, FlatPort> {
    let mut ports = flatten(&process_type.inputs);
    if process_type.kind == Kind::CalcJob {
        let help = "Who looks at the running job, and may stop it".to_owned();
        let port = Port { types: vec!["dict".into()], help, ..Port::default() };
        let flat = FlatPort { name: MONITORS.into(), port, dynamic: true, required: false };
        ports.insert(MONITORS.into(), flat);
        add_port(&mut ports);
    }
    ports
}

/// Returns whether a dotted input name is one of a calcjob's monitors, which its plugin does not see.
pub(crate) fn is_monitor(name: &str) -> bool {
    name.strip_prefix(MONITORS).is_some_and(|rest| rest.starts_with('.'))
}

/// Reads the monitors among the inputs, given as (name, value). Returns them in the order in which they are
/// called. Disabled ones are checked and left out.
pub(crate) fn read_monitors<'a>(
    plugins: &[PluginRow],
    inputs: impl Iterator<Item = (&'a str, &'a Value)>,
    problems: &mut Vec<Problem>,
) -> Vec<Watcher> {
    let monitors = inputs.filter(|(name, _)| is_monitor(name));
    let mut all: Vec<Watcher> =
        monitors.filter_map(|(name, value)| read(plugins, name, value, problems)).collect();
    all.sort_by(|a, b| (Reverse(a.priority), &a.key).cmp(&(Reverse(b.priority), &b.key)));
    all
}

fn read(plugins: &[PluginRow], port: &str, value: &Value, problems: &mut Vec<Problem>) -> Option<Watcher> {
    let known = ["entry_point", "kwargs", "priority", "minimum_poll_interval", "disabled"];
    let mut fields = Fields::of(value, port, &known);
    let wanted = fields.text("entry_point", "the name of a monitor");
    let priority = fields.integer("priority").unwrap_or(0);
    let interval = fields.number("minimum_poll_interval", 0.0).unwrap_or(0.0);
    let is_disabled = fields.flag("disabled").unwrap_or(false);
    let no_kwargs = BTreeMap::new();
    let given = match fields.get("kwargs") {
        None => &no_kwargs,
        Some(Value::Map(kwargs)) => kwargs,
        Some(other) => {
            fields.wrong("kwargs", format!("expected a map, got {}", crate::node::describe(other)));
            &no_kwargs
        }
    };
    let found = wanted.and_then(|name| match find(plugins, name) {
        Ok(found) => Some(found),
        Err(message) => {
            fields.wrong("entry_point", message);
            None
        }
    });
    problems.extend(fields.problems());
    let (plugin, monitor) = found?;
    let kwargs = read_kwargs(&monitor, &format!("{port}.kwargs"), given, problems);
    let key = port.strip_prefix("monitors.").unwrap_or(port).to_owned();
    let interval = Duration::try_from_secs_f64(interval).unwrap_or(Duration::MAX);
    let watcher = Watcher { key, name: monitor.name, plugin: plugin.digest, kwargs, priority, interval };
    (!is_disabled).then_some(watcher)
}

/// Finds the monitor of a name or an alias among these plugin files.
fn find(plugins: &[PluginRow], name: &str) -> Result<(PluginRow, MonitorType), String> {
    let offers = |plugin: &PluginRow| {
        let fits = |monitor: &&MonitorType| {
            monitor.name == name || monitor.aliases.iter().any(|alias| alias == name)
        };
        plugin.manifest.monitors.iter().find(fits).cloned()
    };
    let names = plugins.iter().flat_map(|plugin| &plugin.manifest.monitors).map(|found| found.name.as_str());
    choose(plugins, offers, names, "monitor", name)
}

/// Fits `kwargs` to a monitor's ports, defaults included.
fn read_kwargs(
    monitor: &MonitorType,
    port: &str,
    given: &BTreeMap<String, Value>,
    problems: &mut Vec<Problem>,
) -> Inputs {
    let ports = flatten(&monitor.inputs);
    let mut kwargs = Inputs::new();
    let mut wrong = |name: &str, message| problems.push(Problem { port: format!("{port}.{name}"), message });
    for (name, value) in given {
        let Some(found) = lookup(&ports, name) else {
            wrong(name, unknown_port(name, &ports).message);
            continue;
        };
        let fitted = coerce(&found.port.types, None, value.clone())
            .and_then(|(data_type, value)| judge(&found.port, &value).map(|()| (data_type, value)));
        match fitted {
            Ok((data_type, value)) => drop(kwargs.insert(name.clone(), node(data_type, value))),
            Err(message) => wrong(name, message),
        }
    }
    for (name, flat) in ports.iter().filter(|(name, flat)| !flat.dynamic && !given.contains_key(*name)) {
        match &flat.port.default {
            Some(default) => match coerce(&flat.port.types, None, default.clone()) {
                Ok((data_type, value)) => drop(kwargs.insert(name.clone(), node(data_type, value))),
                Err(message) => wrong(name, format!("the monitor's own default is wrong: {message}")),
            },
            None if flat.required => {
                wrong(name, format!("required, but not given ({})", flat.port.types.join(" or ")));
            }
            None => {}
        }
    }
    kwargs
}

fn node(data_type: String, value: Value) -> Node {
    Node { data_type, value, ..Node::default() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferry_plugin_proto::{Manifest, Namespace, Range};

    use super::*;

    /// Returns a plugin with a monitor `t.grows`, with a file (text, required) and a limit (a number of at least
    /// 1).
    fn plugins() -> Vec<PluginRow> {
        let port = |types: &str, default: Option<Value>| Port {
            types: vec![types.into()],
            required: default.is_none(),
            default,
            ..Port::default()
        };
        let range = Some(Range { min: Some(1.0), ..Range::default() });
        let limit = Port { range, ..port("int", Some(Value::Int(10))) };
        let ports = [("file".to_owned(), port("str", None)), ("limit".to_owned(), limit)];
        let monitor = MonitorType {
            name: "t.grows".into(),
            doc: String::new(),
            inputs: Namespace { ports: ports.into(), dynamic: None },
            aliases: vec!["core.grows".into()],
        };
        let manifest = Manifest { monitors: vec![monitor], ..Manifest::default() };
        vec![PluginRow {
            digest: "d".into(),
            name: "t".into(),
            version: "1".into(),
            origin: "o".into(),
            bundled: true,
            active: true,
            manifest: Arc::new(manifest),
            facts: serde_json::Value::Null,
            installed: jiff::Timestamp::UNIX_EPOCH,
        }]
    }

    fn read_all(entries: &[(&str, &str)]) -> (Vec<Watcher>, Vec<String>) {
        let values: Vec<(String, Value)> = entries
            .iter()
            .map(|(key, json)| (format!("monitors.{key}"), serde_json::from_str(json).unwrap()))
            .collect();
        let mut problems = Vec::new();
        let inputs = values.iter().map(|(name, value)| (name.as_str(), value));
        let watchers = read_monitors(&plugins(), inputs, &mut problems);
        let told = problems.into_iter().map(|problem| format!("{}: {}", problem.port, problem.message));
        (watchers, told.collect())
    }

    fn check(json: &str, expect: &[&str]) {
        let (_, told) = read_all(&[("m", json)]);
        let fits =
            told.len() == expect.len() && told.iter().zip(expect).all(|(told, expect)| told.contains(expect));
        assert!(fits, "{json}: {told:#?}");
    }

    #[test]
    fn a_good_one_is_read_with_its_defaults() {
        let (watchers, told) = read_all(&[(
            "m",
            r#"{"entry_point": "core.grows", "kwargs": {"file": "x"}, "minimum_poll_interval": 5}"#,
        )]);
        assert_eq!(told, [""; 0]);
        let [watcher] = watchers.as_slice() else { panic!("{watchers:?}") };
        assert_eq!((&*watcher.key, &*watcher.name, &*watcher.plugin), ("m", "t.grows", "d"));
        assert_eq!(
            (watcher.interval, watcher.kwargs["limit"].value.as_int()),
            (Duration::from_secs(5), Some(10))
        );
    }

    #[test]
    fn the_entry_point_must_be_there_and_known() {
        check("{}", &["monitors.m.entry_point: required"]);
        check(r#"{"entry_point": "t.grow"}"#, &["no monitor is called `t.grow`; did you mean `t.grows`?"]);
    }

    #[test]
    fn every_wrong_key_and_value_is_told() {
        let expect = [
            "monitors.m.priorty: no such key; did you mean `priority`?",
            "monitors.m.minimum_poll_interval: expected a number of at least 0",
            "monitors.m.disabled: expected true or false",
            "monitors.m.kwargs.file: required",
        ];
        check(
            r#"{"entry_point": "t.grows", "priorty": 1, "minimum_poll_interval": -1, "disabled": "no"}"#,
            &expect,
        );
        check("5", &["monitors.m: expected a map"]);
    }

    #[test]
    fn the_kwargs_are_judged_by_the_manifest() {
        let kwargs = |kwargs: &str| format!(r#"{{"entry_point": "t.grows", "kwargs": {kwargs}}}"#);
        check(&kwargs(r#"{"file": "x", "limt": 5}"#), &["kwargs.limt: no such input; did you mean `limit`?"]);
        check(&kwargs(r#"{"file": 5, "limit": 0}"#), &["kwargs.file: expected str", "must be at least 1"]);
        check(&kwargs(r#""x""#), &["monitors.m.kwargs: expected a map", "kwargs.file: required"]);
    }

    #[test]
    fn they_are_asked_by_priority_and_then_by_key() {
        let with = |more: &str| format!(r#"{{"entry_point": "t.grows", "kwargs": {{"file": "x"}}{more}}}"#);
        let (plain, first) = (with(""), with(r#", "priority": 100"#));
        let (last, disabled) = (with(r#", "priority": -5"#), with(r#", "disabled": true"#));
        let (watchers, told) =
            read_all(&[("b", &plain), ("a", &last), ("z", &first), ("d", &disabled), ("aa", &plain)]);
        let keys: Vec<&str> = watchers.iter().map(|watcher| watcher.key.as_str()).collect();
        assert_eq!((keys, told.len()), (vec!["z", "aa", "b", "a"], 0));
    }
}
