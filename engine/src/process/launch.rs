//! Launching: turns a user's request into the rows of a new process, or into the list of all its problems.

mod ask;
mod directives;
mod examine;
mod resolve_inputs;
mod resources;

use std::collections::BTreeMap;

use ferry_plugin_proto::{Kind, Problem, ProcessType, Value, to_value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use self::{ask::lent, examine::Examined};
use self::{
    ask::{ask_all, with_told},
    examine::examine,
    resolve_inputs::Resolved,
};
use crate::{
    caching::{
        Ingredients,
        fingerprint::{new_digest, stored_digest},
        rules::NO_CACHE,
    },
    ids,
    owner::Context,
    spec::{IMPORTED, MONITORS, Unstash, is_workflow, parser::PARSER, ports::active_plugins},
    store::{Caller, Change, FileContent, LinkType, NewProcess, Reader},
};

/// A request to launch a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Full name of the type, or an alias.
    pub process_type: String,
    /// Inputs by dotted port.
    pub inputs: BTreeMap<String, InputValue>,
    /// The options and labels that are not inputs.
    #[serde(default)]
    pub metadata: Metadata,
    /// Labels of groups that the process joins; missing ones are created.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// One input, as given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputValue {
    /// A stored node by id, uuid, unique prefix or label.
    Node(String),
    /// A code by `label` or `label@computer`.
    Code(String),
    /// A new node.
    New {
        /// Its type, if it is given; else the port's.
        #[serde(default)]
        data_type: Option<String>,
        /// Its value.
        value: Value,
        /// Its files, whose large objects are in the repository already.
        #[serde(default)]
        files: Vec<FileContent>,
    },
}

/// The part of a launch beside its inputs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Its label, for people.
    pub label: String,
    /// Its description, for people.
    pub description: String,
    /// Label of the computer a calcjob runs on.
    pub computer: Option<String>,
    /// [`Options`](crate::spec::Options) of a calcjob.
    pub options: BTreeMap<String, Value>,
    /// True if it must run itself, whatever the settings say about taking over results.
    pub disable_cache: bool,
    /// True if its files are only written on this machine, for inspection. A separate request asks for that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// A launch that was accepted: the process is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launched {
    /// Its number.
    pub id: i64,
    /// Its UUID.
    pub uuid: String,
}

/// The reason why a launch was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Everything that is wrong with it.
    Problems(Vec<Problem>),
    /// It could not be checked: the plugin or the disk failed.
    Failed {
        /// The problem.
        message: String,
        /// The next step.
        help: Option<String>,
    },
}

impl From<crate::store::Error> for Refusal {
    fn from(error: crate::store::Error) -> Self {
        Refusal::Failed { message: error.to_string(), help: error.help_text().map(str::to_owned) }
    }
}

impl From<crate::plugin::Error> for Refusal {
    fn from(error: crate::plugin::Error) -> Self {
        Refusal::Failed { message: error.to_string(), help: error.help_text().map(str::to_owned) }
    }
}

/// The process that launches another, and the name of the call.
#[derive(Debug, Clone)]
pub(crate) struct Calling<'a> {
    pub(crate) caller: Caller,
    pub(crate) uuid: Uuid,
    /// Label of the call link.
    pub(crate) label: String,
    /// The plugin file that the caller runs on.
    pub(crate) plugin: &'a str,
    /// The plugin files of the call tree.
    pub(crate) pins: &'a [String],
    /// Number of processes above it in the call tree.
    pub(crate) depth: u32,
}

/// A launch that was checked and can be committed.
#[derive(Debug)]
pub struct Prepared {
    /// The new process's UUID.
    pub uuid: Uuid,
    /// The changes to commit; the process is the first node created.
    pub changes: Vec<Change>,
}

/// Returns all problems of a launch that can be found without running the plugin. Launches nothing.
pub fn check(reader: &Reader, launch: &Launch) -> Vec<Problem> {
    examine(reader, launch, None).map_or_else(|problems| problems, |examined| examined.problems)
}

/// Checks a launch and prepares the rows of its process. The plugin's own validation runs in its host, after the
/// other checks.
///
/// # Errors
/// Returns all problems at once.
pub async fn prepare(cx: &Context, launch: Launch) -> Result<Prepared, Refusal> {
    prepare_called(cx, launch, None).await
}

/// Prepares a process that another one calls, as [`prepare`] does.
pub(crate) async fn prepare_called(
    cx: &Context,
    launch: Launch,
    calling: Option<Calling<'_>>,
) -> Result<Prepared, Refusal> {
    if launch.metadata.dry_run {
        let message =
            "a dry run starts nothing: request it with `--dry-run`, for a calcjob that no workflow calls";
        return Err(Refusal::Problems(vec![problem("metadata.dry_run", message)]));
    }
    let examined = judged(cx, &launch, calling.as_ref()).await?;
    let uuid = ids::fresh();
    // A process that takes files out of a stash for others has to run for that.
    let is_for_others = examined.options.unstash.as_ref().is_some_and(Unstash::is_for_others);
    let no_cache = launch.metadata.disable_cache || is_for_others;
    let body = body(cx, &examined, no_cache, calling.as_ref())?;
    let Examined { plugin, process_type, resolved, computer, .. } = examined;
    let hash = match is_workflow(process_type.kind) {
        true => None,
        false => Some(cache_hash(cx, &process_type, computer.as_deref(), &body, &resolved)?),
    };
    let process = NewProcess {
        uuid,
        process_type: process_type.name.clone(),
        kind: process_type.kind,
        label: launch.metadata.label,
        description: launch.metadata.description,
        plugin: plugin.digest,
        computer,
        body,
        caller: calling.as_ref().map(|calling| calling.caller.clone()),
    };
    let mut changes = changes(process, resolved, &launch.groups);
    changes.extend(hash.map(|hash| Change::CacheHash { process: uuid, hash }));
    changes.extend(calling.map(|calling| call_link(&calling, process_type.kind, uuid)));
    Ok(Prepared { uuid, changes })
}

/// Examines a launch, and asks its plugin to validate it.
pub(crate) async fn judged(
    cx: &Context,
    launch: &Launch,
    calling: Option<&Calling<'_>>,
) -> Result<Examined, Refusal> {
    let mut examined = examine(&cx.store, launch, calling).map_err(Refusal::Problems)?;
    let refused = directives::refused(cx, &examined).into_iter().chain(resources::refused(cx, &examined));
    let refused: Vec<Problem> = refused.collect();
    examined.problems.extend(refused);
    let told = ask_all(cx, &examined).await;
    let problems = match examined.problems.is_empty() {
        true => told?,
        // Problems found by the manifest are reported, even if the plugin fails.
        false => with_told(examined.problems.clone(), told.unwrap_or_default()),
    };
    if problems.is_empty() { Ok(examined) } else { Err(Refusal::Problems(problems)) }
}

/// Returns a process's metadata. A job has its options. A workflow has its plugin files, which its whole call tree
/// uses.
fn body(
    cx: &Context,
    examined: &Examined,
    no_cache: bool,
    calling: Option<&Calling<'_>>,
) -> Result<Value, Refusal> {
    let kind = examined.process_type.kind;
    let mut entries = BTreeMap::new();
    if no_cache && !is_workflow(kind) {
        entries.insert(NO_CACHE.to_owned(), Value::Bool(true));
    }
    match kind {
        Kind::CalcJob => {
            let stored = |text| Refusal::Problems(whole(text));
            entries.insert("options".to_owned(), to_value(&examined.options).map_err(stored)?);
            if !examined.watchers.is_empty() {
                entries.insert(MONITORS.to_owned(), to_value(&examined.watchers).map_err(stored)?);
            }
            if let Some(parser) = &examined.parser {
                entries.insert(PARSER.to_owned(), to_value(parser).map_err(stored)?);
            }
            if examined.imported {
                entries.insert(IMPORTED.to_owned(), Value::Bool(true));
            }
        }
        _ if is_workflow(kind) => {
            let pins = match calling {
                Some(calling) => calling.pins.to_vec(),
                None => active_plugins(&cx.store)?,
            };
            let pins: Vec<Value> = pins.into_iter().map(Value::Str).collect();
            entries.insert(PINS.to_owned(), pins.into());
            entries.extend(calling.map(|calling| (DEPTH.to_owned(), i64::from(calling.depth).into())));
        }
        _ => {}
    }
    Ok(Value::Map(entries))
}

/// Returns the digest of everything that a calculation's results depend on.
fn cache_hash(
    cx: &Context,
    process_type: &ProcessType,
    computer: Option<&str>,
    body: &Value,
    resolved: &BTreeMap<String, Resolved>,
) -> crate::store::Result<String> {
    let mut all = Ingredients::of_type(process_type, computer, body.get("options"));
    for (port, input) in resolved {
        let digest = match &input.new {
            Some(new) => new_digest(&new.data_type, &new.body, new.computer.as_deref(), &new.files),
            None => stored_digest(&cx.store, &cx.store.find_node(&input.uuid.to_string())?)?,
        };
        all.input(port, digest);
    }
    Ok(all.digest())
}

/// The entry of a workflow's body that lists the plugin files of its call tree.
pub(crate) const PINS: &str = "pins";

/// The entry of a called workflow's body with the number of processes above it.
pub(crate) const DEPTH: &str = "depth";

fn call_link(calling: &Calling<'_>, kind: Kind, target: Uuid) -> Change {
    let link_type = if is_workflow(kind) { LinkType::CallWork } else { LinkType::CallCalc };
    Change::Link { source: calling.uuid, target, link_type, label: calling.label.clone() }
}

fn changes(process: NewProcess, resolved: BTreeMap<String, Resolved>, groups: &[String]) -> Vec<Change> {
    let target = process.uuid;
    let link_type = if is_workflow(process.kind) { LinkType::InputWork } else { LinkType::InputCalc };
    let mut changes = vec![Change::Process(process)];
    for (port, input) in resolved {
        changes.extend(input.new.map(Change::Data));
        changes.push(Change::Link { source: input.uuid, target, link_type, label: port });
    }
    for label in groups {
        changes.push(Change::Group { label: label.clone(), description: String::new(), if_missing: true });
        changes.push(Change::Member { group: label.clone(), node: target });
    }
    changes
}

pub(crate) fn problem(port: &str, message: impl Into<String>) -> Problem {
    Problem { port: port.to_owned(), message: message.into() }
}

/// Joins problems in one line.
pub(crate) fn in_words(problems: Vec<Problem>) -> String {
    let told = problems.into_iter().map(|problem| match problem.port.as_str() {
        "" => problem.message,
        port => format!("{port}: {}", problem.message),
    });
    told.collect::<Vec<_>>().join("; ")
}

fn whole(message: String) -> Vec<Problem> {
    vec![problem("", message)]
}
