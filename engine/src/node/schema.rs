//! Checks bodies of plugins' data types against the JSON schema that the plugin declares, without running the
//! plugin. It knows the keywords that schemas of plugins use, and ignores others.

use std::collections::BTreeMap;

use ferry_plugin_proto::Value;

/// Returns a digest that two schemas share if they mean the same; descriptions do not count.
pub fn digest(schema: &Value) -> String {
    let text = serde_json::to_string(&without_words(schema)).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_string()
}

/// Returns a schema without its descriptions. Names of properties are not keywords: one may well be called
/// `description`.
fn without_words(schema: &Value) -> Value {
    let Value::Map(entries) = schema else { return schema.clone() };
    let each = |(word, value): (&String, &Value)| {
        let value = match (word.as_str(), value) {
            ("properties", Value::Map(properties)) => Value::Map(
                properties.iter().map(|(name, inner)| (name.clone(), without_words(inner))).collect(),
            ),
            ("anyOf" | "prefixItems", Value::List(list)) => {
                Value::List(list.iter().map(without_words).collect())
            }
            ("items" | "additionalProperties", inner) => without_words(inner),
            (_, other) => other.clone(),
        };
        (word.clone(), value)
    };
    Value::Map(entries.iter().filter(|(word, _)| *word != "description").map(each).collect())
}

/// Checks a body.
///
/// # Errors
/// The first place that does not fit, as a dotted path, with the expected and the actual value.
pub(super) fn check(schema: &Value, body: &Value) -> Result<(), String> {
    judge(schema, body, "")
}

fn judge(schema: &Value, body: &Value, at: &str) -> Result<(), String> {
    let Value::Map(words) = schema else { return Ok(()) };
    if let Some(Value::List(choices)) = words.get("anyOf") {
        return any_of(choices, body, at);
    }
    if let Some(expected) = words.get("const").filter(|expected| *expected != body) {
        return Err(wrong(at, &serde_json::to_string(expected).unwrap_or_default(), body));
    }
    if let Some(name) = words.get("type").and_then(Value::as_str) {
        let (fits, expected) = of_type(name, body);
        if !fits {
            return Err(wrong(at, expected, body));
        }
    }
    in_bounds(words, body, at)?;
    match body {
        Value::Map(entries) => object(words, entries, at),
        Value::List(items) => array(words, items, at),
        _ => Ok(()),
    }
}

fn of_type(name: &str, body: &Value) -> (bool, &'static str) {
    match name {
        "null" => (*body == Value::Null, "nothing"),
        "boolean" => (matches!(body, Value::Bool(_)), "true or false"),
        "integer" => (matches!(body, Value::Int(_)), "an integer"),
        "number" => (matches!(body, Value::Int(_) | Value::Float(_)), "a number"),
        "string" => (matches!(body, Value::Str(_)), "text"),
        "array" => (matches!(body, Value::List(_)), "a list"),
        "object" => (matches!(body, Value::Map(_)), "a map"),
        _ => (true, ""),
    }
}

fn in_bounds(words: &BTreeMap<String, Value>, body: &Value, at: &str) -> Result<(), String> {
    let bound = |word: &str| words.get(word).and_then(Value::as_float);
    let Some(number) = body.as_float() else { return Ok(()) };
    match (bound("minimum"), bound("maximum")) {
        (Some(min), _) if number < min => Err(wrong(at, &format!("at least {min}"), body)),
        (_, Some(max)) if number > max => Err(wrong(at, &format!("at most {max}"), body)),
        _ => Ok(()),
    }
}

fn object(
    words: &BTreeMap<String, Value>,
    entries: &BTreeMap<String, Value>,
    at: &str,
) -> Result<(), String> {
    if let Some(Value::List(required)) = words.get("required") {
        let missing = required.iter().filter_map(Value::as_str).find(|name| !entries.contains_key(*name));
        if let Some(name) = missing {
            return Err(format!("`{}` is missing", inside(at, name)));
        }
    }
    let known = match words.get("properties") {
        Some(Value::Map(properties)) => Some(properties),
        _ => None,
    };
    for (name, value) in entries {
        let place = inside(at, name);
        match (known.and_then(|known| known.get(name)), words.get("additionalProperties")) {
            (Some(schema), _) => judge(schema, value, &place)?,
            // The engine's own entry, at the top.
            (None, _) if at.is_empty() && name == ferry_plugin_proto::VERSION_KEY => {}
            (None, Some(Value::Bool(false))) => {
                let names: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                return Err(format!("`{place}` is unknown; expected one of: {}", names.join(", ")));
            }
            (None, Some(schema)) => judge(schema, value, &place)?,
            (None, None) => {}
        }
    }
    Ok(())
}

fn array(words: &BTreeMap<String, Value>, items: &[Value], at: &str) -> Result<(), String> {
    let bound =
        |word: &str| words.get(word).and_then(Value::as_int).and_then(|bound| usize::try_from(bound).ok());
    let (min, max) = (bound("minItems"), bound("maxItems"));
    if min.is_some_and(|min| items.len() < min) || max.is_some_and(|max| items.len() > max) {
        let expected = match (min, max) {
            (Some(min), Some(max)) if min == max => format!("a list of {min}"),
            (Some(min), _) => format!("a list of at least {min}"),
            (None, max) => format!("a list of at most {}", max.unwrap_or_default()),
        };
        return Err(wrong(at, &expected, &Value::List(items.to_vec())));
    }
    let parts = match words.get("prefixItems") {
        Some(Value::List(parts)) => parts.as_slice(),
        _ => &[],
    };
    for (index, item) in items.iter().enumerate() {
        if let Some(schema) = parts.get(index).or(words.get("items")) {
            judge(schema, item, &inside(at, &index.to_string()))?;
        }
    }
    Ok(())
}

/// Checks a value against several choices. For an optional value, only the error of its other choice is reported.
fn any_of(choices: &[Value], body: &Value, at: &str) -> Result<(), String> {
    let mut problems = Vec::new();
    for choice in choices {
        match judge(choice, body, at) {
            Ok(()) => return Ok(()),
            Err(problem) => {
                problems.push((choice.get("type").and_then(Value::as_str) == Some("null"), problem))
            }
        }
    }
    problems.retain(|(is_null, _)| !is_null || choices.len() == 1);
    match problems.as_slice() {
        [(_, only)] => Err(only.clone()),
        several => {
            let several: Vec<&str> = several.iter().map(|(_, problem)| problem.as_str()).collect();
            Err(several.join(", or "))
        }
    }
}

fn inside(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

fn wrong(at: &str, expected: &str, found: &Value) -> String {
    let place = if at.is_empty() { String::new() } else { format!("`{at}`: ") };
    format!("{place}expected {expected}, got {}", super::describe(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    const CRYSTAL: &str = r#"{"type": "object", "required": ["cell", "sites"], "properties": {
        "cell": {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3, "description": "Å"},
        "sites": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 255}},
            "required": ["n"], "additionalProperties": false}},
        "spin": {"anyOf": [{"const": "up"}, {"const": "down"}]},
        "mass": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "boolean"}], "minItems": 2, "maxItems": 2},
        "units": {"type": "object", "additionalProperties": {"type": "string"}}}}"#;

    #[track_caller]
    fn says(body: &str, expect: Result<(), &str>) {
        assert_eq!(check(&value(CRYSTAL), &value(body)), expect.map_err(str::to_owned), "{body}");
    }

    #[test]
    fn a_body_fits_or_the_place_is_named() {
        says(r#"{"cell": [1, 2.5, 3], "sites": [{"n": 1}], "_version": 1, "more": 1, "mass": null}"#, Ok(()));
        says(r#"{"sites": []}"#, Err("`cell` is missing"));
        says("[]", Err("expected a map, got a list of 0"));
        says(r#"{"cell": [1, 2], "sites": []}"#, Err("`cell`: expected a list of 3, got a list of 2"));
        says(r#"{"cell": [1, 2, "x"], "sites": []}"#, Err("`cell.2`: expected a number, got the text `x`"));
        let with = |entry: &str| format!(r#"{{"cell": [1, 2, 3], "sites": [{{"n": 1}}], {entry}}}"#);
        says(&with(r#""mass": "x""#), Err("`mass`: expected a number, got the text `x`"));
        says(&with(r#""units": {"a": 1}"#), Err("`units.a`: expected text, got the integer 1"));
        says(&with(r#""pair": ["a", "b"]"#), Err("`pair.1`: expected true or false, got the text `b`"));
        says(
            &with(r#""spin": "left""#),
            Err(
                "`spin`: expected \"up\", got the text `left`, or `spin`: expected \"down\", got the text `left`",
            ),
        );
        says(
            r#"{"cell": [1, 2, 3], "sites": [{"n": 1}, {"n": 300}]}"#,
            Err("`sites.1.n`: expected at most 255, got the integer 300"),
        );
        says(
            r#"{"cell": [1, 2, 3], "sites": [{"n": 1, "m": 1}]}"#,
            Err("`sites.0.m` is unknown; expected one of: n"),
        );
        says(
            r#"{"cell": [1, 2, 3], "sites": [{"n": 1.5}]}"#,
            Err("`sites.0.n`: expected an integer, got the number 1.5"),
        );
    }

    #[test]
    fn what_is_said_to_people_does_not_make_another_schema() {
        let one = value(CRYSTAL);
        assert_eq!(digest(&one), digest(&value(&CRYSTAL.replace("Å", "Angstrom"))));
        assert_ne!(digest(&one), digest(&value(&CRYSTAL.replace("255", "256"))));
        let named = |of: &str| value(&format!(r#"{{"properties": {{"description": {{"type": "{of}"}}}}}}"#));
        assert_ne!(digest(&named("string")), digest(&named("number")));
    }
}
