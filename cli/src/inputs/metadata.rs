//! Metadata of a launch: label, description, computer, and a calcjob's options.

use std::collections::BTreeMap;

use ferry_engine::process::{Metadata, Options};
use ferry_plugin_proto::Value;

use crate::words::suggestion;

/// The keys of the metadata.
pub(super) const KEYS: [&str; 6] =
    ["label", "description", "computer", "options", "disable_cache", "dry_run"];

/// Sets metadata from a word. In options, JSON is read as JSON where the option takes it, else as text.
///
/// # Errors
/// Fails at an unknown key, and at another computer than the one that was given before.
pub(super) fn set_word(metadata: &mut Metadata, key: &str, word: &str) -> Result<(), String> {
    match key.strip_prefix("options.") {
        Some(option) => set_option(&mut metadata.options, option, option_value(option, word)),
        None if key == "disable_cache" || key == "dry_run" => set(metadata, key, truth(word)),
        None => set(metadata, key, Value::from(word)),
    }
}

/// Sets metadata from a value.
///
/// # Errors
/// Fails as [`set_word`] does, and if the key takes values of another kind.
pub(super) fn set(metadata: &mut Metadata, key: &str, value: Value) -> Result<(), String> {
    if let Some(option) = key.strip_prefix("options.") {
        return set_option(&mut metadata.options, option, value);
    }
    match (key, value) {
        ("label", Value::Str(text)) => metadata.label = text,
        ("description", Value::Str(text)) => metadata.description = text,
        ("computer", Value::Str(text)) => metadata.computer = Some(text),
        ("options", Value::Map(options)) => {
            for (option, value) in options {
                set_option(&mut metadata.options, &option, value)?;
            }
        }
        ("disable_cache", Value::Bool(truth)) => metadata.disable_cache = truth,
        ("dry_run", Value::Bool(truth)) => metadata.dry_run = truth,
        ("disable_cache" | "dry_run", _) => return Err("expected true or false".into()),
        ("options", _) => return Err("expected a map of options".into()),
        ("label" | "description" | "computer", _) => return Err("expected text".into()),
        (other, _) => return Err(format!("no such metadata; {}", suggestion(other, KEYS))),
    }
    Ok(())
}

/// Puts a value at a dotted place.
fn set_option(options: &mut BTreeMap<String, Value>, key: &str, value: Value) -> Result<(), String> {
    let Some((head, rest)) = key.split_once('.') else {
        options.insert(key.to_owned(), value);
        return Ok(());
    };
    match options.entry(head.to_owned()).or_insert_with(|| Value::Map(BTreeMap::new())) {
        Value::Map(inner) => set_option(inner, rest, value),
        _ => Err(format!("`{head}` was given as a whole before")),
    }
}

fn truth(word: &str) -> Value {
    word.parse().map_or_else(|_| Value::from(word), Value::Bool)
}

/// Returns the value of a word as an option: JSON, unless the option takes only text there.
fn option_value(option: &str, word: &str) -> Value {
    let text = Value::from(word);
    let Ok(value) = serde_json::from_str::<Value>(word) else { return text };
    if fits(option, &value) || !fits(option, &text) { value } else { text }
}

fn fits(option: &str, value: &Value) -> bool {
    let mut options = BTreeMap::new();
    let mut problems = Vec::new();
    let set = set_option(&mut options, option, value.clone());
    Options::read(&options, &mut problems);
    set.is_ok() && problems.is_empty()
}
