//! Processes and nodes as people and scripts see them. The keys of the JSON are a contract.

use std::collections::BTreeMap;

use ferry_engine::{
    calcjob::{self, Explanation, IMPORTED},
    computer::Computer,
    owner::{RetryPlan, Settings},
    process::State,
    store::{Content, HostRow, Link, LinkType, Node, NodeId, NodeKind, Process, Reader},
};
use ferry_plugin_proto::{Kind, Value};
use jiff::{Timestamp, Unit, tz::TimeZone};
use serde_json::{Map, json};

use crate::{
    error::{Failure, Result},
    printable::one_line,
};

/// Largest value that is shown inside a process, bytes of JSON.
const VALUE_MAX: usize = 4096;
/// Longest value in a table, characters.
const LINE_MAX: usize = 72;
/// Maximum number of bytes that are shown of a failed job's stderr.
const STDERR_TAIL: usize = 2000;

/// Formats a time in RFC 3339, with the offset of this machine.
pub(crate) fn time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
}

/// Describes the age in a word: `12s`, `5m`, `3h`, `2d`.
pub(crate) fn age(since: Timestamp) -> String {
    let seconds =
        Timestamp::now().since(since).and_then(|span| span.total(Unit::Second)).unwrap_or(0.0).max(0.0)
            as u64;
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..86400 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86400),
    }
}

/// Describes a state in a few words: `finished [0]`, `waiting, paused`.
pub(crate) fn state(process: &Process) -> String {
    let mut text = process.state.as_str().to_owned();
    if let (State::Finished, Some(status)) = (process.state, process.end.status) {
        text.push_str(&format!(" [{status}]"));
    }
    if !process.state.is_terminal() {
        if process.wishes.paused {
            text.push_str(", paused");
        }
        if process.wishes.kill {
            text.push_str(", to be killed");
        }
    }
    text
}

/// Describes a process by id and type: `process 12 (arithmetic.add_job)`.
pub(crate) fn title(process: &Process) -> String {
    format!("process {} ({})", process.id, process.process_type)
}

/// Returns the reason why a process waits, or the message of its end.
pub(crate) fn status(process: &Process) -> Option<&str> {
    if process.state.is_terminal() { process.end.message.as_deref() } else { process.status.as_deref() }
}

/// Finds a process by id, uuid, unique uuid prefix or label.
///
/// # Errors
/// Fails if the name is not found, is ambiguous, or names data.
pub(crate) fn find_process(reader: &Reader, name: &str) -> Result<Process> {
    let node = reader.find_node(name)?;
    match node.kind {
        NodeKind::Process => Ok(reader.process(node.id)?),
        NodeKind::Data => {
            Err(Failure::new(format!("node {} is data (`{}`), not a process", node.id, node.node_type))
                .help(format!("`ferry node show {}` shows it", node.id)))
        }
    }
}

/// Returns a process as JSON; with its inputs, outputs, callers and callees if `detailed`.
///
/// # Errors
/// Returns the store's errors.
pub(crate) fn process_json(reader: &Reader, process: &Process, detailed: bool) -> Result<serde_json::Value> {
    process_json_with(reader, &Explainer::new(reader)?, process, detailed)
}

/// Returns the same for one of many.
///
/// # Errors
/// Returns the store's errors.
pub(crate) fn process_json_with(
    reader: &Reader,
    explainer: &Explainer,
    process: &Process,
    detailed: bool,
) -> Result<serde_json::Value> {
    let live = !process.state.is_terminal();
    let explained = explainer.explain(process).unwrap_or_default();
    let mut value = json!({
        "id": process.id,
        "uuid": process.uuid,
        "process_type": process.process_type,
        "kind": process.kind.as_str(),
        "label": process.label,
        "description": process.description,
        "state": process.state.as_str(),
        "paused": process.wishes.paused && live,
        "kill_requested": process.wishes.kill && live,
        "exit_code": process.end.status,
        "exit_message": process.end.message,
        "created": time(process.created),
        "modified": time(process.modified),
        "waiting_for": explained.waiting_for,
        "waiting_since": explained.since.map(time),
        "attempt": explained.attempt,
        "max_attempts": explained.max_attempts,
        "next_try": explained.next_try.map(time),
        "last_error": explained.last_error,
        "next": live.then_some(explained.next),
        "computer": process.computer(),
        "job_id": process.job_id(),
        "scheduler_state": process.scheduler_state(),
        "work_dir": process.work_dir(),
        "plugin": process.plugin,
        "cached_from": reader.cache_entry(process.id)?.and_then(|entry| entry.taken_from),
    });
    if detailed && let Some(map) = value.as_object_mut() {
        add_details(reader, process, map)?;
    }
    Ok(value)
}

/// Describes a process by its uuid, as people see it: by its id, if it still exists.
pub(crate) fn origin(reader: &Reader, uuid: &str) -> String {
    match reader.find_node(uuid) {
        Ok(node) => format!("process {} ({uuid})", node.id),
        Err(_) => format!("a process that was deleted ({uuid})"),
    }
}

/// Explains processes: what they wait for, what was retried, and what happens next. Asks the store once for many.
pub(crate) struct Explainer {
    hosts: BTreeMap<String, HostRow>,
    plans: BTreeMap<String, RetryPlan>,
    plan: RetryPlan,
}

impl Explainer {
    /// Reads the present state that explanations depend on.
    ///
    /// # Errors
    /// Returns the store's errors.
    pub(crate) fn new(reader: &Reader) -> Result<Explainer> {
        let settings = Settings::read(reader)?;
        let computers = reader.computers()?.into_iter().map(|row| row.config);
        let plan = |config: Computer| (config.label.clone(), RetryPlan::of(&settings, Some(&config)));
        Ok(Explainer {
            hosts: reader.hosts()?,
            plans: computers.map(plan).collect(),
            plan: RetryPlan::of(&settings, None),
        })
    }

    /// Explains the state of a process; `None` for one that has ended.
    pub(crate) fn explain(&self, process: &Process) -> Option<Explanation> {
        let label = process.computer().unwrap_or_default();
        let host = self.hosts.get(label).cloned().unwrap_or_default();
        calcjob::explain(process, &host, self.plans.get(label).unwrap_or(&self.plan))
    }

    /// Returns the reason why a process waits, or the message of its end.
    pub(crate) fn status(&self, process: &Process) -> Option<String> {
        match self.explain(process) {
            Some(told) => told.waiting_for,
            None => process.end.message.clone(),
        }
    }
}

fn add_details(reader: &Reader, process: &Process, map: &mut Map<String, serde_json::Value>) -> Result {
    map.insert("inputs".into(), ports(reader, &inputs(reader, process.id)?)?);
    map.insert("outputs".into(), ports(reader, &outputs(reader, process.id)?)?);
    let mut called = Vec::new();
    for child in children(reader, process.id)? {
        called.push(brief(&child));
    }
    map.insert("called".into(), called.into());
    let caller = caller(reader, process.id)?;
    map.insert("caller".into(), caller.as_ref().map_or(serde_json::Value::Null, brief));
    if process.kind == Kind::CalcJob {
        let imported = reader.node(process.id)?.body.get(IMPORTED) == Some(&Value::Bool(true));
        map.insert("imported".into(), imported.into());
    }
    if process.kind == Kind::CalcJob && process.is_failed() {
        map.insert("scheduler_stderr".into(), scheduler_stderr(reader, process)?.into());
    }
    Ok(())
}

fn brief(process: &Process) -> serde_json::Value {
    json!({
        "id": process.id,
        "uuid": process.uuid,
        "process_type": process.process_type,
        "label": process.label,
        "state": process.state.as_str(),
        "exit_code": process.end.status,
    })
}

fn ports(reader: &Reader, nodes: &[(String, Node)]) -> Result<serde_json::Value> {
    let mut map = Map::new();
    for (label, node) in nodes {
        map.insert(label.clone(), node_json(reader, node)?);
    }
    Ok(map.into())
}

/// Returns a data node as JSON: `id`, `uuid`, `type`, `value`. A value above 4 kB is null, and `size` is its
/// size.
///
/// # Errors
/// Returns the store's errors.
pub(crate) fn node_json(reader: &Reader, node: &Node) -> Result<serde_json::Value> {
    let mut map = json!({ "id": node.id, "uuid": node.uuid, "type": node.node_type });
    let text = serde_json::to_string(&node.body).unwrap_or_default();
    if text.len() > VALUE_MAX {
        map["value"] = serde_json::Value::Null;
        map["size"] = text.len().into();
    } else {
        map["value"] = serde_json::from_str(&text).unwrap_or_default();
    }
    let files = reader.files(node.id)?;
    if !files.is_empty() {
        map["files"] = files.iter().map(|file| file.path.as_str()).collect();
    }
    Ok(map)
}

/// Describes a data node in one short line: its value, or the beginning of its only file if that is a short
/// text.
pub(crate) fn value_line(reader: &Reader, node: &Node) -> String {
    let field = |name| node.body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let text = match (&node.body, node.node_type.as_str()) {
        (Value::Str(text), _) => text.clone(),
        (_, "file") => match small_text(reader, node) {
            Some(text) => format!("{}: {text}", field("filename")),
            None => field("filename"),
        },
        (_, "remote_folder" | "remote_stash") => field("path"),
        (_, "folder") | (Value::Null, _) => {
            let files = reader.files(node.id).unwrap_or_default();
            files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>().join(", ")
        }
        (body, _) => serde_json::to_string(body).unwrap_or_default(),
    };
    one_line(text.trim_end(), LINE_MAX)
}

fn small_text(reader: &Reader, node: &Node) -> Option<String> {
    let files = reader.files(node.id).ok()?;
    let [file] = files.as_slice() else { return None };
    match reader.object(&file.digest).ok()? {
        Content::Inline(bytes) if bytes.len() <= VALUE_MAX => String::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// Returns a process's inputs by port.
///
/// # Errors
/// Returns the store's errors.
pub(crate) fn inputs(reader: &Reader, process: NodeId) -> Result<Vec<(String, Node)>> {
    let links = reader.incoming(process)?;
    linked(reader, links, &[LinkType::InputCalc, LinkType::InputWork], |link| link.source)
}

/// Returns a process's outputs by port.
///
/// # Errors
/// Returns the store's errors.
pub(crate) fn outputs(reader: &Reader, process: NodeId) -> Result<Vec<(String, Node)>> {
    let links = reader.outgoing(process)?;
    linked(reader, links, &[LinkType::Create, LinkType::Return], |link| link.target)
}

fn linked(
    reader: &Reader,
    links: Vec<Link>,
    types: &[LinkType],
    end: impl Fn(&Link) -> NodeId,
) -> Result<Vec<(String, Node)>> {
    let links = links.into_iter().filter(|link| types.contains(&link.link_type));
    links.map(|link| Ok((link.label.clone(), reader.node(end(&link))?))).collect()
}

/// Returns the processes that a process called.
///
/// # Errors
/// Returns the store's errors.
pub(crate) fn children(reader: &Reader, process: NodeId) -> Result<Vec<Process>> {
    let calls = reader.outgoing(process)?.into_iter().filter(|link| is_call(link.link_type));
    let mut ids: Vec<NodeId> = calls.map(|link| link.target).collect();
    ids.sort();
    ids.into_iter().map(|id| Ok(reader.process(id)?)).collect()
}

fn caller(reader: &Reader, process: NodeId) -> Result<Option<Process>> {
    let call = reader.incoming(process)?.into_iter().find(|link| is_call(link.link_type));
    call.map(|link| Ok(reader.process(link.source)?)).transpose()
}

fn is_call(link: LinkType) -> bool {
    matches!(link, LinkType::CallCalc | LinkType::CallWork)
}

/// Returns the end of the scheduler's stderr for a job; `None` if it was not retrieved.
///
/// # Errors
/// Returns the store's errors.
pub(crate) fn scheduler_stderr(reader: &Reader, process: &Process) -> Result<Option<String>> {
    let name = option(&reader.node(process.id)?, "scheduler_stderr");
    let retrieved = outputs(reader, process.id)?.into_iter().find(|(label, _)| label == "retrieved");
    let (Some(name), Some((_, retrieved))) = (name, retrieved) else { return Ok(None) };
    let Some(file) = reader.files(retrieved.id)?.into_iter().find(|file| file.path == name) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut reader.open_object(&file.digest)?, &mut bytes)?;
    Ok(Some(tail(&bytes).to_owned()).filter(|text| !text.is_empty()))
}

fn tail(bytes: &[u8]) -> String {
    let text =
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(STDERR_TAIL)..]).trim_end().to_owned();
    match text.split_once('\n') {
        // The first line was cut somewhere.
        Some((_, whole)) if bytes.len() > STDERR_TAIL => whole.to_owned(),
        _ => text,
    }
}

/// Returns an option of a calcjob as text, from its node.
pub(crate) fn option(node: &Node, key: &str) -> Option<String> {
    node.body.get("options")?.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use ferry_engine::store::{
        Attempts, Body, Change, End, NewData, NewProcess, Objects, SqliteStore, Store, Wishes,
    };

    use super::*;

    fn process(state: State, exit_status: Option<u32>) -> Process {
        Process {
            id: NodeId(12),
            uuid: uuid::Uuid::nil(),
            process_type: "arithmetic.add_job".into(),
            kind: Kind::CalcJob,
            label: String::new(),
            description: String::new(),
            state,
            wishes: Wishes { paused: true, ..Wishes::default() },
            plugin: "d".into(),
            status: Some("a job".into()),
            end: End { status: exit_status, message: None },
            version: 0,
            created: Timestamp::UNIX_EPOCH,
            modified: Timestamp::UNIX_EPOCH,
            body: Body::of(Kind::CalcJob),
            caller: None,
            call: None,
            root: NodeId(1),
            attempts: Attempts::default(),
            crashes: 0,
        }
    }

    #[test]
    fn states_are_told_in_a_few_words() {
        assert_eq!(state(&process(State::Finished, Some(310))), "finished [310]");
        assert_eq!(state(&process(State::Waiting, None)), "waiting, paused");
        assert_eq!(title(&process(State::Waiting, None)), "process 12 (arithmetic.add_job)");
    }

    /// Makes a store with one finished calcjob: `x` in, `sum` and a long `text` out.
    async fn store(dir: &std::path::Path) -> SqliteStore {
        let store = SqliteStore::open(&dir.join("store.db"), Objects::new(dir.join("objects"))).unwrap();
        let id = uuid::Uuid::now_v7;
        let job = NewProcess {
            uuid: id(),
            process_type: "t.job".into(),
            kind: Kind::CalcJob,
            label: "mine".into(),
            description: String::new(),
            plugin: "d".into(),
            computer: None,
            body: Value::Map([].into()),
            caller: None,
        };
        let target = job.uuid;
        let mut changes = vec![Change::Process(job)];
        let ports = [
            ("x", Value::Int(1), true),
            ("sum", Value::Int(3), false),
            ("text", "t".repeat(5000).into(), false),
        ];
        for (port, body, input) in ports {
            let (uuid, data_type) = (id(), if port == "text" { "str" } else { "int" }.to_owned());
            let (label, description) = (String::new(), String::new());
            let (files, computer) = (Vec::new(), None);
            changes.push(Change::Data(NewData {
                uuid,
                data_type,
                label,
                description,
                body,
                files,
                computer,
            }));
            let (source, target, link_type) =
                if input { (uuid, target, LinkType::InputCalc) } else { (target, uuid, LinkType::Create) };
            changes.push(Change::Link { source, target, link_type, label: port.into() });
        }
        store.commit(changes).await.unwrap();
        store
    }

    #[tokio::test]
    async fn scripts_find_what_they_rely_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
        let mut process = store.process(NodeId(1)).unwrap();
        process.state = State::Finished;
        process.end.status = Some(310);
        process.status = Some("left over".into());
        let value = process_json(&store, &process, true).unwrap();
        let words = "id uuid process_type label state paused exit_code exit_message created modified waiting_for \
                     computer job_id scheduler_state inputs outputs called caller scheduler_stderr";
        for key in words.split(' ') {
            assert!(value.get(key).is_some(), "{key} is missing");
        }
        assert_eq!(value["waiting_for"], serde_json::Value::Null);
        assert_eq!(value["exit_code"], 310);
        assert_eq!(value["inputs"]["x"]["value"], 1);
        assert_eq!(value["outputs"]["sum"]["type"], "int");
        assert_eq!(value["outputs"]["text"]["value"], serde_json::Value::Null);
        assert_eq!(value["outputs"]["text"]["size"], 5002);
        assert!(process_json(&store, &process, false).unwrap().get("inputs").is_none());
    }

    #[test]
    fn times_carry_an_offset() {
        let text = time(Timestamp::UNIX_EPOCH);
        assert!(text.parse::<Timestamp>().is_ok_and(|read| read == Timestamp::UNIX_EPOCH), "{text}");
    }

    #[test]
    fn a_long_stderr_is_cut_at_a_line() {
        let long = format!("{}\nlast words\n", "x".repeat(1990));
        assert_eq!(tail(long.as_bytes()), "last words");
        assert_eq!(tail(b"short\n"), "short");
    }
}
