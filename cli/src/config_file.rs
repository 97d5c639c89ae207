//! `--config FILE|URL`: the options of a set-up command from a YAML or JSON file, whose keys are the option
//! names with underscores. Flags override the file. On a terminal, the user is asked for missing values.
//!
//! ```text
//! label: daint
//! transport: core.local
//! work_dir: /scratch/{username}/ferry
//! prepend_text: |
//!   module load gcc
//! ```

mod fetch;
mod flags;
mod key;
mod prompt;

use serde_json::{Map, Value};

use crate::{
    error::{Failure, Result},
    output,
    words::closest,
    yaml,
};

pub(crate) use flags::{Flags, Keys};
pub(crate) use key::{Key, Shape};
pub(crate) use prompt::{Ask, Wanted, complete};

/// Option values by name, as a file or flags give them; what was given as nothing is not there.
pub(crate) type Values = Map<String, Value>;

/// A set-up file that was read.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    source: String,
    text: String,
    /// The values of the file, unchecked.
    pub(crate) values: Values,
}

/// The keys that a set-up file may have.
pub(crate) struct Accepted<'a> {
    /// Names that the command takes.
    pub(crate) names: &'a [&'a str],
    /// Names that AiiDA has and ferry has no use for, with the reason or a substitute.
    pub(crate) unused: &'a [(&'a str, &'a str)],
}

impl ConfigFile {
    /// Reads a set-up file from a path or an http(s) address.
    ///
    /// # Errors
    /// Fails if it can't be reached or read, or is neither YAML nor JSON. The message has the place, and what
    /// to write instead.
    pub(crate) async fn load(source: &str) -> Result<ConfigFile> {
        let wanted = source.to_owned();
        let text = tokio::task::spawn_blocking(move || fetch::text(&wanted))
            .await
            .map_err(|error| Failure::new(format!("reading {source}: {error}")))??;
        ConfigFile::parse(source, text)
    }

    fn parse(source: &str, text: String) -> Result<ConfigFile> {
        let value = yaml::parse(&text).map_err(|error| {
            let help = advice(&error);
            Failure::usage(format!("{source}: {error}")).help(help)
        })?;
        let values = match serde_json::to_value(&value) {
            Ok(Value::Object(values)) => values,
            Ok(Value::Null) => Values::new(),
            _ => {
                return Err(
                    Failure::usage(format!("{source}: not a map of keys and values")).help(ONE_A_LINE)
                );
            }
        };
        Ok(ConfigFile { source: source.to_owned(), text, values })
    }

    /// Checks all names, warns about those that ferry does not use and drops them; drops empty values too.
    ///
    /// # Errors
    /// Fails with every unknown name, its line and a suggestion.
    pub(crate) fn checked(mut self, accepted: &Accepted<'_>) -> Result<Values> {
        let is_unknown =
            |name: &&String| !accepted.names.contains(&name.as_str()) && accepted.reason(name).is_none();
        let mut unknown: Vec<&String> = self.values.keys().filter(is_unknown).collect();
        unknown.sort_by_key(|name| self.line(name));
        let unknown: Vec<_> = unknown.into_iter().map(|name| self.unknown(name, accepted)).collect();
        if let Some((first, others)) = unknown.split_first() {
            let mut failure = Failure::usage(first);
            failure.lines.extend_from_slice(others);
            return Err(failure.help(format!("known keys: {}", accepted.names.join(", "))));
        }
        for (name, reason) in accepted.unused {
            if self.values.remove(*name).is_some() {
                output::warn(format!("{}: `{name}` is not used: {reason}", self.place(name)));
            }
        }
        self.values.retain(|_, value| !value.is_null());
        Ok(self.values)
    }

    fn unknown(&self, name: &str, accepted: &Accepted<'_>) -> String {
        let place = self.place(name);
        match closest(name, accepted.names.iter().copied()) {
            Some(close) => format!("{place}: unknown key `{name}`; did you mean `{close}`?"),
            None => format!("{place}: unknown key `{name}`"),
        }
    }

    /// Returns the place of a key as `FILE, line 3`, or the file alone if the key can't be found.
    fn place(&self, name: &str) -> String {
        match self.line(name) {
            Some(line) => format!("{}, line {line}", self.source),
            None => self.source.clone(),
        }
    }

    fn line(&self, name: &str) -> Option<usize> {
        let begins = |line: &str| {
            let line = line.trim_start_matches(['{', ' ', '\t', '"', '\'']);
            line.strip_prefix(name)
                .is_some_and(|rest| rest.trim_start_matches(['"', '\'', ' ']).starts_with(':'))
        };
        self.text.lines().position(begins).map(|line| line + 1)
    }
}

impl Accepted<'_> {
    fn reason(&self, name: &str) -> Option<&str> {
        self.unused.iter().find(|(unused, _)| *unused == name).map(|(_, reason)| *reason)
    }
}

const ONE_A_LINE: &str = "write one `key: value` a line, with a space after the colon";

/// Returns advice on what to write instead.
fn advice(problem: &str) -> &'static str {
    if problem.contains("a tab;") {
        "write spaces in place of the tab"
    } else if problem.ends_with("there twice") {
        "keep one of the two"
    } else if problem.contains("unclosed") {
        "close it, or put the whole value in quotes"
    } else if problem.contains("expected ':'") {
        ONE_A_LINE
    } else {
        "put a value with special characters in quotes, and begin every key in the same column"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTED: Accepted<'static> = Accepted {
        names: &["label", "work_dir", "use_double_quotes"],
        unused: &[("gss_auth", "ferry does not use GSS")],
    };

    fn check(text: &str, expect: Result<&str, &str>) {
        let read = ConfigFile::parse("c.yml", text.to_owned()).and_then(|file| file.checked(&ACCEPTED));
        let read =
            read.map(|values| Value::Object(values).to_string()).map_err(|failure| failure.lines.join("; "));
        assert_eq!(read.as_deref(), expect.map_err(str::to_owned).as_deref(), "for {text:?}");
    }

    #[test]
    fn yaml_and_json_are_read() {
        check("label: x\nuse_double_quotes: true\n", Ok(r#"{"label":"x","use_double_quotes":true}"#));
        check("{\n\t\"label\": \"x\"}", Ok(r#"{"label":"x"}"#));
        check("", Ok("{}"));
        // Text that AiiDA's YAML took for a truth value stays text, and is refused where one is expected.
        check("label: yes\nwork_dir:\n", Ok(r#"{"label":"yes"}"#));
        check("gss_auth: true\n", Ok("{}"));
    }

    #[test]
    fn mistakes_are_placed() {
        check(
            "label: x\nworkdir: /x\n",
            Err("c.yml, line 2: unknown key `workdir`; did you mean `work_dir`?"),
        );
        check(
            "label: x\n\twork_dir: /x\n",
            Err("c.yml: line 2, column 1: a tab; YAML takes only spaces for indentation"),
        );
        check("label: a\nlabel: b\n", Err("c.yml: line 2, column 1: `label` is there twice"));
        check("- label\n", Err("c.yml: not a map of keys and values"));
        check("label: 'x\n", Err("c.yml: line 1, column 8: unclosed quote"));
    }
}
