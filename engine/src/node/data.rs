//! The base data types, and the form of their bodies. Types beyond these belong to plugins and libraries. The
//! store keeps any type, but only base types can be written as plain words on a command line.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Value, npy::Header};

use super::code;

/// Names of the engine's own data types.
pub const BASE_TYPES: &[&str] = &[
    "int",
    "float",
    "str",
    "bool",
    "list",
    "dict",
    "array",
    "file",
    "folder",
    "remote_folder",
    "remote_stash",
    "code",
];

/// The base type for arrays: each array is a `.npy` file, which may hold NaN, and has an entry in the body.
pub const ARRAY: &str = "array";

/// Returns the body of a node of arrays, by name.
pub fn array_body<'a>(arrays: impl IntoIterator<Item = (&'a str, &'a Header)>) -> Value {
    let about = |header: &Header| {
        // No file can have a length beyond the range of `Int`.
        let length = |length: &usize| Value::Int(i64::try_from(*length).unwrap_or(i64::MAX));
        let shape: Vec<Value> = header.shape.iter().map(length).collect();
        let words = [("dtype", Value::from(header.dtype.as_str())), ("shape", shape.into())];
        Value::Map(words.map(|(key, value)| (key.to_owned(), value)).into())
    };
    let arrays: BTreeMap<_, _> =
        arrays.into_iter().map(|(name, header)| (name.to_owned(), about(header))).collect();
    Value::Map([("arrays".to_owned(), Value::Map(arrays))].into())
}

/// Checks that a body fits its data type; a type that is not the engine's takes any body.
///
/// # Errors
/// The expected and the actual value, in words.
pub fn check_body(data_type: &str, body: &Value, files: usize) -> Result<(), String> {
    if let Some(place) = body.find_non_finite() {
        let place = if place.is_empty() { String::new() } else { format!(" at {place}") };
        return Err(format!("NaN or infinity{place}: only arrays may hold them"));
    }
    let fits = match (data_type, body) {
        ("int", Value::Int(_))
        | ("float", Value::Float(_))
        | ("str", Value::Str(_))
        | ("bool", Value::Bool(_))
        | ("list", Value::List(_))
        | ("dict", Value::Map(_)) => true,
        ("file", body) => body.get("filename").and_then(Value::as_str).is_some() && files == 1,
        (ARRAY, body) => matches!(body.get("arrays"), Some(Value::Map(arrays)) if arrays.len() == files),
        ("folder", Value::Map(_) | Value::Null) => true,
        ("remote_folder" | "remote_stash", body) => has_text(body, "computer") && has_text(body, "path"),
        ("code", body) => match code::check(body, files) {
            Ok(()) => true,
            Err(expected) => return Err(format!("expected {expected}, got {}", describe(body))),
        },
        (other, _) => !BASE_TYPES.contains(&other),
    };
    if fits { Ok(()) } else { Err(format!("expected {}, got {}", expected(data_type), describe(body))) }
}

fn has_text(body: &Value, key: &str) -> bool {
    body.get(key).and_then(Value::as_str).is_some()
}

fn expected(data_type: &str) -> &'static str {
    match data_type {
        "int" => "an integer",
        "float" => "a number",
        "str" => "text",
        "bool" => "true or false",
        "list" => "a list",
        "dict" => "a map",
        ARRAY => "arrays, a .npy file each",
        "file" => "one file",
        "folder" => "files",
        "remote_folder" => "a directory on a computer",
        "remote_stash" => "a stash on a computer",
        "code" => "a code",
        _ => "a value",
    }
}

/// Describes a value in a few words, for error messages.
pub(crate) fn describe(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".into(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Int(value) => format!("the integer {value}"),
        Value::Float(value) => format!("the number {value}"),
        Value::Str(value) => format!("the text `{value}`"),
        Value::Bytes(value) => format!("{} bytes", value.len()),
        Value::List(value) => format!("a list of {}", value.len()),
        Value::Map(value) => format!("a map of {}", value.len()),
    };
    if text.chars().count() > 60 { text.chars().take(57).chain("...".chars()).collect() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data_type: &str, body: Value, files: usize, expected: Result<(), &str>) {
        assert_eq!(check_body(data_type, &body, files), expected.map_err(str::to_owned));
    }

    #[test]
    fn bodies_fit_their_types_or_say_what_was_expected() {
        check("int", Value::Int(1), 0, Ok(()));
        check("int", Value::from("x"), 0, Err("expected an integer, got the text `x`"));
        check("float", Value::Float(f64::NAN), 0, Err("NaN or infinity: only arrays may hold them"));
        check(
            "file",
            Value::Map([("filename".into(), "a".into())].into()),
            0,
            Err("expected one file, got a map of 1"),
        );
        let header = Header { dtype: "<f8".into(), fortran: false, shape: vec![2, 3] };
        check("array", array_body([("default", &header)]), 1, Ok(()));
        let told = "expected arrays, a .npy file each, got a map of 1";
        check("array", array_body([("default", &header)]), 0, Err(told));
        check("core.structure", Value::Null, 0, Ok(()));
    }
}
