//! Gathers inputs and metadata from wherever they are given, with everything that is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use ferry_engine::{
    process::{FlatPort, InputValue, Metadata, lookup_port},
    store,
};
use ferry_plugin_proto::{Problem, Value};

use super::{
    Wish,
    content::{self, ContentError},
    metadata, plain, problem,
    reading::Reading,
    word::{self, Given},
};
use crate::words::closest;

/// The inputs, metadata and problems so far.
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    ports: &'a BTreeMap<String, FlatPort>,
    inputs: BTreeMap<String, Given>,
    metadata: Metadata,
    problems: Vec<Problem>,
}

impl<'a> Gathered<'a> {
    /// Makes an empty collection for a type with these ports.
    pub(super) fn new(ports: &'a BTreeMap<String, FlatPort>) -> Self {
        Gathered { ports, inputs: BTreeMap::new(), metadata: Metadata::default(), problems: Vec::new() }
    }

    /// Takes `port=value` words, none of them twice. They override what a file gave.
    pub(super) fn words(&mut self, words: &[String]) {
        let mut seen = BTreeSet::new();
        for word in words {
            let Some((port, value)) = word.split_once('=').filter(|(port, _)| !port.is_empty()) else {
                self.wrong("", format!("`{word}` is not of the form PORT=VALUE"));
                continue;
            };
            if !seen.insert(port) {
                self.wrong(port, "given twice");
            } else if let Some(key) = port.strip_prefix("metadata.") {
                self.metadata_word(key, value);
            } else if !self.refuse_metadata(port) {
                self.word(port, value, Path::new(""));
            }
        }
    }

    /// Takes `--option`, `--computer`, `--label` and `--description`.
    pub(super) fn options(&mut self, wish: &Wish) {
        for option in &wish.options {
            match option.split_once('=').filter(|(key, _)| !key.is_empty()) {
                Some((key, value)) => self.metadata_word(&format!("options.{key}"), value),
                None => self.wrong("metadata.options", format!("`{option}` is not of the form KEY=VALUE")),
            }
        }
        let named =
            [("computer", &wish.computer), ("label", &wish.label), ("description", &wish.description)];
        for (key, value) in named {
            if let Some(value) = value {
                self.metadata_word(key, value);
            }
        }
    }

    /// Takes a word for a port. Paths in it count from `base`.
    pub(super) fn word(&mut self, port: &str, value: &str, base: &Path) {
        let given = match self.types(port) {
            Some(types) => word::read(types, value, base),
            // Left for the check of the launch, which knows what is close.
            None => Ok(Given::Value(plain(Value::from(value)))),
        };
        match given {
            Ok(given) => drop(self.inputs.insert(port.to_owned(), given)),
            Err(message) => self.wrong(port, message),
        }
    }

    /// Takes a value for a port.
    pub(super) fn value(&mut self, port: &str, value: InputValue) {
        self.inputs.insert(port.to_owned(), Given::Value(value));
    }

    /// Returns the types that a port takes; `None` if there is no such port.
    pub(super) fn types(&self, port: &str) -> Option<&'a [String]> {
        lookup_port(self.ports, port).map(|found| found.port.types.as_slice())
    }

    /// Returns whether there are ports below this name.
    pub(super) fn is_namespace(&self, name: &str) -> bool {
        let prefix = format!("{name}.");
        self.ports.iter().any(|(port, flat)| port.starts_with(&prefix) || (flat.dynamic && port == name))
    }

    /// Refuses a name that no port comes close to, but metadata does, as `label`.
    pub(super) fn refuse_metadata(&mut self, name: &str) -> bool {
        if self.types(name).is_some() || closest(name, self.ports.keys().map(String::as_str)).is_some() {
            return false;
        }
        let meant = match closest(name, metadata::KEYS) {
            Some(key) => format!("metadata.{key}"),
            None if closest(name, ["metadata"]).is_some() => "metadata".into(),
            None => return false,
        };
        self.wrong(name, format!("no such input; did you mean `{meant}`?"));
        true
    }

    /// Takes metadata that is a value already.
    pub(super) fn metadata_value(&mut self, key: &str, value: Value) {
        if let Err(message) = metadata::set(&mut self.metadata, key, value) {
            self.wrong(&format!("metadata.{key}"), message);
        }
    }

    fn metadata_word(&mut self, key: &str, word: &str) {
        if let Err(message) = metadata::set_word(&mut self.metadata, key, word) {
            self.wrong(&format!("metadata.{key}"), message);
        }
    }

    /// Adds a problem with a port.
    pub(super) fn wrong(&mut self, port: &str, message: impl Into<String>) {
        self.problems.push(problem(port, message));
    }

    /// Reads the files that were named, the plugin of this digest first; gives inputs, metadata and problems.
    ///
    /// # Errors
    /// Fails if the store has no room for them.
    pub(super) async fn finish(
        mut self,
        reading: &Reading<'_>,
        plugin: &str,
    ) -> store::Result<(BTreeMap<String, InputValue>, Metadata, Vec<Problem>)> {
        let mut inputs = BTreeMap::new();
        for (port, given) in self.inputs {
            match content::load(given, reading, plugin).await {
                Ok(value) => drop(inputs.insert(port, value)),
                Err(ContentError::Given(message)) => self.problems.push(problem(&port, message)),
                Err(ContentError::Store(error)) => return Err(error),
            }
        }
        Ok((inputs, self.metadata, self.problems))
    }
}

#[cfg(test)]
mod tests {
    use ferry_engine::store::Objects;
    use ferry_plugin_proto::{Namespace, Port};

    use super::*;
    use crate::inputs::document;

    fn ports() -> BTreeMap<String, FlatPort> {
        let port = |name: &str| Port { types: vec![name.to_owned()], required: true, ..Port::default() };
        let pw = Namespace { ports: [("ecut".to_owned(), port("float"))].into(), dynamic: None };
        let files = Namespace { ports: BTreeMap::new(), dynamic: Some(vec!["int".into()]) };
        let nest = |inner| Port { namespace: Some(inner), ..Port::default() };
        ferry_engine::process::flatten(&Namespace {
            ports: [
                ("x".to_owned(), port("int")),
                ("text".to_owned(), port("str")),
                ("d".to_owned(), port("dict")),
                ("pw".to_owned(), nest(pw)),
                ("n".to_owned(), nest(files)),
            ]
            .into(),
            dynamic: None,
        })
    }

    /// Checks the result of words and a document: inputs, options and problems, a line each.
    fn check(document: &str, words: &[&str], expect: &[&str]) {
        let ports = ports();
        let mut gathered = Gathered::new(&ports);
        document::gather(&mut gathered, crate::yaml::parse(document).unwrap(), Path::new(""));
        gathered.words(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let dir = tempfile::tempdir().unwrap();
        let Gathered { inputs, metadata, problems, .. } = gathered;
        let objects = Objects::new(dir.path());
        let load = |(port, given)| (port, content::load_here(given, &objects).unwrap());
        let inputs: BTreeMap<String, InputValue> = inputs.into_iter().map(load).collect();
        let show = |value: &Value| serde_json::to_string(value).unwrap();
        let mut lines: Vec<String> = inputs
            .iter()
            .map(|(port, value)| match value {
                InputValue::New { value, .. } => format!("{port} = {}", show(value)),
                InputValue::Node(name) => format!("{port} = @{name}"),
                InputValue::Code(name) => format!("{port} = code {name}"),
            })
            .collect();
        lines.extend(metadata.options.iter().map(|(key, value)| format!("option {key} = {}", show(value))));
        lines.extend(problems.iter().map(|problem| format!("{}: {}", problem.port, problem.message)));
        assert_eq!(lines, expect, "{document:?} {words:?}");
    }

    #[test]
    fn words_are_gathered_and_all_problems_with_them() {
        check("", &["x=5", "text=a=b", "pw.ecut=60"], &["pw.ecut = 60.0", "text = \"a=b\"", "x = 5"]);
        check(
            "",
            &["x=five", "x=6", "text", "=3", "metadata.lable=q"],
            &[
                "x: expected int, got `five`",
                "x: given twice",
                ": `text` is not of the form PORT=VALUE",
                ": `=3` is not of the form PORT=VALUE",
                "metadata.lable: no such metadata; did you mean `label`?",
            ],
        );
    }

    #[test]
    fn documents_nest_and_words_override_them() {
        check("{pw: {ecut: 60}, x: 1}", &["x=2"], &["pw.ecut = 60", "x = 2"]);
        check("{pw.ecut: '60', n: {a: 1, b: '@7'}}", &[], &["n.a = 1", "n.b = @7", "pw.ecut = 60.0"]);
        check("{x: {node: 12}, d: {a: [1]}}", &[], &["d = {\"a\":[1]}", "x = @12"]);
        check(
            "{lable: q, metdata: {}}",
            &["computer=c"],
            &[
                "lable: no such input; did you mean `metadata.label`?",
                "metdata: no such input; did you mean `metadata`?",
                "computer: no such input; did you mean `metadata.computer`?",
            ],
        );
        check("[1]", &[], &[": a file of inputs is a map of ports to values, got a list"]);
    }

    #[test]
    fn options_keep_the_types_they_need() {
        check(
            "{metadata: {label: q, options: {resources: {num_machines: 2}}}}",
            &["metadata.options.queue_name=12", "metadata.options.resources.tot_num_mpiprocs=4"],
            &["option queue_name = \"12\"", "option resources = {\"num_machines\":2,\"tot_num_mpiprocs\":4}"],
        );
        check("{metadata: {lable: q}}", &[], &["metadata.lable: no such metadata; did you mean `label`?"]);
    }
}
