//! Validation of a launch by plugins, in their hosts: the type's own, those of its data types, and those of its
//! monitors.

use std::{collections::BTreeMap, path::PathBuf};

use ferry_plugin_proto::{Inputs, Kind, Node as PluginNode, Problem, Validate};
use tempfile::TempDir;

use super::{Examined, Refusal, resolve_inputs::Resolved};
use crate::{
    node::lend,
    owner::Context,
    process::data_type_validators,
    spec::{MONITORS, Watcher, import::for_plugin, is_monitor},
};

/// Returns the problems that the plugin reports, and those that the plugins of monitors report of their inputs.
pub(super) async fn ask_all(cx: &Context, examined: &Examined) -> Result<Vec<Problem>, Refusal> {
    let mut told = ask_plugin(cx, examined).await?;
    told.extend(ask_monitors(cx, &examined.watchers).await?);
    Ok(told)
}

/// Combines the problems found by the manifest with those that the plugin reports. The latter are left out if they
/// concern a port, or a namespace around a port, that the plugin was not given because it is wrong already.
pub(super) fn with_told(mut problems: Vec<Problem>, told: Vec<Problem>) -> Vec<Problem> {
    let is_known = |told: &Problem| {
        let below = format!("{}.", told.port);
        let known = |problem: &Problem| problem.port == told.port || problem.port.starts_with(&below);
        told.port.is_empty() || problems.iter().any(known)
    };
    let told: Vec<Problem> = told.into_iter().filter(|told| !is_known(told)).collect();
    problems.extend(told);
    problems
}

async fn ask_plugin(cx: &Context, examined: &Examined) -> Result<Vec<Problem>, Refusal> {
    let mut folder = None;
    let inputs = lent(cx, examined, &mut folder)?;
    let new = examined.resolved.iter().filter(|(_, input)| input.new.is_some());
    let new = new.map(|(port, _)| port.as_str());
    let foreign =
        data_type_validators::ask(cx, &examined.plugin, &examined.process_type, &inputs, new).await?;
    let request = Validate { process_type: examined.process_type.name.clone(), inputs };
    let mut problems = cx.validate(&examined.plugin.digest, &request).await?.problems;
    problems.extend(foreign);
    Ok(problems)
}

/// Asks the plugins of monitors to validate their `kwargs`.
///
/// # Errors
/// Returns an error of a plugin's host.
async fn ask_monitors(cx: &Context, watchers: &[Watcher]) -> Result<Vec<Problem>, Refusal> {
    let mut problems = Vec::new();
    for watcher in watchers {
        let request = Validate { process_type: watcher.name.clone(), inputs: watcher.kwargs.clone() };
        let judged = cx.validate(&watcher.plugin, &request).await?;
        let place = format!("{MONITORS}.{}.kwargs", watcher.key);
        problems.extend(judged.problems.into_iter().map(|Problem { port, message }| {
            let port = if port.is_empty() { place.clone() } else { format!("{place}.{port}") };
            Problem { port, message }
        }));
    }
    Ok(problems)
}

/// Returns the inputs as the plugin sees them.
pub(crate) fn lent(
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

/// Provides the files of an input where the plugin can read them. The folder is created for the first input with
/// files.
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
