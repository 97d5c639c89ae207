//! One option of a set-up command: its name in files, its flag, and what its value looks like.

use ferry_engine::scheduler::Cores;
use serde_json::Value;

use crate::yaml;

/// The shape of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Text.
    Text,
    /// True or false.
    Truth,
    /// A whole number that is not negative.
    Count,
    /// A number that is not negative.
    Number,
    /// A number of cores, or `unlimited`.
    Cores,
    /// Text, or a list of words that are joined by blanks.
    Words,
    /// A map of names to lists of texts.
    Lists,
}

/// An option that a set-up command takes from a flag, a file or a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Its name in files.
    pub(crate) name: &'static str,
    /// Its name as a flag.
    pub(crate) flag: &'static str,
    /// A letter that stands for the flag.
    pub(crate) short: Option<char>,
    /// The shape of its value.
    pub(crate) shape: Shape,
    /// Its meaning.
    pub(crate) help: &'static str,
}

impl Key {
    /// Makes an option without a letter.
    pub(crate) const fn new(name: &'static str, flag: &'static str, shape: Shape, help: &'static str) -> Key {
        Key { name, flag, short: None, shape, help }
    }

    /// Sets the letter.
    #[must_use]
    pub(crate) const fn short(self, letter: char) -> Key {
        Key { short: Some(letter), ..self }
    }
}

impl Shape {
    /// Reads a word of the command line, or a line from a terminal.
    ///
    /// # Errors
    /// Fails with what was expected.
    pub(crate) fn read(self, word: &str) -> Result<Value, String> {
        let expected = || format!("expected {}, got `{word}`", self.expected());
        match self {
            Shape::Text | Shape::Words => Ok(Value::from(word)),
            Shape::Truth => word.parse::<bool>().map(Value::from).map_err(|_| expected()),
            Shape::Count => word.parse::<u64>().map(Value::from).map_err(|_| expected()),
            Shape::Cores => match word.parse() {
                Ok(Cores::Count(count)) => Ok(Value::from(count)),
                Ok(Cores::Unlimited) => Ok(Value::from(word)),
                Err(_) => Err(expected()),
            },
            Shape::Number => {
                let number = word.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
                number.map(Value::from).ok_or_else(expected)
            }
            Shape::Lists => {
                let value = yaml::parse(word).ok().and_then(|value| serde_json::to_value(&value).ok());
                value.as_ref().and_then(lists).ok_or_else(expected)
            }
        }
    }

    /// Checks a value of a file.
    ///
    /// # Errors
    /// Fails with what was expected, and what was given.
    pub(crate) fn check(self, value: Value) -> Result<Value, String> {
        let fits = match self {
            Shape::Text => value.is_string(),
            Shape::Truth => value.is_boolean(),
            Shape::Count => value.is_u64(),
            Shape::Cores => serde_json::from_value::<Cores>(value.clone()).is_ok(),
            Shape::Number => value.as_f64().is_some_and(|number| number >= 0.0),
            Shape::Words => match words(&value) {
                Some(text) => return Ok(Value::from(text)),
                None => value.is_string(),
            },
            Shape::Lists => match lists(&value) {
                Some(lists) => return Ok(lists),
                None => false,
            },
        };
        if fits {
            return Ok(value);
        }
        let hint = match (self, &value) {
            (Shape::Text | Shape::Words, _) => "; put it in quotes",
            (Shape::Truth, Value::String(_)) => "; write true or false, without quotes",
            _ => "",
        };
        Err(format!("expected {}, got {value}{hint}", self.expected()))
    }

    fn expected(self) -> &'static str {
        match self {
            Shape::Text => "text",
            Shape::Truth => "true or false",
            Shape::Count => "a whole number",
            Shape::Cores => "a whole number of at least 1, or `unlimited`",
            Shape::Number => "a number that is not negative",
            Shape::Words => "text or a list of words",
            Shape::Lists => "names with lists of texts, such as `busy: [\"no budget left\"]`",
        }
    }
}

fn words(value: &Value) -> Option<String> {
    let words: Option<Vec<&str>> = value.as_array()?.iter().map(Value::as_str).collect();
    Some(words?.join(" "))
}

/// Returns a map of lists. A text alone becomes a list of one, and null an empty one.
fn lists(value: &Value) -> Option<Value> {
    let list = |value: &Value| match value {
        Value::Null => Some(Value::Array(Vec::new())),
        Value::String(_) => Some(Value::Array(vec![value.clone()])),
        Value::Array(texts) => texts.iter().all(Value::is_string).then(|| value.clone()),
        _ => None,
    };
    let lists = value.as_object()?.iter().map(|(name, value)| Some((name.clone(), list(value)?)));
    lists.collect::<Option<_>>().map(Value::Object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: Shape, json: &str, expect: Result<&str, &str>) {
        let read = shape.check(serde_json::from_str(json).unwrap()).map(|value| value.to_string());
        assert_eq!(read, expect.map(str::to_owned).map_err(str::to_owned), "for {json}");
    }

    #[test]
    fn values_fit_or_say_what_was_expected() {
        check(
            Shape::Words,
            r#"["mpirun", "-np", "{tot_num_mpiprocs}"]"#,
            Ok(r#""mpirun -np {tot_num_mpiprocs}""#),
        );
        check(
            Shape::Words,
            r#"["mpirun", 4]"#,
            Err(r#"expected text or a list of words, got ["mpirun",4]; put it in quotes"#),
        );
        check(
            Shape::Truth,
            r#""yes""#,
            Err(r#"expected true or false, got "yes"; write true or false, without quotes"#),
        );
        check(Shape::Count, "-1", Err("expected a whole number, got -1"));
        check(Shape::Cores, "4", Ok("4"));
        check(Shape::Cores, r#""unlimited""#, Ok(r#""unlimited""#));
        check(Shape::Cores, "0", Err("expected a whole number of at least 1, or `unlimited`, got 0"));
        assert_eq!(Shape::Cores.read("4").map(|value| value.to_string()), Ok("4".into()));
        check(Shape::Text, "10", Err("expected text, got 10; put it in quotes"));
        check(Shape::Number, "0.5", Ok("0.5"));
        check(Shape::Lists, r#"{"busy": "a b", "final": null}"#, Ok(r#"{"busy":["a b"],"final":[]}"#));
        check(Shape::Lists, r#"{"busy": ["a", "b"]}"#, Ok(r#"{"busy":["a","b"]}"#));
        let expected = "expected names with lists of texts, such as `busy: [\"no budget left\"]`, got";
        check(Shape::Lists, r#"["a"]"#, Err(&format!(r#"{expected} ["a"]"#)));
        check(Shape::Lists, r#"{"busy": [1]}"#, Err(&format!(r#"{expected} {{"busy":[1]}}"#)));
        let read = Shape::Lists.read("busy: [no budget left]").map(|value| value.to_string());
        assert_eq!(read.as_deref(), Ok(r#"{"busy":["no budget left"]}"#));
        assert_eq!(Shape::Count.read("x"), Err("expected a whole number, got `x`".into()));
    }
}
