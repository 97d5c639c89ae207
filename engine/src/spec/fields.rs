//! Maps of known keys, such as an option that is a map, or a monitor's settings. They are read key by key, so that
//! all problems are reported at once.

use std::collections::BTreeMap;

use ferry_plugin_proto::{Problem, Value};

use super::ports::closest;
use crate::node::describe;

/// A map that is being read.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    map: Option<&'a BTreeMap<String, Value>>,
    port: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Begins to read the map given for `port`, which may have only these keys.
    pub(crate) fn of(value: &'a Value, port: &'a str, known: &[&str]) -> Self {
        let mut fields = Fields { map: None, port, problems: Vec::new() };
        match value {
            Value::Map(map) => {
                fields.map = Some(map);
                for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
                    let hint = match closest(key, known.iter().copied()) {
                        Some(close) => format!("did you mean `{close}`?"),
                        None => format!("there are: {}", known.join(", ")),
                    };
                    fields.wrong(key, format!("no such key; {hint}"));
                }
            }
            other => {
                let message = format!("expected a map with {}, got {}", known.join(", "), describe(other));
                fields.problems.push(Problem { port: port.to_owned(), message });
            }
        }
        fields
    }

    /// Returns a key's value; `None` for a null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map?.get(key).filter(|value| **value != Value::Null)
    }

    /// Returns the value of a required key.
    fn required(&mut self, key: &str, what: &str) -> Option<&'a Value> {
        let found = self.get(key);
        if found.is_none() && self.map.is_some() {
            self.wrong(key, format!("required, but not given ({what})"));
        }
        found
    }

    /// Reads a required text.
    pub(crate) fn text(&mut self, key: &str, what: &str) -> Option<&'a str> {
        let value = self.required(key, what)?;
        if value.as_str().is_none() {
            self.wrong(key, format!("expected {what}, got {}", describe(value)));
        }
        value.as_str()
    }

    /// Reads a Boolean, if it is present.
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            other => {
                self.wrong(key, format!("expected true or false, got {}", describe(other)));
                None
            }
        }
    }

    /// Reads a number of at least `min`, if it is present.
    pub(crate) fn number(&mut self, key: &str, min: f64) -> Option<f64> {
        let value = self.get(key)?;
        match value.as_float() {
            Some(number) if number.is_finite() && number >= min => Some(number),
            _ => {
                self.wrong(key, format!("expected a number of at least {min}, got {}", describe(value)));
                None
            }
        }
    }

    /// Reads an integer, if it is present.
    pub(crate) fn integer(&mut self, key: &str) -> Option<i64> {
        let value = self.get(key)?;
        if value.as_int().is_none() {
            self.wrong(key, format!("expected an integer, got {}", describe(value)));
        }
        value.as_int()
    }

    /// Reads a required list of texts, with at least one entry.
    pub(crate) fn texts(&mut self, key: &str, what: &str) -> Vec<String> {
        let Some(value) = self.required(key, what) else { return Vec::new() };
        let texts = match value {
            Value::List(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let texts: Option<Vec<String>> = texts;
        match texts {
            Some(texts) if !texts.is_empty() => texts,
            Some(_) => {
                self.wrong(key, format!("expected {what}, got an empty list"));
                Vec::new()
            }
            None => {
                self.wrong(key, format!("expected {what}, got {}", describe(value)));
                Vec::new()
            }
        }
    }

    /// Records a problem with a key.
    pub(crate) fn wrong(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem { port: format!("{}.{key}", self.port), message: message.into() });
    }

    /// Returns all problems.
    pub(crate) fn problems(self) -> Vec<Problem> {
        self.problems
    }
}
