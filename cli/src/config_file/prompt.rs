//! Asking a terminal for what neither flags nor file gave; without one, naming all that is missing.

use std::io::{BufRead, IsTerminal, Write};

use super::{Key, Values};
use crate::error::{Failure, Result};

/// A value that a set-up command would like to have.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Its key.
    pub(crate) key: Key,
    /// The default value.
    pub(crate) default: Option<String>,
    /// True if a value is required.
    pub(crate) required: bool,
}

/// Completes values: asks for missing ones, the optional ones included if `ask` says so, or takes their
/// defaults.
///
/// # Errors
/// Fails with all missing required values if nobody can be asked. Fails also if the terminal does.
pub(crate) fn complete(values: &mut Values, wanted: &[Wanted], ask: Ask) -> Result {
    let open: Vec<&Wanted> = wanted.iter().filter(|wanted| !values.contains_key(wanted.key.name)).collect();
    if ask == Ask::Nothing || !std::io::stdin().is_terminal() {
        return take_defaults(values, &open);
    }
    for wanted in open {
        if wanted.required || ask == Ask::Everything {
            ask_for(values, wanted)?;
        }
    }
    Ok(())
}

/// The questions that may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Nothing: never wait for a person.
    Nothing,
    /// Required values.
    Required,
    /// All that is wanted.
    Everything,
}

fn take_defaults(values: &mut Values, open: &[&Wanted]) -> Result {
    let mut missing = Vec::new();
    for wanted in open.iter().filter(|wanted| wanted.required) {
        match &wanted.default {
            Some(default) => {
                let value = wanted.key.shape.read(default).map_err(Failure::usage)?;
                values.insert(wanted.key.name.into(), value);
            }
            None => missing.push(&wanted.key),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|key| key.name).collect();
    let flags: Vec<_> = missing.iter().map(|key| format!("--{}", key.flag)).collect();
    Err(Failure::usage(format!("missing: {}", names.join(", ")))
        .help(format!("give {}, or a file with `--config`", flags.join(", "))))
}

fn ask_for(values: &mut Values, wanted: &Wanted) -> Result {
    loop {
        let default = wanted.default.as_deref().map(|text| format!(" [{text}]")).unwrap_or_default();
        let mut stderr = std::io::stderr().lock();
        write!(stderr, "{} ({}){default}: ", wanted.key.name, wanted.key.help)?;
        stderr.flush()?;
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            return Err(Failure::usage(format!("`{}` was not given", wanted.key.name)));
        }
        let word = match line.trim() {
            "" => wanted.default.as_deref().unwrap_or_default(),
            word => word,
        };
        match wanted.key.shape.read(word) {
            _ if word.is_empty() && !wanted.required => return Ok(()),
            _ if word.is_empty() => writeln!(stderr, "a value is needed")?,
            Err(problem) => writeln!(stderr, "{problem}")?,
            Ok(value) => {
                values.insert(wanted.key.name.into(), value);
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_file::Shape;

    #[test]
    fn everything_that_is_missing_is_named() {
        let wanted = |name, default: Option<&str>, required| Wanted {
            key: Key::new(name, name, Shape::Text, ""),
            default: default.map(str::to_owned),
            required,
        };
        let list = [
            wanted("a", None, true),
            wanted("b", Some("x"), true),
            wanted("c", None, false),
            wanted("d", None, true),
        ];
        let mut values = Values::new();
        let failure = complete(&mut values, &list, Ask::Nothing).unwrap_err();
        assert_eq!(failure.lines, ["missing: a, d"]);
        assert_eq!(values.get("b").and_then(|value| value.as_str()), Some("x"));
    }
}
