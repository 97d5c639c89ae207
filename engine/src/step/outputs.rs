//! Outputs of a plugin's answer: judged by the ports of its type, and stored as nodes and links.

use std::{collections::BTreeMap, path::PathBuf};

use ferry_plugin_proto::{Exit, NewNode, Outcome, ProcessType, Source};
use uuid::Uuid;

use super::{StepError, StepResult};
use crate::{
    blocking, ids,
    node::{check_typed_body, lend},
    spec::{flatten, lookup_port},
    store::{Change, Content, FileContent, LinkType, NewData, NodeFile, Reader, label_problem},
};

/// The directories to which the paths of a plugin's answer are relative.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roots {
    pub(crate) sandbox: Option<PathBuf>,
    pub(crate) retrieved: Option<PathBuf>,
    pub(crate) temporary: Option<PathBuf>,
    /// Files of the `retrieved` node, which are in the store already.
    pub(crate) stored: Vec<NodeFile>,
}

/// AiiDA's exit codes for outputs that are wrong or missing.
const INVALID_OUTPUT: u32 = 10;
const MISSING_OUTPUT: u32 = 11;

/// Returns the process type that a process runs on: that of its own plugin file, not of a newer one.
pub(crate) fn find_type(reader: &Reader, digest: &str, name: &str) -> StepResult<ProcessType> {
    let plugin = reader.plugin(digest)?;
    let found = plugin.manifest.types.iter().find(|t| t.name == name).cloned();
    found.ok_or_else(|| StepError::Except(format!("plugin {} does not offer `{name}`", plugin.name)))
}

/// Output nodes to store, and the exit code that they cause.
pub(crate) struct Added {
    pub(crate) changes: Vec<Change>,
    pub(crate) exit: Option<Exit>,
}

/// Makes the changes that store an outcome's outputs.
pub(crate) async fn add_outputs(
    reader: &Reader,
    process_type: &ProcessType,
    process: Uuid,
    outcome: &Outcome,
    roots: Roots,
) -> StepResult<Added> {
    let ports = flatten(&process_type.outputs);
    let mut changes = Vec::new();
    let mut wrong = Vec::new();
    for (label, node) in &outcome.outputs {
        let checked = match lookup_port(&ports, label) {
            None => Err(format!("`{label}` is not an output of `{}`", process_type.name)),
            Some(port) if !port.port.types.is_empty() && !port.port.types.contains(&node.data_type) => {
                Err(format!(
                    "output `{label}` is of type `{}`, not {}",
                    node.data_type,
                    port.port.types.join(" or ")
                ))
            }
            Some(_) => match label_problem(label) {
                Some(problem) => Err(format!("output {problem}")),
                None => check_typed_body(reader, &node.data_type, &node.value, node.files.len())
                    .map_err(|error| format!("output `{label}`: {error}")),
            },
        };
        match checked {
            Ok(()) => changes.extend(make_node(reader, process, label, node, &roots).await?),
            Err(message) => wrong.push(message),
        }
    }
    let given = |name: &str| outcome.outputs.contains_key(name);
    let missing: Vec<&str> = ports
        .values()
        .filter(|port| {
            port.required
                && !port.dynamic
                && !given(&port.name)
                && !ENGINE_OUTPUTS.contains(&port.name.as_str())
        })
        .map(|port| port.name.as_str())
        .collect();
    let exit = |status, label: &str, message| Some(Exit { status, label: label.into(), message });
    let exit = if !wrong.is_empty() {
        exit(INVALID_OUTPUT, "ERROR_INVALID_OUTPUT", wrong.join("; "))
    } else if !missing.is_empty() {
        let message = format!("the required output {} was not created", missing.join(", "));
        exit(MISSING_OUTPUT, "ERROR_MISSING_OUTPUT", message)
    } else {
        None
    };
    Ok(Added { changes, exit })
}

/// Outputs that the engine itself makes for every calcjob.
const ENGINE_OUTPUTS: &[&str] = &["remote_folder", "remote_stash", "retrieved"];

async fn make_node(
    reader: &Reader,
    process: Uuid,
    label: &str,
    node: &NewNode,
    roots: &Roots,
) -> StepResult<[Change; 2]> {
    let mut files = Vec::new();
    for file in &node.files {
        if !lend::is_inside(&file.path) {
            return Err(StepError::Except(format!(
                "output `{label}`: `{}` is outside of its node",
                file.path
            )));
        }
        let content = content(reader, &file.source, roots).await?;
        files.push(FileContent { path: file.path.clone(), content, executable: false });
    }
    let uuid = ids::fresh();
    let data = NewData {
        uuid,
        data_type: node.data_type.clone(),
        label: String::new(),
        description: String::new(),
        body: node.value.clone(),
        files,
        computer: None,
    };
    let link =
        Change::Link { source: process, target: uuid, link_type: LinkType::Create, label: label.to_owned() };
    Ok([Change::Data(data), link])
}

async fn content(reader: &Reader, source: &Source, roots: &Roots) -> StepResult<Content> {
    let named = |what: &str| StepError::Except(format!("the plugin names a {what} file, but there are none"));
    let (root, path) = match source {
        Source::Inline(bytes) => return Ok(reader.objects().put_bytes(bytes.clone())?),
        Source::Node { uuid, path } => return node_content(reader, uuid, path),
        Source::Retrieved(path) => match roots.stored.iter().find(|file| file.path == *path) {
            Some(file) => return Ok(reader.object(&file.digest)?),
            None => (roots.retrieved.clone().ok_or_else(|| named("retrieved"))?, path.clone()),
        },
        Source::Temporary(path) => (roots.temporary.clone().ok_or_else(|| named("temporary"))?, path.clone()),
        Source::Sandbox(path) => (roots.sandbox.clone().ok_or_else(|| named("sandbox"))?, path.clone()),
    };
    let objects = reader.objects().clone();
    blocking::run(move || Ok(objects.put_file(&lend::no_links(&root, &path).map_err(StepError::Except)?)?))
        .await
        .map_err(StepError::Later)?
}

fn node_content(reader: &Reader, uuid: &str, path: &str) -> StepResult<Content> {
    let node = reader.find_node(uuid)?;
    let files: BTreeMap<String, NodeFile> =
        reader.files(node.id)?.into_iter().map(|file| (file.path.clone(), file)).collect();
    let file =
        files.get(path).ok_or_else(|| StepError::Except(format!("node {uuid} has no file `{path}`")))?;
    Ok(reader.object(&file.digest)?)
}
