//! Launching: from what a user asked for to the rows of a new process, or to everything that is wrong with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use ferry_plugin_proto::{Inputs, Kind, Node as PluginNode, Problem, ProcessType, Validate, Value, to_value};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    Ingredients, Options,
    caching::NO_CACHE,
    coerce, find_type, foreign,
    identity::{new_digest, stored_digest},
    interface::find_called_type,
    monitors::{MONITORS, Watcher, ask_monitors, input_ports, is_monitor, read_monitors},
    parser::{PARSER, Parser},
    spec::{FlatPort, active_plugins, find_pinned_type, flatten, judge, lookup, offering, unknown_port},
    stash::{Unstash, check_unstash},
};
use crate::{
    calcjob::{FOLDER, IMPORTED, for_plugin, lend},
    ids,
    node::{check_typed_body, with_version},
    runner::Context,
    store::{
        Caller, Change, FileContent, LinkType, NewData, NewProcess, NodeKind, PluginRow, Reader,
        label_problem,
    },
};

/// A request to start a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Full name of the type, or an alias.
    pub process_type: String,
    /// Inputs by dotted port.
    pub inputs: BTreeMap<String, InputValue>,
    /// What is not an input.
    #[serde(default)]
    pub metadata: Metadata,
    /// Labels of groups that the process joins; made if missing.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// One input as it is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputValue {
    /// A stored node by id, uuid, unique prefix or label.
    Node(String),
    /// A code by `label` or `label@computer`.
    Code(String),
    /// A new node.
    New {
        /// Its type, if the giver knows it; else the port's.
        #[serde(default)]
        data_type: Option<String>,
        /// Its value.
        value: Value,
        /// Its files, whose large objects are in the repository already.
        #[serde(default)]
        files: Vec<FileContent>,
    },
}

/// What a launch says beside its inputs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// For people.
    pub label: String,
    /// For people.
    pub description: String,
    /// Label of the computer a calcjob runs on.
    pub computer: Option<String>,
    /// [`Options`] of a calcjob.
    pub options: BTreeMap<String, Value>,
    /// Whether it runs itself, whatever the settings say about taking over results.
    pub disable_cache: bool,
    /// Whether its files are only written here, to be looked at. A request of its own asks for that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// A launch that was taken: the process is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launched {
    /// Its number.
    pub id: i64,
    /// Its name everywhere.
    pub uuid: String,
}

/// Why a launch was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Everything that is wrong with it.
    Problems(Vec<Problem>),
    /// It could not be judged: the plugin or the disk failed.
    Failed {
        /// What happened.
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

/// The process that launches another, and as what.
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
    /// How many processes there are above it in the call tree.
    pub(crate) depth: u32,
}

/// A launch that was checked and can be committed.
#[derive(Debug)]
pub struct Prepared {
    /// The new process's name.
    pub uuid: Uuid,
    /// What to commit; the process is the first node made.
    pub changes: Vec<Change>,
}

/// An input that was resolved: an existing node, or a new one, and what the plugin sees of it.
pub(super) struct Resolved {
    pub(super) uuid: Uuid,
    pub(super) new: Option<NewData>,
    pub(super) data_type: String,
    pub(super) value: Value,
    computer: Option<String>,
}

/// What a launch means, as far as it can be said without running the plugin.
pub(super) struct Examined {
    pub(super) plugin: PluginRow,
    pub(super) process_type: ProcessType,
    pub(super) resolved: BTreeMap<String, Resolved>,
    pub(super) computer: Option<String>,
    pub(super) options: Options,
    /// Who parses, if not the type itself.
    parser: Option<Parser>,
    /// Whether a run that is over is only imported.
    pub(super) imported: bool,
    /// Who looks at its job.
    watchers: Vec<Watcher>,
    problems: Vec<Problem>,
}

/// Everything that is wrong with a launch, as far as it can be said without running the plugin. Starts nothing.
pub fn check(reader: &Reader, launch: &Launch) -> Vec<Problem> {
    examine(reader, launch, None).map_or_else(|problems| problems, |examined| examined.problems)
}

/// Checks a launch and makes the rows of its process. The plugin's own validation runs last, in its host.
///
/// # Errors
/// Everything that is wrong, at once.
pub async fn prepare(cx: &Context, launch: Launch) -> Result<Prepared, Refusal> {
    prepare_called(cx, launch, None).await
}

/// The same for a process that another one calls.
pub(crate) async fn prepare_called(
    cx: &Context,
    launch: Launch,
    calling: Option<Calling<'_>>,
) -> Result<Prepared, Refusal> {
    if launch.metadata.dry_run {
        let message =
            "a dry run starts nothing: ask for it with `--dry-run`, for a calcjob that nobody calls";
        return Err(Refusal::Problems(vec![problem("metadata.dry_run", message)]));
    }
    let examined = judged(cx, &launch, calling.as_ref()).await?;
    let uuid = ids::fresh();
    // Where it takes something out of a stash for others, that is what it is run for.
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

/// Looks at a launch, and lets its plugin look.
pub(super) async fn judged(
    cx: &Context,
    launch: &Launch,
    calling: Option<&Calling<'_>>,
) -> Result<Examined, Refusal> {
    let examined = examine(&cx.store, launch, calling).map_err(Refusal::Problems)?;
    let told = ask_all(cx, &examined).await;
    let problems = match examined.problems.is_empty() {
        true => told?,
        // What the types forbid is said, whatever becomes of the plugin.
        false => with_told(examined.problems.clone(), told.unwrap_or_default()),
    };
    if problems.is_empty() { Ok(examined) } else { Err(Refusal::Problems(problems)) }
}

/// What the plugin says of the inputs, and what those who will look at the job say of theirs.
async fn ask_all(cx: &Context, examined: &Examined) -> Result<Vec<Problem>, Refusal> {
    let mut told = ask_plugin(cx, examined).await?;
    told.extend(ask_monitors(cx, &examined.watchers).await?);
    Ok(told)
}

/// A process's metadata: a job's options; a workflow's plugin files, on which its whole call tree stays.
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

/// The digest of all that a calculation's results depend on.
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

/// The entry of a called workflow's body that says how many processes there are above it.
pub(crate) const DEPTH: &str = "depth";

/// Whether a process of this kind calls others.
pub(crate) fn is_workflow(kind: Kind) -> bool {
    matches!(kind, Kind::WorkChain | Kind::WorkFunction)
}

fn call_link(calling: &Calling<'_>, kind: Kind, target: Uuid) -> Change {
    let link_type = if is_workflow(kind) { LinkType::CallWork } else { LinkType::CallCalc };
    Change::Link { source: calling.uuid, target, link_type, label: calling.label.clone() }
}

fn examine(
    reader: &Reader,
    launch: &Launch,
    calling: Option<&Calling<'_>>,
) -> Result<Examined, Vec<Problem>> {
    let found = match calling {
        Some(calling) => find_called_type(reader, &launch.process_type, calling.plugin, calling.pins),
        None => find_type(reader, &launch.process_type),
    };
    let (plugin, process_type) = found.map_err(whole)?;
    if process_type.kind == Kind::Unknown {
        return Err(whole(format!(
            "`{}` is a {}, which this version of ferry can't run yet",
            process_type.name,
            process_type.kind.as_str()
        )));
    }
    let mut problems = Vec::new();
    let link_label = calling.and_then(|calling| label_problem(&calling.label));
    problems.extend(link_label.map(|message| problem("metadata.call_link_label", message)));
    let ports = input_ports(&process_type);
    let imported = launch.inputs.contains_key(FOLDER) && is_import_port(&process_type);
    let resolved = resolve_inputs(reader, &plugin.digest, &ports, launch, imported, &mut problems);
    let computer =
        choose_computer(reader, &process_type, &launch.metadata, &resolved, imported, &mut problems);
    let said = process_type.options.iter().chain(&launch.metadata.options);
    let said: BTreeMap<String, Value> = said.map(|(key, value)| (key.clone(), value.clone())).collect();
    let options = Options::read(&said, &mut problems);
    let parser = choose_parser(reader, &process_type, &options, &resolved, calling, &mut problems);
    let inputs = resolved.values().map(|input| (input.data_type.as_str(), input.computer.as_deref()));
    let watchers = examine_monitors(reader, &process_type, &resolved, calling, &mut problems);
    problems.extend(check_unstash(options.unstash.as_ref(), inputs, computer.as_deref()));
    if process_type.kind != Kind::CalcJob && !launch.metadata.options.is_empty() {
        problems.push(problem("metadata.options", "only a calcjob has options"));
    }
    Ok(Examined { plugin, process_type, resolved, computer, options, parser, imported, watchers, problems })
}

/// What is wrong by the manifest, and what the plugin says beside it: nothing of ports, or of namespaces around ports,
/// that it was not given because they are wrong already.
fn with_told(mut problems: Vec<Problem>, told: Vec<Problem>) -> Vec<Problem> {
    let is_known = |told: &Problem| {
        let below = format!("{}.", told.port);
        let known = |problem: &Problem| problem.port == told.port || problem.port.starts_with(&below);
        told.port.is_empty() || problems.iter().any(known)
    };
    let told: Vec<Problem> = told.into_iter().filter(|told| !is_known(told)).collect();
    problems.extend(told);
    problems
}

/// Whether the input `remote_folder` means an import: it does where the type has no such port of its own.
fn is_import_port(process_type: &ProcessType) -> bool {
    process_type.kind == Kind::CalcJob && lookup(&flatten(&process_type.inputs), FOLDER).is_none()
}

fn choose_parser(
    reader: &Reader,
    process_type: &ProcessType,
    options: &Options,
    resolved: &BTreeMap<String, Resolved>,
    calling: Option<&Calling<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<Parser> {
    let name = options.parser_name.as_deref()?;
    if name == process_type.name || process_type.aliases.iter().any(|alias| alias == name) {
        return None;
    }
    let found = match calling {
        Some(calling) => find_pinned_type(reader, name, calling.pins),
        None => find_type(reader, name),
    };
    let given = resolved.iter().map(|(port, input)| (port.as_str(), input.data_type.as_str())).collect();
    Parser::choose(found, &given).map_err(|problem| problems.push(problem)).ok()
}

fn examine_monitors(
    reader: &Reader,
    process_type: &ProcessType,
    resolved: &BTreeMap<String, Resolved>,
    calling: Option<&Calling<'_>>,
    problems: &mut Vec<Problem>,
) -> Vec<Watcher> {
    if process_type.kind != Kind::CalcJob || !resolved.keys().any(|name| is_monitor(name)) {
        return Vec::new();
    }
    let inputs = resolved.iter().map(|(name, input)| (name.as_str(), &input.value));
    match offering(reader, calling.map(|calling| calling.pins)) {
        Ok(plugins) => read_monitors(&plugins, inputs, problems),
        Err(message) => {
            problems.push(problem(MONITORS, message));
            Vec::new()
        }
    }
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

pub(super) fn problem(port: &str, message: impl Into<String>) -> Problem {
    Problem { port: port.to_owned(), message: message.into() }
}

/// Problems in one line.
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

fn resolve_inputs(
    reader: &Reader,
    plugin: &str,
    ports: &BTreeMap<String, FlatPort>,
    launch: &Launch,
    imported: bool,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Resolved> {
    let mut resolved = BTreeMap::new();
    for (name, given) in &launch.inputs {
        let Some(port) = lookup(ports, name) else {
            problems.push(unknown_port(name, ports));
            continue;
        };
        if let Some(message) = label_problem(name) {
            problems.push(problem(name, message));
            continue;
        }
        match resolve(reader, port, given, plugin) {
            Ok(input) => drop(resolved.insert(name.clone(), input)),
            Err(message) => problems.push(problem(name, message)),
        }
    }
    add_defaults(ports, launch, &mut resolved, problems);
    if imported {
        // A run that is over needs no code.
        let is_code = |name: &str| ports.get(name).is_some_and(|port| port.port.types == ["code"]);
        problems.retain(|problem| launch.inputs.contains_key(&problem.port) || !is_code(&problem.port));
    }
    resolved
}

fn add_defaults(
    ports: &BTreeMap<String, FlatPort>,
    launch: &Launch,
    resolved: &mut BTreeMap<String, Resolved>,
    problems: &mut Vec<Problem>,
) {
    for (name, port) in ports.iter().filter(|(_, port)| !port.dynamic) {
        if launch.inputs.contains_key(name) {
            continue;
        }
        match &port.port.default {
            Some(default) => match coerce(&port.port.types, None, default.clone()) {
                Ok((data_type, value)) => {
                    drop(resolved.insert(name.clone(), new_input(data_type, value, Vec::new())))
                }
                Err(message) => {
                    problems.push(problem(name, format!("the type's own default is wrong: {message}")))
                }
            },
            None if port.required => {
                let types =
                    if port.port.types.is_empty() { "any".into() } else { port.port.types.join(" or ") };
                problems.push(problem(name, format!("required, but not given ({types})")));
            }
            None => {}
        }
    }
}

fn new_input(data_type: String, value: Value, files: Vec<FileContent>) -> Resolved {
    let uuid = ids::fresh();
    let new = NewData {
        uuid,
        data_type: data_type.clone(),
        label: String::new(),
        description: String::new(),
        body: value.clone(),
        files,
        computer: None,
    };
    Resolved { uuid, new: Some(new), data_type, value, computer: None }
}

impl Resolved {
    fn on(mut self, computer: Option<String>) -> Self {
        if let Some(new) = &mut self.new {
            new.computer.clone_from(&computer);
        }
        Resolved { computer, ..self }
    }
}

fn resolve(reader: &Reader, port: &FlatPort, given: &InputValue, plugin: &str) -> Result<Resolved, String> {
    let types = &port.port.types;
    let node = match given {
        InputValue::New { data_type, value, files } => {
            if let Some(name) = data_type
                && !types.contains(name)
                && !known_type(name)
            {
                return Err(format!("`{name}` is no value type that ferry knows"));
            }
            let (data_type, value) = coerce(types, data_type.as_deref(), value.clone())?;
            let value = with_version(reader, &data_type, value, plugin).map_err(|error| error.to_string())?;
            check_typed_body(reader, &data_type, &value, files.len())?;
            judge(&port.port, &value)?;
            let computer = place_of(reader, &data_type, &value)?;
            return Ok(new_input(data_type, value, files.clone()).on(computer));
        }
        InputValue::Node(name) => reader.find_node(name).map_err(|error| error.to_string())?,
        InputValue::Code(name) => reader.find_code(name).map_err(|error| error.to_string())?,
    };
    if node.kind != NodeKind::Data {
        return Err(format!("node {} is a process, not data; name one of its outputs", node.id));
    }
    let (data_type, value) = coerce(types, Some(&node.node_type), node.body.clone())?;
    judge(&port.port, &value)?;
    if data_type != node.node_type {
        // An int where a float is wanted: a new node, since stored ones never change.
        return Ok(new_input(data_type, value, Vec::new()));
    }
    Ok(Resolved { uuid: node.uuid, new: None, data_type, value, computer: node.computer })
}

/// The computer of a new node that lies on one.
fn place_of(reader: &Reader, data_type: &str, value: &Value) -> Result<Option<String>, String> {
    if data_type != "remote_folder" {
        return Ok(None);
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    if !text("path").starts_with('/') {
        return Err(format!("the path `{}` is not absolute", text("path")));
    }
    let row = reader.computer(text("computer")).map_err(|error| error.to_string())?;
    Ok(Some(row.config.label))
}

/// Types that are spelled `library.name` belong to somebody; plain words are the engine's.
fn known_type(name: &str) -> bool {
    name.contains('.') || crate::node::BASE_TYPES.contains(&name)
}

fn choose_computer(
    reader: &Reader,
    process_type: &ProcessType,
    metadata: &Metadata,
    resolved: &BTreeMap<String, Resolved>,
    imported: bool,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    if process_type.kind != Kind::CalcJob {
        if metadata.computer.is_some() {
            problems.push(problem("metadata.computer", "only a calcjob runs on a computer"));
        }
        return None;
    }
    let codes: BTreeSet<&str> = resolved
        .values()
        .filter(|input| input.data_type == "code")
        .filter_map(|input| input.computer.as_deref())
        .collect();
    let wanted = metadata.computer.as_deref();
    if imported {
        return import_computer(wanted, resolved.get(FOLDER)?, problems);
    }
    if codes.len() > 1 || wanted.is_some_and(|wanted| codes.iter().any(|code| *code != wanted)) {
        let places = codes.iter().copied().collect::<Vec<_>>().join(", ");
        let message = format!("the codes are on {places}; a job runs on one computer");
        problems.push(problem("metadata.computer", message));
        return None;
    }
    let label = wanted.or(codes.first().copied()).unwrap_or("localhost");
    match reader.computer(label) {
        Ok(row) => Some(row.config.label),
        Err(error) => {
            let help = error.help_text().map(|help| format!("; {help}")).unwrap_or_default();
            problems.push(problem("metadata.computer", format!("{error}{help}")));
            None
        }
    }
}

/// An import happens where the folder is.
fn import_computer(wanted: Option<&str>, folder: &Resolved, problems: &mut Vec<Problem>) -> Option<String> {
    let label = folder.value.get("computer").and_then(Value::as_str)?;
    if wanted.is_some_and(|wanted| wanted != label) {
        let message = format!("the folder to import is on `{label}`: leave the computer out");
        problems.push(problem("metadata.computer", message));
    }
    Some(label.to_owned())
}

async fn ask_plugin(cx: &Context, examined: &Examined) -> Result<Vec<Problem>, Refusal> {
    let mut folder = None;
    let inputs = lent(cx, examined, &mut folder)?;
    let new = examined.resolved.iter().filter(|(_, input)| input.new.is_some());
    let new = new.map(|(port, _)| port.as_str());
    let foreign = foreign::ask(cx, &examined.plugin, &examined.process_type, &inputs, new).await?;
    let request = Validate { process_type: examined.process_type.name.clone(), inputs };
    let mut problems = cx.validate(&examined.plugin.digest, &request).await?.problems;
    problems.extend(foreign);
    Ok(problems)
}

/// The inputs as the plugin sees them.
pub(super) fn lent(
    cx: &Context,
    examined: &Examined,
    folder: &mut Option<TempDir>,
) -> crate::store::Result<Inputs> {
    let mut inputs = Inputs::new();
    let is_its_own = |name: &str| examined.process_type.kind != Kind::CalcJob || !is_monitor(name);
    for (port, input) in examined.resolved.iter().filter(|(port, _)| is_its_own(port)) {
        let files = lend_files(cx, port, input, folder)?;
        let uuid = input.uuid.to_string();
        let value = input.value.clone();
        inputs.insert(port.clone(), PluginNode { uuid, data_type: input.data_type.clone(), value, files });
    }
    if examined.imported {
        for_plugin(&examined.process_type, &mut inputs);
    }
    Ok(inputs)
}

/// The files of an input, where the plugin can read them. The folder is made for the first that has any.
fn lend_files(
    cx: &Context,
    port: &str,
    input: &Resolved,
    folder: &mut Option<TempDir>,
) -> crate::store::Result<BTreeMap<String, String>> {
    let mut place = || -> crate::store::Result<PathBuf> {
        let made = match folder.take() {
            Some(made) => made,
            None => cx.scratch("validate")?,
        };
        Ok(folder.insert(made).path().join(port))
    };
    match &input.new {
        Some(new) if new.files.is_empty() => Ok(BTreeMap::new()),
        Some(new) => lend::new_files(&cx.store, &new.files, &place()?),
        None => {
            let node = cx.store.find_node(&input.uuid.to_string())?;
            if cx.store.files(node.id)?.is_empty() {
                return Ok(BTreeMap::new());
            }
            lend::node_files(&cx.store, node.id, &place()?)
        }
    }
}
