//! `--order-by KEY[:desc]`. Numbers come before text; what has nothing there comes last, either way.

use std::{cmp::Ordering, str::FromStr};

use serde_json::Value;

use super::key::Key;

/// One of the keys that give the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(super) key: Key,
    descending: bool,
}

impl FromStr for Order {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        let (key, descending) = match word.rsplit_once(':') {
            Some((key, "desc")) => (key, true),
            Some((key, "asc")) => (key, false),
            Some((_, other)) => return Err(format!("`{other}` is no direction; there are: asc, desc")),
            None => (word, false),
        };
        Ok(Order { key: key.parse()?, descending })
    }
}

/// Compares two rows by what they have under the keys.
pub(super) fn compare(orders: &[Order], a: &[Value], b: &[Value]) -> Ordering {
    let each = orders.iter().zip(a.iter().zip(b)).map(|(order, (a, b))| {
        let found = compare_values(a, b);
        let turns = order.descending && !a.is_null() && !b.is_null();
        if turns { found.reverse() } else { found }
    });
    each.fold(Ordering::Equal, Ordering::then)
}

/// Compares two values of any kind.
pub(super) fn compare_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (a, b) if rank(a) == rank(b) => a.to_string().cmp(&b.to_string()),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_comes_last_in_both_directions() {
        for (word, expect) in
            [("value", json!([1, 2.5, 10, "a", null])), ("value:desc", json!(["a", 10, 2.5, 1, null]))]
        {
            let orders: Vec<Order> = vec![word.parse().unwrap()];
            let mut values = vec![json!(10), Value::Null, json!("a"), json!(1), json!(2.5)];
            values.sort_by(|a, b| compare(&orders, std::slice::from_ref(a), std::slice::from_ref(b)));
            assert_eq!(Value::from(values), expect, "{word}");
        }
        assert!("id:up".parse::<Order>().unwrap_err().contains("no direction"));
    }
}
