//! *import*: a calculation that was run already, outside ferry or by another process. Its directory is the input
//! `remote_folder`. Nothing is uploaded or submitted; files are retrieved from where they are, and parsed.

use std::{collections::BTreeMap, path::PathBuf};

use ferry_plugin_proto::{Inputs, JobDescription, JobReport, Node, Port, ProcessType, Value};

use super::{Calcjob, Next, Step};
use crate::{
    process::{FlatPort, flatten, lookup_port},
    scheduler::markers,
    step::{StepError, StepResult},
    store::Level,
    transport::{ErrorKind, FileKind, Transport},
};

/// The input that makes a process an import.
pub(crate) const FOLDER: &str = "remote_folder";
/// The entry of a process's body that marks it as an import.
pub const IMPORTED: &str = "imported";

/// Adds the input to the ports of a type, unless the type has one of that name itself.
pub(crate) fn add_port(ports: &mut BTreeMap<String, FlatPort>) {
    if lookup_port(ports, FOLDER).is_some() {
        return;
    }
    let port = Port {
        types: vec!["remote_folder".into()],
        help: "Directory of a run that is over: nothing is submitted, it is retrieved and parsed".into(),
        ..Port::default()
    };
    let name = FOLDER.to_owned();
    ports.insert(name.clone(), FlatPort { name, port, dynamic: false, required: false });
}

/// Returns whether a process with this body is an import.
pub(crate) fn is_import(body: &Value) -> bool {
    body.get(IMPORTED) == Some(&Value::Bool(true))
}

/// Changes the inputs to those that the plugin declared: without the folder, and with an empty code for each that
/// is required. A finished run needs none.
pub(crate) fn for_plugin(process_type: &ProcessType, inputs: &mut Inputs) {
    inputs.remove(FOLDER);
    for port in flatten(&process_type.inputs).into_values() {
        if port.required && port.port.types == ["code"] && !port.dynamic {
            let text =
                ["label", "computer", "filepath_executable"].map(|key| (key.to_owned(), Value::from("")));
            let value = Value::Map(text.into());
            inputs.entry(port.name).or_insert_with(|| Node {
                data_type: "code".into(),
                value,
                ..Node::default()
            });
        }
    }
}

/// Returns the directory of an import; `None` for any other process.
pub(super) fn folder(job: &Calcjob<'_>, inputs: &Inputs) -> StepResult<Option<PathBuf>> {
    if !is_import(&job.cx.store.node(job.process.id)?.body) {
        return Ok(None);
    }
    let path = inputs.get(FOLDER).and_then(|node| node.value.get("path")).and_then(Value::as_str);
    let missing = || StepError::Except("an import without its folder".into());
    path.map(PathBuf::from).map(Some).ok_or_else(missing)
}

/// Goes on with *retrieve*. Of the plugin's description, only the files to retrieve count: its job never ran.
pub(super) async fn begin(
    job: &mut Calcjob<'_>,
    description: JobDescription,
    reports: Vec<String>,
    folder: PathBuf,
) -> StepResult<Next> {
    let line = format!("imports what was run in {} on computer `{}`", folder.display(), job.computer());
    let mut changes = vec![job.log(Level::Report, line)];
    changes.extend(reports.into_iter().map(|line| job.log(Level::Report, line)));
    job.state.job = Some(JobDescription {
        retrieve: description.retrieve,
        retrieve_temporary: description.retrieve_temporary,
        ..JobDescription::default()
    });
    job.process.work_dir = Some(folder.to_string_lossy().into_owned());
    job.state.dir = Some(folder);
    job.state.report = Some(JobReport { imported: true, ..JobReport::default() });
    job.go(Step::Retrieve);
    job.commit(changes).await?;
    Ok(Next::Step)
}

/// Checks the directory before anything is retrieved. A work directory of ferry also gives the exit status of its
/// job.
pub(super) async fn look(job: &mut Calcjob<'_>, via: &dyn Transport) -> StepResult {
    let imported = job.state.report.as_ref().is_some_and(|report| report.imported);
    let Some(dir) = job.state.dir.clone().filter(|_| imported) else { return Ok(()) };
    match via.stat(&dir).await {
        Ok(found) if found.kind == FileKind::Dir => {}
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(error.into());
        }
        _ => {
            let (dir, computer) = (dir.display(), job.computer());
            return Err(StepError::Except(format!("there is no directory {dir} on computer `{computer}`")));
        }
    }
    let found = markers(via, &[&dir]).await?;
    if let (Some(report), Some(marker)) = (&mut job.state.report, found.get(&dir)) {
        report.exit_status = marker.exit;
    }
    Ok(())
}
