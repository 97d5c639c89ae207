//! `ferry process show`.

use ferry_engine::{
    calcjob::{Explanation, IMPORTED},
    store::{Node, Process, Reader},
};

use crate::{
    error::Result,
    output::{self, Format},
    session::Session,
    view,
};

/// Shows a process.
pub(super) async fn show(session: &Session, name: &str) -> Result {
    let reader = session.reader().await?;
    let process = view::find_process(&reader, name)?;
    if session.format == Format::Json {
        return output::json(&view::process_json(&reader, &process, true)?);
    }
    output::details(facts(&reader, &process)?)?;
    ports(&reader, "inputs", view::inputs(&reader, process.id)?)?;
    ports(&reader, "outputs", view::outputs(&reader, process.id)?)?;
    called(&reader, &process)?;
    if process.is_failed()
        && let Some(text) = view::scheduler_stderr(&reader, &process)?
    {
        output::line(format!("\nthe end of the job's stderr:\n{text}"))?;
    }
    Ok(())
}

fn facts(reader: &Reader, process: &Process) -> Result<Vec<(&'static str, String)>> {
    let known = [
        ("label", Some(process.label.clone()).filter(|text| !text.is_empty())),
        ("description", Some(process.description.clone()).filter(|text| !text.is_empty())),
        ("status", process.end.message.clone()),
        ("computer", process.computer().map(str::to_owned)),
        ("job id", process.job_id().map(str::to_owned)),
        ("scheduler state", process.scheduler_state().map(str::to_owned)),
        ("work directory", process.work_dir().map(str::to_owned)),
    ];
    let mut facts = vec![
        ("id", process.id.to_string()),
        ("uuid", process.uuid.to_string()),
        ("type", format!("{} ({})", process.process_type, process.kind.as_str())),
        ("state", view::state(process)),
    ];
    facts.extend(known.into_iter().filter_map(|(name, value)| Some((name, value?))));
    facts.extend(waiting(view::Explainer::new(reader)?.explain(process)));
    facts.push(("created", view::time(process.created)));
    facts.push(("modified", view::time(process.modified)));
    facts.push(("plugin", process.plugin.clone()));
    if reader.node(process.id)?.body.get(IMPORTED).is_some() {
        facts.push(("imported", "yes: the run was over before".into()));
    }
    let taken = reader.cache_entry(process.id)?.and_then(|entry| entry.taken_from);
    facts.extend(taken.map(|uuid| ("results of", view::origin(reader, &uuid.to_string()))));
    Ok(facts)
}

/// Returns the facts that explain why the process waits.
fn waiting(explanation: Option<Explanation>) -> Vec<(&'static str, String)> {
    let Some(told) = explanation else { return Vec::new() };
    let attempts = format!("{} of {} failed", told.attempt, told.max_attempts);
    let known = [
        ("status", told.waiting_for),
        ("since", told.since.map(view::time)),
        ("attempts", (told.attempt > 0).then_some(attempts)),
        ("last error", told.last_error),
        ("next try", told.next_try.map(view::time)),
        ("next", Some(told.next)),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn ports(reader: &Reader, title: &str, nodes: Vec<(String, Node)>) -> Result {
    if nodes.is_empty() {
        return Ok(());
    }
    output::line("")?;
    let rows = nodes.into_iter().map(|(label, node)| {
        let value = view::value_line(reader, &node);
        vec![label, node.node_type, node.id.to_string(), value]
    });
    output::table(&[title, "type", "id", "value"], rows)
}

fn called(reader: &Reader, process: &Process) -> Result {
    let children = view::children(reader, process.id)?;
    if children.is_empty() {
        return Ok(());
    }
    output::line("")?;
    let rows = children
        .iter()
        .map(|child| vec![child.process_type.clone(), child.id.to_string(), view::state(child)]);
    output::table(&["called", "id", "state"], rows)
}
