//! Names of columns: fields, with AiiDA's names beside ours, and dotted paths into inputs, outputs and attributes.

use std::{fmt, str::FromStr};

use crate::words::suggestion;

/// A key that can be a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// As it was written; the column's name.
    name: String,
    /// The place of its values.
    pub(super) place: Place,
}

/// The place of a column's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A field of the row, by our name.
    Field(&'static str),
    /// An input, and perhaps a part of its value: `pw.ecut`.
    Input(String),
    /// An output, likewise.
    Output(String),
    /// A part of what is stored with the node: a value, or a process's metadata.
    Attribute(String),
}

/// Our names.
const FIELDS: &[&str] = &[
    "id",
    "uuid",
    "kind",
    "type",
    "label",
    "description",
    "created",
    "modified",
    "computer",
    "value",
    "state",
    "paused",
    "sealed",
    "status",
    "exit_code",
    "exit_message",
    "job_id",
    "scheduler_state",
    "work_dir",
    "plugin",
    "caller",
    "root",
    "cached",
    "cached_from",
];

/// Other names for them, AiiDA's and those of the JSON of a process.
const ALIASES: &[(&str, &str)] = &[
    ("pk", "id"),
    ("ctime", "created"),
    ("mtime", "modified"),
    ("node_type", "kind"),
    ("process_kind", "kind"),
    ("process_type", "type"),
    ("process_label", "type"),
    ("process_state", "state"),
    ("process_status", "status"),
    ("waiting_for", "status"),
    ("exit_status", "exit_code"),
    ("exception", "exit_message"),
    ("job_state", "scheduler_state"),
    ("remote_workdir", "work_dir"),
];

impl Key {
    /// Returns whether it names an input or an output.
    pub(super) fn is_port(&self) -> bool {
        matches!(self.place, Place::Input(_) | Place::Output(_))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Key {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        let word = word.trim();
        let place = match word.split_once('.') {
            Some(("inputs" | "input" | "in", path)) if !path.is_empty() => Place::Input(path.to_owned()),
            Some(("outputs" | "output" | "out", path)) if !path.is_empty() => Place::Output(path.to_owned()),
            Some(("attributes" | "attribute" | "metadata" | "value", path)) if !path.is_empty() => {
                Place::Attribute(path.to_owned())
            }
            _ => Place::Field(field(word)?),
        };
        Ok(Key { name: word.to_owned(), place })
    }
}

fn field(word: &str) -> Result<&'static str, String> {
    let plain = ALIASES.iter().find(|(alias, _)| *alias == word).map_or(word, |(_, field)| field);
    FIELDS.iter().find(|field| **field == plain).copied().ok_or_else(|| {
        let hint = suggestion(
            word,
            FIELDS.iter().copied().chain(["inputs.PORT", "outputs.PORT", "attributes.NAME"]),
        );
        format!("no such column; {hint}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expect: Result<Place, &str>) {
        match (word.parse::<Key>().map(|key| key.place), expect) {
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            (found, expect) => assert_eq!(found, expect.map_err(str::to_owned), "{word}"),
        }
    }

    #[test]
    fn columns_have_our_names_and_aiidas() {
        check("id", Ok(Place::Field("id")));
        check("pk", Ok(Place::Field("id")));
        check("exit_status", Ok(Place::Field("exit_code")));
        check("inputs.pw.ecut", Ok(Place::Input("pw.ecut".into())));
        check("outputs.energy", Ok(Place::Output("energy".into())));
        check("attributes.options.account", Ok(Place::Attribute("options.account".into())));
        check("lable", Err("did you mean `label`?"));
        check("inputs", Err("inputs.PORT"));
        check("inputs.", Err("no such column"));
    }
}
