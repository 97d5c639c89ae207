//! The ingredients of a calculation, on which its results depend: its type, computer, options and inputs, by
//! content.
//!
//! The rules are AiiDA's. Options that only affect the place in a queue or the permitted run time do not count.
//! Versions of plugins do not count, except the `cache_version` of a type; labels never count.

use std::collections::BTreeMap;

use ferry_plugin_proto::{ProcessType, Value};
use serde::Serialize;

use crate::spec::counts_for_cache;
use crate::store::{FileContent, LinkType, Node, NodeFile, NodeKind, Process, Reader, Result};

/// The version of the digest, raised when the same ingredients must no longer give the same digest.
const VERSION: u32 = 1;

/// Everything that a calculation's results depend on, by name; each as a short text or a digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ingredients(BTreeMap<String, String>);

impl Ingredients {
    /// Returns the ingredients that are not inputs.
    pub(crate) fn of_type(
        process_type: &ProcessType,
        computer: Option<&str>,
        options: Option<&Value>,
    ) -> Self {
        let mut all = BTreeMap::from([
            ("type".to_owned(), process_type.name.clone()),
            ("cache_version".to_owned(), process_type.cache_version.to_string()),
        ]);
        all.extend(computer.map(|label| ("computer".to_owned(), label.to_owned())));
        let options = match options {
            Some(Value::Map(options)) => Some(options.iter()),
            _ => None,
        };
        let options = options.into_iter().flatten();
        let counting = options.filter(|(name, _)| counts_for_cache(name));
        all.extend(counting.map(|(name, value)| (format!("options.{name}"), text(value))));
        Ingredients(all)
    }

    /// Adds an input.
    pub(crate) fn input(&mut self, port: &str, digest: String) {
        self.0.insert(format!("inputs.{port}"), digest);
    }

    /// Returns the ingredients of a stored calculation; `None` if its plugin has no such type.
    ///
    /// # Errors
    /// Returns an error of the store, also for a plugin that is not known any more.
    pub fn read(reader: &Reader, process: &Process) -> Result<Option<Ingredients>> {
        let plugin = reader.plugin(&process.plugin)?;
        let Some(process_type) =
            plugin.manifest.types.iter().find(|found| found.name == process.process_type)
        else {
            return Ok(None);
        };
        let node = reader.node(process.id)?;
        let mut all = Ingredients::of_type(process_type, process.computer(), node.body.get("options"));
        for link in reader.incoming(process.id)? {
            if link.link_type == LinkType::InputCalc {
                all.input(&link.label, stored_digest(reader, &reader.node(link.source)?)?);
            }
        }
        Ok(Some(all))
    }

    /// Returns one digest for all ingredients.
    pub fn digest(&self) -> String {
        digest(&(VERSION, self))
    }

    /// Returns the names of the ingredients that differ between two calculations.
    pub fn differences(&self, other: &Ingredients) -> Vec<String> {
        let names = self.0.keys().chain(other.0.keys().filter(|name| !self.0.contains_key(*name)));
        names.filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect()
    }

    /// Returns an ingredient by name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// The parts of a data node that count.
#[derive(Serialize)]
struct Content<'a> {
    data_type: &'a str,
    body: &'a Value,
    computer: Option<&'a str>,
    /// Path and digest of each file, and whether it is executable.
    files: Vec<(&'a str, String, bool)>,
}

/// Returns the digest of a node that is to be stored.
pub(crate) fn new_digest(
    data_type: &str,
    body: &Value,
    computer: Option<&str>,
    files: &[FileContent],
) -> String {
    let mut files: Vec<_> = files
        .iter()
        .map(|file| (file.path.as_str(), file.content.digest_and_size().0, file.executable))
        .collect();
    files.sort();
    digest(&Content { data_type, body, computer, files })
}

/// Returns the digest of a stored node.
///
/// # Errors
/// Returns an error of the store.
pub(crate) fn stored_digest(reader: &Reader, node: &Node) -> Result<String> {
    debug_assert_eq!(node.kind, NodeKind::Data);
    let files: Vec<NodeFile> = reader.files(node.id)?;
    let mut files: Vec<_> =
        files.iter().map(|file| (file.path.as_str(), file.digest.clone(), file.executable)).collect();
    files.sort();
    Ok(digest(&Content {
        data_type: &node.node_type,
        body: &node.body,
        computer: node.computer.as_deref(),
        files,
    }))
}

/// Returns the digest of a value. Maps are sorted by key, so equal values have equal texts.
fn digest(content: &impl Serialize) -> String {
    blake3::hash(text(content).as_bytes()).to_string()
}

fn text(content: &impl Serialize) -> String {
    serde_json::to_string(content).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingredients(options: &[(&str, i64)], computer: &str, x: i64) -> Ingredients {
        let process_type = ProcessType {
            name: "sums.add".into(),
            kind: ferry_plugin_proto::Kind::CalcJob,
            doc: String::new(),
            inputs: Default::default(),
            outputs: Default::default(),
            exit_codes: Vec::new(),
            aliases: Vec::new(),
            cache_version: 1,
            options: Default::default(),
        };
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), Value::Int(*value)));
        let mut all =
            Ingredients::of_type(&process_type, Some(computer), Some(&Value::Map(options.collect())));
        all.input("x", new_digest("int", &Value::Int(x), None, &[]));
        all
    }

    #[test]
    fn equal_ingredients_have_equal_digests_and_differences_have_names() {
        let one = ingredients(&[("withmpi", 1)], "daint", 3);
        assert_eq!(one.digest(), ingredients(&[("withmpi", 1)], "daint", 3).digest());
        let other = ingredients(&[("withmpi", 1)], "localhost", 4);
        assert_ne!(one.digest(), other.digest());
        assert_eq!(one.differences(&other), ["computer", "inputs.x"]);
        assert_eq!(one.differences(&ingredients(&[], "daint", 3)), ["options.withmpi"]);
    }

    #[test]
    fn the_version_of_a_plugin_does_not_count_but_the_cache_version_does() {
        let with = |cache_version| {
            let process_type = ProcessType {
                name: "sums.add".into(),
                kind: ferry_plugin_proto::Kind::CalcJob,
                doc: "changes with the version".repeat(cache_version as usize),
                inputs: Default::default(),
                outputs: Default::default(),
                exit_codes: Vec::new(),
                aliases: Vec::new(),
                cache_version,
                options: Default::default(),
            };
            Ingredients::of_type(&process_type, None, None)
        };
        assert_ne!(with(1).digest(), with(2).digest());
        assert_eq!(with(1).differences(&with(2)), ["cache_version"]);
        assert!(with(1).0.keys().all(|name| !name.contains("plugin") && name != "version"));
    }

    #[test]
    fn a_place_in_the_queue_does_not_count() {
        let plain = ingredients(&[], "daint", 3);
        let queued = ingredients(&[("max_wallclock_seconds", 60), ("priority", 1)], "daint", 3);
        assert_eq!(plain.digest(), queued.digest());
    }
}
