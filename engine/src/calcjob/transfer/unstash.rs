//! Unpacks a stash among the inputs before the job starts. It is part of *upload*. Files for the new work
//! directory go into that of this attempt, which is published whole. Files for their original place are written
//! there again by each attempt, so the next one repairs what an interrupted one left.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use ferry_plugin_proto::Value;

use crate::calcjob::{Calcjob, transfer::collect::matches};
use crate::{
    spec::{StashMode, UnstashTarget},
    step::{StepError, StepResult},
    store::LinkType,
    transport::{Command, Transport},
};

/// The most time that unpacking may take.
const LONG: std::time::Duration = std::time::Duration::from_secs(12 * 3600);

/// A stash, as its node describes it.
struct Source {
    path: PathBuf,
    work_dir: PathBuf,
    mode: StashMode,
}

/// Unpacks the files that the option `unstash` names. `staging` becomes the work directory.
pub(crate) async fn run(job: &Calcjob<'_>, via: &dyn Transport, staging: &Path) -> StepResult {
    let Some(wanted) = job.options()?.unstash else { return Ok(()) };
    let source = source(job)?;
    let to = match wanted.unstash_target_mode {
        UnstashTarget::NewRemoteData => staging,
        UnstashTarget::OriginalPlace => &source.work_dir,
    };
    via.mkdirs(to).await?;
    match source.mode {
        StashMode::Copy => copy(via, &source.path, to, &wanted.source_list).await,
        _ => unpack(via, &source.path, to, &wanted.source_list).await,
    }
}

fn source(job: &Calcjob<'_>) -> StepResult<Source> {
    for link in job.cx.store.incoming(job.process.id)? {
        let node = job.cx.store.node(link.source)?;
        if link.link_type != LinkType::InputCalc || node.node_type != "remote_stash" {
            continue;
        }
        let text = |key: &str| node.body.get(key).and_then(Value::as_str).unwrap_or_default();
        let path = |key: &str| Some(PathBuf::from(text(key))).filter(|path| path.is_absolute());
        let source = || {
            let mode = StashMode::of(text("stash_mode"))?;
            Some(Source { path: path("path")?, work_dir: path("work_dir")?, mode })
        };
        return source().ok_or_else(|| StepError::Except(format!("node {} is not a stash", node.id)));
    }
    Err(StepError::Except("there is no stash among the inputs".into()))
}

async fn copy(via: &dyn Transport, stash: &Path, to: &Path, list: &[String]) -> StepResult {
    for pattern in list {
        let found = matches(via, stash, pattern).await?;
        if found.is_empty() {
            let stash = stash.display();
            return Err(StepError::Except(format!("unstash: there is no `{pattern}` in {stash}")));
        }
        for place in found {
            let target = to.join(place.strip_prefix(stash).unwrap_or(&place));
            via.mkdirs(target.parent().unwrap_or(to)).await?;
            via.remove_tree(&target).await?;
            via.copy(&place, &target).await?;
        }
    }
    Ok(())
}

async fn unpack(via: &dyn Transport, archive: &Path, to: &Path, list: &[String]) -> StepResult {
    // tar detects the compression itself. A star in a pattern does not match a slash, as elsewhere.
    let [to, file] = [to, archive].map(Path::as_os_str);
    let words = ["tar".as_ref(), "-x".as_ref(), "-C".as_ref(), to, "-f".as_ref(), file];
    let more =
        ["--anchored", "--wildcards", "--no-wildcards-match-slash", "--null", "-T", "-"].map(OsStr::new);
    let names: String = list.iter().map(|name| format!("{name}\0")).collect();
    let command = Command::new(words.into_iter().chain(more)).stdin(names).timeout(LONG);
    let output = via.exec(&command).await?;
    match output.status {
        0 => Ok(()),
        status => Err(StepError::Except(format!(
            "unstash: tar ended with status {status} for {}: {}",
            archive.display(),
            output.error_text()
        ))),
    }
}
