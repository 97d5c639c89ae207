//! Reads what must be there from JSON, with errors that name the place.

use anyhow::{Context, Result};
use serde_json::Value;

/// Returns the text at `pointer`.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no text at {pointer} in {value}"))
}

/// Returns the whole number at `pointer`.
pub(crate) fn number(value: &Value, pointer: &str) -> Result<i64> {
    value
        .pointer(pointer)
        .and_then(Value::as_i64)
        .with_context(|| format!("no number at {pointer} in {value}"))
}

/// Returns the list at `pointer`; the empty pointer means the value itself.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> Result<&'a [Value]> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .with_context(|| format!("no list at '{pointer}' in {value}"))
}
