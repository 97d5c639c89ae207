//! `--where KEY OP VALUE`: numbers compare as numbers, everything else as text; `~` looks for a part of the text.

use std::{cmp::Ordering, str::FromStr};

use serde_json::Value;

use super::{key::Key, order::compare_values};

/// A condition on a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(super) key: Key,
    sign: Sign,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Equal,
    Other,
    Less,
    AtMost,
    More,
    AtLeast,
    Contains,
}

/// The longer ones come first.
const SIGNS: &[(&str, Sign)] = &[
    ("==", Sign::Equal),
    ("!=", Sign::Other),
    ("<=", Sign::AtMost),
    (">=", Sign::AtLeast),
    ("=", Sign::Equal),
    ("<", Sign::Less),
    (">", Sign::More),
    ("~", Sign::Contains),
];

impl FromStr for Condition {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not of the form KEY OP VALUE, with OP one of = != < <= > >= ~");
        let at = text.find(['=', '!', '<', '>', '~']).ok_or_else(wrong)?;
        let (key, rest) = text.split_at(at);
        let (word, sign) = SIGNS.iter().find(|(word, _)| rest.starts_with(word)).ok_or_else(wrong)?;
        let value = rest[word.len()..].trim();
        // Numbers, truth values, null and quoted text are JSON; other words are text.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok(Condition { key: key.parse()?, sign: *sign, value })
    }
}

impl Condition {
    /// Returns whether the condition holds for a value. A missing value is equal to `null` alone, and neither
    /// less nor more than anything.
    pub(super) fn holds(&self, found: &Value) -> bool {
        let order = compare_values(found, &self.value);
        let comparable = found.is_number() == self.value.is_number() && !found.is_null();
        match self.sign {
            Sign::Equal => order == Ordering::Equal,
            Sign::Other => order != Ordering::Equal,
            Sign::Less => comparable && order == Ordering::Less,
            Sign::AtMost => comparable && order != Ordering::Greater,
            Sign::More => comparable && order == Ordering::Greater,
            Sign::AtLeast => comparable && order != Ordering::Less,
            Sign::Contains => !found.is_null() && text(found).contains(&text(&self.value)),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(condition: &str, found: Value, expect: bool) {
        let condition: Condition = condition.parse().unwrap();
        assert_eq!(condition.holds(&found), expect, "{condition:?} {found}");
    }

    #[test]
    fn numbers_compare_as_numbers_and_text_as_text() {
        check("inputs.ecut >= 30", json!(30.0), true);
        check("inputs.ecut>9", json!(30), true);
        check("inputs.ecut<30", json!(30), false);
        check("inputs.ecut=30", json!(30.0), true);
        check("label=30", json!("30"), false);
        check("label=\"30\"", json!("30"), true);
        check("label~st t", json!("test this"), true);
        check("created>=2026-01-01", json!("2026-02-03T00:00:00+00:00"), true);
        check("inputs.ecut>abc", json!(5), false);
    }

    #[test]
    fn nothing_is_null_alone() {
        check("outputs.energy=null", Value::Null, true);
        check("outputs.energy!=null", json!(1), true);
        check("outputs.energy<5", Value::Null, false);
        check("outputs.energy!=5", Value::Null, true);
    }

    #[test]
    fn wrong_conditions_are_told() {
        assert!("inputs.ecut 30".parse::<Condition>().unwrap_err().contains("KEY OP VALUE"));
        assert!("inputs.ecut ! 30".parse::<Condition>().unwrap_err().contains("KEY OP VALUE"));
        assert!("lable=x".parse::<Condition>().unwrap_err().contains("did you mean `label`?"));
    }
}
