//! From words and files to a launch: `port=value`, `--inputs FILE`, `--option key=value`.
//!
//! ```text
//! x=5              a literal, read by the port's type          str:@x        text as it is, whatever it begins with
//! x=@12            a node, by id, uuid or label                code=pw@daint a code
//! table=file:t.csv a file: for a file port the file itself, for other ports the JSON or YAML in it
//! data=folder:dir  a directory                                 pw.ecut=60    a nested port
//! metadata.options.queue_name=debug                            what is not an input
//! ```
//!
//! Everything that is wrong is said at once, by port. What only the plugin can judge comes after, from the
//! profile's owner.

mod content;
mod document;
mod gather;
mod metadata;
mod word;

use std::path::{Path, PathBuf};

use ferry_engine::{
    process::{self, InputValue, Launch},
    store::Reader,
};
use ferry_plugin_proto::{Problem, Value};

use self::gather::Gathered;
use crate::{
    error::{Failure, Result},
    yaml::{self, Document},
};

/// What a user said about a process to start.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// Full name of the type, or an alias.
    pub(crate) process_type: String,
    /// `port=value` words.
    pub(crate) words: Vec<String>,
    /// A YAML or JSON file of inputs; words override it.
    pub(crate) file: Option<PathBuf>,
    /// `key=value` options.
    pub(crate) options: Vec<String>,
    /// Label of a computer.
    pub(crate) computer: Option<String>,
    /// For people.
    pub(crate) label: Option<String>,
    /// For people.
    pub(crate) description: Option<String>,
    /// Labels of groups to join.
    pub(crate) groups: Vec<String>,
}

/// Makes a launch of a wish, with the files it names taken into the object repository.
///
/// # Errors
/// Everything that is wrong with the wish (exit status 2); a full disk (1).
pub(crate) fn launch(reader: &Reader, wish: Wish) -> Result<Launch> {
    let (_, process_type) = process::find_type(reader, &wish.process_type).map_err(Failure::usage)?;
    let ports = process::flatten(&process_type.inputs);
    let mut gathered = Gathered::new(&ports);
    let document = wish.file.as_deref().map(yaml::read).transpose()?;
    if let Some(document) = &document {
        let base = document.path.parent().unwrap_or(Path::new(""));
        document::gather(&mut gathered, document.value.clone(), base);
    }
    gathered.words(&wish.words);
    gathered.options(&wish);
    let (inputs, metadata, mut problems) = gathered.finish(reader.objects())?;

    let launch = Launch { process_type: process_type.name, inputs, metadata, groups: wish.groups };
    let known: Vec<String> = problems.iter().map(|problem| problem.port.clone()).collect();
    problems
        .extend(process::check(reader, &launch).into_iter().filter(|problem| !known.contains(&problem.port)));
    if problems.is_empty() {
        return Ok(launch);
    }
    problems.sort_by(|a, b| a.port.cmp(&b.port));
    if let Some(document) = &document {
        problems.iter_mut().for_each(|problem| locate(problem, document, &wish.words));
    }
    Err(Failure::problems(format!("`{}` can't be started with these inputs", wish.process_type), &problems)
        .help(format!("`ferry plugin show {}` tells what it takes", wish.process_type)))
}

/// Adds where in the file a problem lies, unless a word said something else about the port.
fn locate(problem: &mut Problem, document: &Document, words: &[String]) {
    let by_word = words.iter().any(|word| word.split_once('=').is_some_and(|(port, _)| port == problem.port));
    if !by_word
        && !problem.port.is_empty()
        && let Some(place) = document.place(&problem.port)
    {
        problem.message.push_str(&format!(" ({place})"));
    }
}

/// A new node whose type the port decides.
fn plain(value: Value) -> InputValue {
    InputValue::New { data_type: None, value, files: Vec::new() }
}

fn problem(port: &str, message: impl Into<String>) -> Problem {
    Problem { port: port.to_owned(), message: message.into() }
}
