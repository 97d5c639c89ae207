//! `plugin types`: data types that plugins declare, and what is known of one.

use ferry_engine::{
    node::{Declared, declared_types, schema::digest},
    store::Reader,
};
use ferry_plugin_proto::Value;
use serde_json::json;

use super::{short, summary};
use crate::{
    error::Result,
    output::{self, Format},
    session::Session,
};

/// Lists data types.
pub(super) async fn list(session: &Session) -> Result {
    let all = declared_types(&session.reader().await?)?;
    if session.format == Format::Json {
        return output::json(&all.iter().map(to_json).collect());
    }
    let rows = all.iter().map(|each| {
        let data_type = &each.data_type;
        vec![
            data_type.name.clone(),
            data_type.version.to_string(),
            data_type.reads.join(", "),
            data_type.writes.join(", "),
            format!("{} {}", each.plugin.name, each.plugin.version),
            summary(&data_type.doc).to_owned(),
        ]
    });
    output::table(&["type", "version", "read from", "written to", "plugin", "summary"], rows)
}

/// Returns all declarations of one data type.
pub(super) fn find(reader: &Reader, name: &str) -> Result<Vec<Declared>> {
    let mut all = declared_types(reader)?;
    all.retain(|each| each.data_type.name == name);
    Ok(all)
}

/// Shows one; the first declaration is the one that counts.
pub(super) fn show(session: &Session, declared: &[Declared]) -> Result {
    let Some(first) = declared.first() else { return Ok(()) };
    let data_type = &first.data_type;
    if session.format == Format::Json {
        let mut shown = to_json(first);
        shown["schema"] = serde_json::to_value(&data_type.schema).unwrap_or_default();
        shown["declared_by"] = declared.iter().map(to_json).collect();
        return output::json(&shown);
    }
    output::line(format!("{} (data type), version {}", data_type.name, data_type.version))?;
    let plugins = declared.iter().map(|each| {
        format!("{} {} (version {})", each.plugin.name, each.plugin.version, each.data_type.version)
    });
    let older: Vec<String> = data_type.upgrades.iter().map(u32::to_string).collect();
    let fields = [
        ("declared by", plugins.collect::<Vec<_>>().join("\n")),
        ("read from", data_type.reads.join(", ")),
        ("written to", data_type.writes.join(", ")),
        ("older versions", older.join(", ")),
        ("schema", short(&digest(&data_type.schema)).to_owned()),
    ];
    output::details(fields.into_iter().filter(|(_, text)| !text.is_empty()))?;
    if !data_type.doc.is_empty() {
        output::line(format!("\n{}", data_type.doc.trim_end()))?;
    }
    output::line("")?;
    output::table(&["body", "form", "required", "meaning"], entries(&data_type.schema))
}

/// Returns the entries of a body, as a schema describes them.
fn entries(schema: &Value) -> Vec<Vec<String>> {
    let Some(Value::Map(properties)) = schema.get("properties") else { return Vec::new() };
    let required = |name: &str| match schema.get("required") {
        Some(Value::List(names)) => names.iter().any(|known| known.as_str() == Some(name)),
        _ => false,
    };
    let row = |(name, inner): (&String, &Value)| {
        let help = inner.get("description").and_then(Value::as_str).unwrap_or_default();
        let needed = if required(name) { "yes" } else { "" };
        vec![name.clone(), form(inner), needed.to_owned(), summary(help).to_owned()]
    };
    properties.iter().map(row).collect()
}

/// Describes a schema in a word or two: `list of 3 numbers`.
fn form(schema: &Value) -> String {
    if let Some(Value::List(choices)) = schema.get("anyOf") {
        let choices = choices.iter().map(form).filter(|choice| choice != "nothing");
        return choices.collect::<Vec<_>>().join(" or ");
    }
    if let Some(constant) = schema.get("const") {
        return serde_json::to_string(constant).unwrap_or_default();
    }
    let inner = |word: &str| schema.get(word).map(form);
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => {
            let count = schema.get("minItems").filter(|min| Some(*min) == schema.get("maxItems"));
            let count = count.and_then(Value::as_int).map(|count| format!(" of {count}")).unwrap_or_default();
            match inner("items") {
                Some(items) => format!("list{count}: {items}"),
                None => format!("list{count}"),
            }
        }
        Some("object") => {
            match inner("additionalProperties").filter(|_| schema.get("properties").is_none()) {
                Some(items) => format!("map: {items}"),
                None => "map".into(),
            }
        }
        Some("null") => "nothing".into(),
        Some(other) => other.into(),
        None => "any".into(),
    }
}

fn to_json(each: &Declared) -> serde_json::Value {
    let data_type = &each.data_type;
    json!({
        "name": data_type.name,
        "version": data_type.version,
        "summary": summary(&data_type.doc),
        "reads": data_type.reads,
        "writes": data_type.writes,
        "upgrades": data_type.upgrades,
        "schema_digest": digest(&data_type.schema),
        "plugin": {"name": each.plugin.name, "version": each.plugin.version, "digest": each.plugin.digest},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_an_entry_is_said_in_a_few_words() {
        let check = |json: &str, expect: &str| assert_eq!(form(&serde_json::from_str(json).unwrap()), expect);
        check(
            r#"{"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}"#,
            "list of 3: number",
        );
        check(r#"{"anyOf": [{"type": "integer"}, {"type": "null"}]}"#, "integer");
        check(r#"{"type": "object", "additionalProperties": {"type": "string"}}"#, "map: string");
        check(r#"{"type": "array", "items": {"type": "object", "properties": {}}}"#, "list: map");
        check("{}", "any");
    }
}
