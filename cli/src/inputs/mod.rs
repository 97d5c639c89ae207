//! Makes a launch of words and files: `port=value`, `--inputs FILE`, `--option key=value`.
//!
//! ```text
//! x=5              a literal, read by the port's type          str:@x        text as it is, whatever it begins with
//! x=@12            a node, by id, uuid or label                code=pw@daint a code
//! table=file:t.csv a file: for a file port the file itself, for other ports the JSON or YAML in it
//! s=file:si.cif    for other ports what the port's data type can be read from; s=cif:si.txt says the format
//! data=folder:dir  a directory                                 pw.ecut=60    a nested port
//! old=remote:c:/d  a directory on a computer
//! metadata.options.queue_name=debug                            what is not an input
//! ```
//!
//! Everything that is wrong is said at once, by port. What only the plugin can judge comes after, from the
//! profile's owner.

mod content;
mod document;
mod each;
mod gather;
mod like;
mod metadata;
mod reading;
mod word;
mod write;

use std::path::{Path, PathBuf};

use ferry_engine::{
    process::{self, InputValue, Launch},
    store::{FileContent, NodeId, Objects, Reader},
};
use ferry_plugin_proto::{Problem, ProcessType, Value};

use self::gather::Gathered;
pub(crate) use self::{
    each::{Line, each, problems_by_line},
    reading::Reading,
    write::{References, document_of},
};
use crate::{
    error::{Failure, Result},
    yaml::{self, Document},
};

/// The description, by the user, of a process to start.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// Full name of the type, or an alias.
    pub(crate) process_type: String,
    /// A process whose inputs and metadata are taken, unless others are given.
    pub(crate) like: Option<NodeId>,
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
    /// True if no earlier results may be taken over.
    pub(crate) no_cache: bool,
    /// True if files are only written here.
    pub(crate) dry_run: bool,
}

/// Takes the files of a directory into the object repository.
///
/// # Errors
/// Fails if the directory can't be read, or has links in it (exit status 2), or if the disk is full (1).
pub(crate) fn directory(objects: &Objects, dir: &Path) -> Result<Vec<FileContent>> {
    content::directory(dir, objects).map_err(|trouble| match trouble {
        content::ContentError::Given(message) => Failure::usage(message),
        content::ContentError::Store(error) => error.into(),
    })
}

/// Makes a launch of a wish, with the files it names taken into the object repository.
///
/// # Errors
/// Fails with all problems of the wish (exit status 2), or if the disk is full (1).
pub(crate) async fn launch(reading: &Reading<'_>, wish: Wish) -> Result<Launch> {
    let template = Template::new(reading.reader(), wish)?;
    template.launch(reading, None).await?.map_err(|problems| {
        let what = format!("`{}` can't be started with these inputs", template.wish.process_type);
        Failure::problems(what, &problems).help(template.help())
    })
}

/// A wish whose type and file are known: it makes one launch, or many that differ in a few inputs.
struct Template {
    wish: Wish,
    /// Digest of the plugin that offers the type.
    plugin: String,
    process_type: ProcessType,
    document: Option<Document>,
}

impl Template {
    fn new(reader: &Reader, wish: Wish) -> Result<Template> {
        let (plugin, process_type) =
            process::find_type(reader, &wish.process_type).map_err(Failure::usage)?;
        let document = wish.file.as_deref().map(yaml::read).transpose()?;
        Ok(Template { wish, plugin: plugin.digest, process_type, document })
    }

    fn help(&self) -> String {
        format!("`ferry plugin show {}` tells what it takes", self.wish.process_type)
    }

    /// Makes the launch from all sources. The last one wins: the process given with `--like`, the file, words
    /// and options, and `own`. `own` holds the inputs of this launch alone, and the directory that paths in
    /// them are relative to.
    ///
    /// # Errors
    /// Returns the store's errors. The inner result has all problems of the wish.
    async fn launch(
        &self,
        reading: &Reading<'_>,
        own: Option<(&Value, &Path)>,
    ) -> Result<std::result::Result<Launch, Vec<Problem>>> {
        let reader = reading.reader();
        let ports = process::input_ports(&self.process_type);
        let mut gathered = Gathered::new(&ports);
        if let Some(process) = self.wish.like {
            like::gather(&mut gathered, reader, process)?;
        }
        if let Some(document) = &self.document {
            let base = document.path.parent().unwrap_or(Path::new(""));
            document::gather(&mut gathered, document.value.clone(), base);
        }
        gathered.words(&self.wish.words);
        gathered.options(&self.wish);
        if let Some((value, base)) = own {
            document::gather(&mut gathered, value.clone(), base);
        }
        let (inputs, mut metadata, problems) = gathered.finish(reading, &self.plugin).await?;
        metadata.disable_cache |= self.wish.no_cache;
        metadata.dry_run |= self.wish.dry_run;
        let groups = self.wish.groups.clone();
        let launch = Launch { process_type: self.process_type.name.clone(), inputs, metadata, groups };
        let problems = self.judged(reader, &launch, problems);
        Ok(if problems.is_empty() { Ok(launch) } else { Err(problems) })
    }

    /// Adds the problems that only the whole launch shows, by port.
    fn judged(&self, reader: &Reader, launch: &Launch, mut problems: Vec<Problem>) -> Vec<Problem> {
        let known: Vec<String> = problems.iter().map(|problem| problem.port.clone()).collect();
        let found = process::check(reader, launch);
        problems.extend(found.into_iter().filter(|problem| !known.contains(&problem.port)));
        problems.sort_by(|a, b| a.port.cmp(&b.port));
        if let Some(document) = &self.document {
            problems.iter_mut().for_each(|problem| locate(problem, document, &self.wish.words));
        }
        problems
    }
}

/// Adds the place of a problem in the file, unless a word gave the port.
fn locate(problem: &mut Problem, document: &Document, words: &[String]) {
    let by_word = words.iter().any(|word| word.split_once('=').is_some_and(|(port, _)| port == problem.port));
    if !by_word
        && !problem.port.is_empty()
        && let Some(place) = document.place(&problem.port)
    {
        problem.message.push_str(&format!(" ({place})"));
    }
}

/// Makes a new node whose type the port decides.
fn plain(value: Value) -> InputValue {
    InputValue::New { data_type: None, value, files: Vec::new() }
}

fn problem(port: &str, message: impl Into<String>) -> Problem {
    Problem { port: port.to_owned(), message: message.into() }
}
