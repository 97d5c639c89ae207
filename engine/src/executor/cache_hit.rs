//! A calculation that takes over the results of an earlier one with the same ingredients, instead of running.

use crate::{
    caching::rules as caching,
    owner::Context,
    process::State,
    spec::is_workflow,
    step::StepResult,
    store::{Change, FileContent, Level, LinkType, NewData, Node, Process},
};

/// Ends a calculation that has not begun with the results of another one, if it asks for that and there are some.
/// Everything is one commit. Returns whether it did.
///
/// # Errors
/// Fails as a step does; then nothing is committed.
pub(crate) async fn reuse(cx: &Context, process: &Process) -> StepResult<bool> {
    let may = process.state == State::Created && !process.wishes.kill && !is_workflow(process.kind);
    if !may || !caching::asks(&cx.store, process)?.0 {
        return Ok(false);
    }
    let Some(source) = caching::source(&cx.store, process)? else { return Ok(false) };
    let mut changes = Vec::new();
    for (label, node) in caching::results(&cx.store, &source)? {
        changes.extend(copy(cx, process, label, node)?);
    }
    let line = format!("took over the results of process {} ({})", source.id, source.uuid);
    changes.push(Change::Log { process: process.id, level: Level::Report, message: line });
    changes.push(Change::TakenFrom { process: process.id, source: source.uuid });
    let mut process = process.clone();
    changes.extend(process.start());
    changes.extend(process.finish_like(&source));
    changes.push(process.update());
    cx.store.commit(changes).await?;
    Ok(true)
}

/// Returns the changes that copy a data node, created by this process.
fn copy(cx: &Context, process: &Process, label: String, node: Node) -> StepResult<[Change; 2]> {
    let files = cx.store.files(node.id)?.into_iter().map(|file| {
        let content = cx.store.object(&file.digest)?;
        Ok(FileContent { path: file.path, content, executable: file.executable })
    });
    let data = NewData {
        uuid: crate::ids::fresh(),
        data_type: node.node_type,
        label: String::new(),
        description: String::new(),
        body: node.body,
        files: files.collect::<StepResult<_>>()?,
        computer: node.computer,
    };
    let link = Change::Link { source: process.uuid, target: data.uuid, link_type: LinkType::Create, label };
    Ok([Change::Data(data), link])
}
