//! Turns the commands of a step into changes to the store.

use std::collections::BTreeSet;

use ferry_plugin_proto::{Call, CallInput, Command, Exit, NewNode, ProcessType, Source, Then, Value};
use uuid::Uuid;

use super::step::Workflow;
use crate::{
    process::{Calling, DEPTH, InputValue, Launch, Metadata, PINS, Refusal, in_words, prepare_called},
    spec::{flatten, lookup_port, type_problem},
    step::{StepError, StepResult},
    store::{Caller, Change, FileContent, Level, LinkType},
};

/// AiiDA's exit code for an output that its type does not declare, or of another type.
const INVALID_OUTPUT: u32 = 10;

/// The effects of a step.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) changes: Vec<Change>,
    /// The calls of this step.
    pub(super) launched: BTreeSet<String>,
    /// All outputs, those of this step included.
    pub(super) outputs: BTreeSet<String>,
    /// The exit code for the first output that is not allowed.
    pub(super) wrong_output: Option<Exit>,
    /// The reason for a pause, if it is to pause.
    pub(super) pause: Option<String>,
    /// True if the work directories below it are removed when it ends.
    pub(super) cleans: bool,
}

impl Effects {
    /// Returns the report lines alone.
    pub(super) fn reports_of(flow: &Workflow<'_>, commands: &[Command]) -> Effects {
        let report = |command: &Command| match command {
            Command::Report(line) => Some(flow.log(Level::Report, line.clone())),
            _ => None,
        };
        Effects { changes: commands.iter().filter_map(report).collect(), ..Effects::default() }
    }
}

/// Turns commands into changes. Children are checked here, as at any launch.
///
/// # Errors
/// `Except` for what can't be done; for a launch, with all its problems.
pub(super) async fn gather(
    flow: &Workflow<'_>,
    process_type: &ProcessType,
    commands: Vec<Command>,
    then: &Then,
) -> StepResult<Effects> {
    let mut effects = Effects { outputs: returned(flow, &commands, then)?, ..Effects::default() };
    let tree = Tree::of(flow)?;
    for command in commands {
        match command {
            Command::Report(line) => effects.changes.push(flow.log(Level::Report, line)),
            Command::Pause(reason) => effects.pause = Some(reason),
            Command::CleanWorkDirs => effects.cleans = true,
            Command::Launch(call) => launch(flow, &tree, *call, &mut effects).await?,
            Command::Kill(call) => {
                let child = flow.cx.store.child(flow.process.id, &call)?.ok_or_else(|| {
                    StepError::Except(format!("it kills `{call}`, which it has not launched"))
                })?;
                effects.changes.push(Change::RequestKill { process: child.id, force: false });
            }
            Command::Output { label, node } => output(flow, process_type, label, &node, &mut effects)?,
        }
    }
    Ok(effects)
}

/// Returns the outputs that earlier steps have returned, if this step concerns outputs. A process in its first
/// step has none.
fn returned(flow: &Workflow<'_>, commands: &[Command], then: &Then) -> StepResult<BTreeSet<String>> {
    let returns = commands.iter().any(|command| matches!(command, Command::Output { .. }));
    if flow.state.steps == 0 || !(returns || matches!(then, Then::Finish(_))) {
        return Ok(BTreeSet::new());
    }
    let links = flow.cx.store.outgoing(flow.process.id)?.into_iter();
    Ok(links.filter(|link| link.link_type == LinkType::Return).map(|link| link.label).collect())
}

async fn launch(flow: &Workflow<'_>, tree: &Tree, call: Call, effects: &mut Effects) -> StepResult {
    let is_new = effects.launched.insert(call.call.clone());
    if !is_new || flow.has_called(&call.call)? {
        return Err(StepError::Except(format!("it launches `{}` twice", call.call)));
    }
    let depth = deeper(flow, tree, &call)?;
    let label = if call.link_label.is_empty() { "CALL".to_owned() } else { call.link_label };
    let calling = Calling {
        caller: Caller { process: flow.process.id, call: call.call.clone() },
        uuid: flow.process.uuid,
        label,
        plugin: &flow.process.plugin,
        pins: &tree.pins,
        depth,
    };
    let inputs = call.inputs.into_iter().map(|(port, input)| Ok((port, given(flow, input)?)));
    let launch = Launch {
        process_type: call.process_type.clone(),
        inputs: inputs.collect::<StepResult<_>>()?,
        metadata: Metadata {
            label: call.label,
            description: call.description,
            computer: call.computer,
            options: call.options,
            disable_cache: false,
            dry_run: false,
        },
        groups: Vec::new(),
    };
    match prepare_called(flow.cx, launch, Some(calling)).await {
        Ok(prepared) => effects.changes.extend(prepared.changes),
        Err(Refusal::Failed { message, .. }) => return Err(StepError::Later(message)),
        Err(Refusal::Problems(problems)) => {
            let (call, process_type, told) = (call.call, call.process_type, in_words(problems));
            return Err(StepError::Except(format!("`{process_type}` can't be launched as `{call}`: {told}")));
        }
    }
    Ok(())
}

fn given(flow: &Workflow<'_>, input: CallInput) -> StepResult<InputValue> {
    Ok(match input {
        CallInput::Node(uuid) => InputValue::Node(uuid),
        CallInput::Code(name) => InputValue::Code(name),
        CallInput::New(NewNode { data_type, value, files }) => {
            let files = files.into_iter().map(|file| match file.source {
                Source::Inline(bytes) => Ok(FileContent {
                    path: file.path,
                    content: flow.cx.store.objects().put_bytes(bytes)?,
                    executable: false,
                }),
                _ => Err(StepError::Except(format!("file `{}` of a new input must be inline", file.path))),
            });
            let files = files.collect::<StepResult<_>>()?;
            InputValue::New { data_type: Some(data_type).filter(|name| !name.is_empty()), value, files }
        }
    })
}

/// A workflow's place in its call tree.
struct Tree {
    /// The plugin files that the tree was launched with.
    pins: Vec<String>,
    /// Number of processes above it.
    depth: u32,
}

impl Tree {
    fn of(flow: &Workflow<'_>) -> StepResult<Tree> {
        let body = flow.cx.store.node(flow.process.id)?.body;
        let pins = body.get(PINS).cloned().unwrap_or_default();
        let pins = ferry_plugin_proto::from_value(&pins).map_err(|error| {
            StepError::Except(format!("the stored plugin digests can't be read: {error}"))
        })?;
        let depth = body.get(DEPTH).and_then(Value::as_int).and_then(|depth| u32::try_from(depth).ok());
        Ok(Tree { pins, depth: depth.unwrap_or_default() })
    }
}

/// Returns the depth in the call tree of a process that this one calls.
///
/// # Errors
/// `Except` for one that would be too deep: endless recursion of workflows would fill the disk.
fn deeper(flow: &Workflow<'_>, tree: &Tree, call: &Call) -> StepResult<u32> {
    let depth = tree.depth.saturating_add(1);
    let max = flow.cx.settings.workflow_max_depth;
    if depth <= max {
        return Ok(depth);
    }
    Err(StepError::Except(format!(
        "`{}` can't be launched as `{}`: it would be {depth} levels below the root of its call tree, and \
         `workflow.max_depth` is {max}; if these workflows do not call one another without end, raise it with \
         `ferry config set workflow.max_depth {}`, restart the daemon and launch the tree again",
        call.process_type,
        call.call,
        max.saturating_mul(2).max(1)
    )))
}

fn output(
    flow: &Workflow<'_>,
    process_type: &ProcessType,
    label: String,
    node: &str,
    effects: &mut Effects,
) -> StepResult {
    let target: Uuid =
        node.parse().map_err(|_| StepError::Except(format!("output `{label}`: `{node}` is not a UUID")))?;
    let stored = flow
        .cx
        .store
        .find_node(node)
        .map_err(|error| StepError::Except(format!("output `{label}`: {error}")))?;
    let ports = flatten(&process_type.outputs);
    let wrong = match lookup_port(&ports, &label) {
        None => Some(format!("`{label}` is not an output of `{}`", process_type.name)),
        Some(port) if !port.port.types.is_empty() && !port.port.types.contains(&stored.node_type) => {
            Some(format!("output `{label}`: {}", type_problem(&port.port.types, &stored.node_type)))
        }
        Some(_) if effects.outputs.contains(&label) => Some(format!("output `{label}` is returned twice")),
        Some(_) => None,
    };
    match wrong {
        Some(message) => {
            let exit = Exit { status: INVALID_OUTPUT, label: "ERROR_INVALID_OUTPUT".into(), message };
            effects.wrong_output.get_or_insert(exit);
        }
        None => {
            effects.outputs.insert(label.clone());
            let source = flow.process.uuid;
            effects.changes.push(Change::Link { source, target, link_type: LinkType::Return, label });
        }
    }
    Ok(())
}
