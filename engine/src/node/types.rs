//! Data types that plugins declare. A type is identified by its name. Several plugins may declare one, and its
//! nodes are kept even if none does. The form of one version is the same for all of them.

use ferry_plugin_proto::{DataType, VERSION_KEY, Value};

use super::{check_body, schema};
use crate::store::{PluginRow, Reader, Result};

/// A data type, with the plugin that declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// The plugin.
    pub plugin: PluginRow,
    /// The declaration.
    pub data_type: DataType,
}

/// Returns all declarations of plugins that offer their types, by name; of each name, the preferred one comes
/// first.
///
/// # Errors
/// Returns the errors of the store.
pub fn declared_types(reader: &Reader) -> Result<Vec<Declared>> {
    let plugins = reader.plugins()?;
    let mut all: Vec<Declared> = offered(&plugins).flat_map(declared_by).collect();
    // Of several with the newest version, that of an installed plugin is preferred.
    all.sort_by(|a, b| {
        let key = |each: &Declared| (each.data_type.version, !each.plugin.bundled, each.plugin.installed);
        a.data_type.name.cmp(&b.data_type.name).then_with(|| key(b).cmp(&key(a)))
    });
    Ok(all)
}

/// Returns the declaration of a data type that counts: that of the plugin with this digest, else the newest.
///
/// # Errors
/// Returns the errors of the store.
pub fn declared_type(reader: &Reader, name: &str, first: Option<&str>) -> Result<Option<Declared>> {
    let mut all = declared_types(reader)?;
    all.retain(|each| each.data_type.name == name);
    // A plugin can read what it has written itself, but maybe not what a newer one writes.
    let own = all.iter().position(|each| first == Some(each.plugin.digest.as_str()));
    Ok((!all.is_empty()).then(|| all.swap_remove(own.unwrap_or_default())))
}

/// Returns the plugins that offer their types. An installed plugin takes the place of the bundled one of its name.
fn offered(plugins: &[PluginRow]) -> impl Iterator<Item = &PluginRow> {
    let installed = |name: &str| plugins.iter().any(|row| row.active && !row.bundled && row.name == name);
    plugins.iter().filter(move |row| row.active && !(row.bundled && installed(&row.name)))
}

fn declared_by(plugin: &PluginRow) -> impl Iterator<Item = Declared> {
    let types = plugin.manifest.data_types.iter();
    types.map(|data_type| Declared { plugin: plugin.clone(), data_type: data_type.clone() })
}

/// Returns a text about a data type whose same version means different things in a new plugin and another one, if
/// any.
pub(crate) fn disagreement(new: &PluginRow, known: &[PluginRow]) -> Option<String> {
    let others = known.iter().filter(|row| row.active && row.name != new.name);
    let pairs = others.flat_map(|row| row.manifest.data_types.iter().map(move |theirs| (row, theirs)));
    for (row, theirs) in pairs {
        let same = |ours: &&DataType| ours.name == theirs.name && ours.version == theirs.version;
        let ours = new.manifest.data_types.iter().find(same);
        if ours.is_some_and(|ours| schema::digest(&ours.schema) != schema::digest(&theirs.schema)) {
            return Some(format!(
                "version {} of the data type `{}` has one form in plugin {} ({}) and another in plugin {} ({})",
                theirs.version, theirs.name, row.name, row.origin, new.name, new.origin
            ));
        }
    }
    None
}

/// Returns the version of a body; a body without a version is of version 1.
pub fn version_of(body: &Value) -> u32 {
    body.get(VERSION_KEY).and_then(Value::as_int).and_then(|version| u32::try_from(version).ok()).unwrap_or(1)
}

/// Checks that a body fits its data type: the engine's own, or one that a plugin declares. A type without a
/// declaration takes any body.
///
/// # Errors
/// The expected and the actual value, in words.
pub fn check_typed_body(reader: &Reader, data_type: &str, body: &Value, files: usize) -> Result<(), String> {
    check_body(data_type, body, files)?;
    if !data_type.contains('.') {
        return Ok(());
    }
    let version = version_of(body);
    let all = declared_types(reader).map_err(|error| error.to_string())?;
    let fitting =
        all.iter().find(|each| each.data_type.name == data_type && each.data_type.version == version);
    fitting.map_or(Ok(()), |each| {
        schema::check(&each.data_type.schema, body).map_err(|problem| format!("no `{data_type}`: {problem}"))
    })
}

/// Adds the newest version to a body that was written by hand, unless it has one.
///
/// # Errors
/// Returns the errors of the store.
pub(crate) fn with_version(reader: &Reader, data_type: &str, body: Value, first: &str) -> Result<Value> {
    match body {
        Value::Map(mut entries) if data_type.contains('.') && !entries.contains_key(VERSION_KEY) => {
            if let Some(declared) = declared_type(reader, data_type, Some(first))? {
                entries.insert(VERSION_KEY.to_owned(), Value::Int(i64::from(declared.data_type.version)));
            }
            Ok(Value::Map(entries))
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferry_plugin_proto::Manifest;

    use super::*;

    fn plugin(name: &str, version: u32, schema: &str) -> PluginRow {
        let schema = serde_json::from_str(schema).unwrap();
        let data_type = DataType { name: "core.x".into(), version, schema, ..DataType::default() };
        PluginRow {
            digest: name.into(),
            name: name.into(),
            version: "1".into(),
            origin: format!("/{name}.so"),
            bundled: false,
            active: true,
            manifest: Arc::new(Manifest { data_types: vec![data_type], ..Manifest::default() }),
            facts: serde_json::Value::Null,
            installed: crate::clock::now(),
        }
    }

    #[test]
    fn two_plugins_may_declare_one_type_if_they_mean_the_same() {
        let known = [plugin("a", 1, r#"{"type": "object"}"#)];
        assert_eq!(disagreement(&plugin("b", 1, r#"{"type": "object", "description": "x"}"#), &known), None);
        assert_eq!(disagreement(&plugin("b", 2, r#"{"type": "array"}"#), &known), None);
        let told = disagreement(&plugin("b", 1, r#"{"type": "array"}"#), &known).unwrap();
        assert!(
            told.contains("`core.x`") && told.contains("a (/a.so)") && told.contains("b (/b.so)"),
            "{told}"
        );
        // A newer file of the same plugin replaces it.
        assert_eq!(disagreement(&plugin("a", 1, r#"{"type": "array"}"#), &known), None);
    }

    #[test]
    fn an_installed_plugin_takes_the_place_of_the_bundled_one() {
        let mut rows = vec![plugin("a", 1, "{}"), plugin("a", 1, "{}"), plugin("b", 1, "{}")];
        rows[0].bundled = true;
        rows[2].active = false;
        assert_eq!(offered(&rows).map(|row| row.bundled).collect::<Vec<_>>(), [false]);
    }
}
