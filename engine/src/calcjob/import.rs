//! *import*: a calculation that was run already, outside ferry or by another process. Its directory is the input
//! `remote_folder`. Nothing is uploaded or submitted; files are retrieved from where they are, and parsed.

use std::path::PathBuf;

use ferry_plugin_proto::{Inputs, JobDescription, JobReport, Value};

use super::{Calcjob, Next, Step};
use crate::{
    scheduler::markers,
    spec::import::{FOLDER, is_import},
    step::{StepError, StepResult},
    store::Level,
    transport::{ErrorKind, FileKind, Transport},
};

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
    let line = format!("importing the run in {} on computer `{}`", folder.display(), job.computer());
    let mut changes = vec![job.log(Level::Report, line)];
    changes.extend(reports.into_iter().map(|line| job.log(Level::Report, line)));
    job.state.job = Some(JobDescription {
        retrieve: description.retrieve,
        retrieve_temporary: description.retrieve_temporary,
        ..JobDescription::default()
    });
    job.row.work_dir = Some(folder.to_string_lossy().into_owned());
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
