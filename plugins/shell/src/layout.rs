//! Placement of input nodes: a name in the work directory, or a value in the arguments.

use std::collections::BTreeMap;

use ferry_plugin::{
    AnyNode, Folder, Job, Problems, RemoteFolder, RemoteStash, SingleFile, Value, relative_path,
};

use crate::{
    arguments::{Arguments, Piece},
    run::{RunInputs, STDERR, STDIN, STDOUT},
};

/// The form of each node in an argument.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    by_label: BTreeMap<String, Place>,
}

#[derive(Debug)]
enum Place {
    /// A relative path in the work directory.
    File(String, SingleFile),
    Folder(String, Folder),
    Remote(String, RemoteFolder),
    Value(String),
}

impl Place {
    fn as_argument(&self) -> &str {
        match self {
            Place::File(text, _) | Place::Folder(text, _) | Place::Remote(text, _) | Place::Value(text) => {
                text
            }
        }
    }

    fn target(&self) -> Option<&str> {
        if let Place::Value(_) = self { None } else { Some(self.as_argument()) }
    }
}

impl Layout {
    /// Finds a place for every node; what has none, or a wrong one, is a problem.
    pub(crate) fn of(inputs: &RunInputs, bad: &mut Problems) -> Self {
        let mut layout = Layout::default();
        let no_names = BTreeMap::new();
        let names = inputs.filenames.as_deref().unwrap_or(&no_names);
        for (label, node) in &inputs.nodes {
            match place(label, node, names.get(label)) {
                Ok(place) => drop(layout.by_label.insert(label.clone(), place)),
                Err(message) => bad.at(format!("nodes.{label}"), message),
            }
        }
        for label in names.keys().filter(|label| !inputs.nodes.contains_key(*label)) {
            bad.at(
                "filenames",
                format!("names `{label}`, which is not among the nodes: {}", list(inputs.nodes.keys())),
            );
        }
        layout.check_targets(inputs.stdin.is_some(), bad);
        layout
    }

    /// Returns the arguments, with a name or a value for each pair of braces.
    pub(crate) fn fill(&self, arguments: &Arguments, bad: &mut Problems) -> Vec<String> {
        let pieces = arguments.pieces().unwrap_or_else(|message| {
            bad.at("arguments", message);
            Vec::new()
        });
        pieces
            .iter()
            .map(|argument| argument.iter().map(|piece| self.fill_one(piece, bad)).collect())
            .collect()
    }

    fn fill_one<'a>(&'a self, piece: &'a Piece, bad: &mut Problems) -> &'a str {
        let name = match piece {
            Piece::Text(text) => return text,
            Piece::Name(name) => name,
        };
        match self.by_label.get(name) {
            Some(place) => place.as_argument(),
            None => {
                let known = list(self.by_label.keys());
                bad.at(
                    "arguments",
                    format!(
                        "`{{{name}}}` names no node; the nodes are: {known} (for a brace itself write `{{{{`)"
                    ),
                );
                ""
            }
        }
    }

    /// Puts files, folders and links where they belong.
    pub(crate) fn put(&self, job: &mut Job) {
        for place in self.by_label.values() {
            match place {
                Place::File(target, file) => job.copy(file, target),
                Place::Folder(target, folder) => job.copy_folder(folder, target),
                Place::Remote(target, remote) => job.symlink(remote, target),
                Place::Value(_) => {}
            }
        }
    }

    /// Checks that no two things have the same name in the work directory.
    fn check_targets(&self, has_stdin: bool, bad: &mut Problems) {
        let mut taken = BTreeMap::from([(STDOUT, "the command's output"), (STDERR, "the command's errors")]);
        if has_stdin {
            taken.insert(STDIN, "the input `stdin`");
        }
        for (label, place) in &self.by_label {
            let Some(target) = place.target() else { continue };
            match taken.get(target) {
                Some(other) => bad.at(
                    format!("nodes.{label}"),
                    format!("would be `{target}` in the work directory, as {other} is: give it another name in `filenames`"),
                ),
                None => drop(taken.insert(target, label)),
            }
        }
    }
}

fn place(label: &str, node: &AnyNode, name: Option<&String>) -> Result<Place, String> {
    let target = |own: &str| relative_path(name.map_or(own, String::as_str));
    match node.data_type.as_str() {
        "file" => {
            let file: SingleFile = node.get()?;
            Ok(Place::File(target(file.name())?, file))
        }
        "folder" => Ok(Place::Folder(target(label)?, node.get()?)),
        "remote_folder" => Ok(Place::Remote(target(label)?, node.get()?)),
        // It stays where it is; the option `unstash` takes things out of it.
        "remote_stash" => Ok(Place::Value(node.get::<RemoteStash>()?.path)),
        "int" | "float" | "str" | "bool" if name.is_some() => {
            Err(format!("is a value of type `{}` and no file: leave it out of `filenames`", node.data_type))
        }
        _ => value(node).map(Place::Value),
    }
}

fn value(node: &AnyNode) -> Result<String, String> {
    match (&*node.data_type, &node.value) {
        ("int", Value::Int(number)) => Ok(number.to_string()),
        ("float", Value::Float(number)) => Ok(format!("{number:?}")),
        ("str", Value::Str(text)) => Ok(text.clone()),
        ("bool", Value::Bool(value)) => Ok(value.to_string()),
        (other, _) => Err(format!(
            "is of type `{other}`, which is neither a file nor an argument: give a file, folder, remote_folder, remote_stash, int, \
             float, str or bool"
        )),
    }
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
