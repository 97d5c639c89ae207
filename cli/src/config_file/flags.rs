//! The flags of a set-up command, made from its keys, and how flags and file become one set of values.

use std::{collections::BTreeMap, marker::PhantomData};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, builder::ValueParser};
use serde_json::Value;

use super::{Accepted, Ask, ConfigFile, Key, Shape, Values};
use crate::{
    error::{Failure, Result},
    session::Session,
};

/// The keys of one set-up command.
pub(crate) trait Keys {
    /// In the order in which they are shown and asked for.
    const KEYS: &'static [Key];
}

/// `--config`, and one flag a key.
#[derive(Debug, Clone)]
pub(crate) struct Flags<K> {
    config: Option<String>,
    quiet: bool,
    given: Values,
    keys: PhantomData<K>,
}

impl<K: Keys> Flags<K> {
    /// Returns the values of file and flags, with checked shapes. A flag wins over the file.
    ///
    /// # Errors
    /// Returns the errors of [`ConfigFile`]. Fails with all values of the wrong shape at once.
    pub(crate) async fn values(&self, accepted: &Accepted<'_>) -> Result<Values> {
        let mut values = match &self.config {
            Some(source) => checked_shapes::<K>(source, ConfigFile::load(source).await?.checked(accepted)?)?,
            None => Values::new(),
        };
        values.extend(self.given.clone());
        Ok(values)
    }

    /// Returns the questions that a person may be asked: none if `--quiet` or the session forbids it, and
    /// only the required ones beside a file.
    pub(crate) fn ask(&self, session: &Session) -> Ask {
        match &self.config {
            _ if self.quiet || session.non_interactive => Ask::Nothing,
            Some(_) => Ask::Required,
            None => Ask::Everything,
        }
    }

    /// Returns whether neither file nor flags were given.
    pub(crate) fn is_empty(&self) -> bool {
        self.config.is_none() && self.given.is_empty()
    }
}

fn checked_shapes<K: Keys>(source: &str, values: Values) -> Result<Values> {
    let shapes: BTreeMap<&str, Shape> = K::KEYS.iter().map(|key| (key.name, key.shape)).collect();
    let (mut checked, mut problems) = (Values::new(), Vec::new());
    for (name, value) in values {
        let value = match shapes.get(name.as_str()) {
            Some(shape) => shape.check(value),
            None => Ok(value),
        };
        match value {
            Ok(value) => drop(checked.insert(name, value)),
            Err(problem) => problems.push(format!("{name}: {problem}")),
        }
    }
    if problems.is_empty() {
        return Ok(checked);
    }
    let mut failure = Failure::usage(format!("{source} has values that don't fit"));
    failure.lines.extend(problems);
    Err(failure)
}

fn argument(key: &Key) -> Arg {
    let shape = key.shape;
    let parser = ValueParser::from(move |word: &str| shape.read(word));
    let arg = Arg::new(key.name).long(key.flag).short(key.short).help(key.help).value_parser(parser);
    match shape {
        Shape::Truth => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("true|false")
        }
        Shape::Count | Shape::Number => arg.value_name("NUMBER"),
        Shape::Cores => arg.value_name("NUMBER|unlimited"),
        Shape::Lists => arg.value_name("YAML"),
        Shape::Text | Shape::Words => arg.value_name("TEXT").allow_hyphen_values(true),
    }
}

impl<K: Keys> Args for Flags<K> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE|URL")
            .help("Read the options from a YAML or JSON file, whose keys are their names; flags override it")
            .action(ArgAction::Set);
        let quiet =
            Arg::new("never_ask").short('n').help("Short for --non-interactive").action(ArgAction::SetTrue);
        K::KEYS.iter().fold(command.arg(config).arg(quiet), |command, key| command.arg(argument(key)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<K: Keys> FromArgMatches for Flags<K> {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let given = |key: &Key| {
            let value = matches.get_one::<Value>(key.name)?;
            Some((key.name.to_owned(), value.clone()))
        };
        Ok(Flags {
            config: matches.get_one::<String>("config").cloned(),
            quiet: matches.get_flag("never_ask"),
            given: K::KEYS.iter().filter_map(given).collect(),
            keys: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Debug, Clone)]
    struct Two;
    impl Keys for Two {
        const KEYS: &'static [Key] = &[
            Key::new("label", "label", Shape::Text, "Name").short('L'),
            Key::new("use_it", "use-it", Shape::Truth, "Use it"),
        ];
    }

    fn parse(words: &[&str]) -> Flags<Two> {
        let command = Flags::<Two>::augment_args(Command::new("x").no_binary_name(true));
        Flags::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_flag_wins_over_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "label: from-file\nuse_it: false").unwrap();
        let accepted = Accepted { names: &["label", "use_it"], unused: &[] };
        let path = file.path().to_str().unwrap();
        let values = parse(&["--config", path, "--use-it"]).values(&accepted).await.unwrap();
        assert_eq!(Value::Object(values).to_string(), r#"{"label":"from-file","use_it":true}"#);
        let values = parse(&["-L", "x", "--use-it=false"]).values(&accepted).await.unwrap();
        assert_eq!(Value::Object(values).to_string(), r#"{"label":"x","use_it":false}"#);
    }
}
