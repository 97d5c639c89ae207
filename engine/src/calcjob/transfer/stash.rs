//! *stash*: after the job has ended, copies or archives the files that its option names, on the computer.
//!
//! The stash is made under a name of this attempt alone, which is on disk before anything is made. A rename that
//! replaces nothing publishes it. So an attempt that was cut off is found again: either it has published, or its
//! draft is removed. If it fails, the calculation ends with an exit code of its own, after its results have been
//! retrieved. It removes nothing but what this very attempt has made.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use ferry_plugin_proto::{Exit, Value};
use uuid::Uuid;

use crate::calcjob::{
    Calcjob, Next, Step,
    checkpoint::Stashing,
    transfer::collect::matches,
    work_dir::location::{made, spread},
};
use crate::{
    crash, ids,
    spec::{Stash, StashMode},
    step::{StepError, StepResult},
    store::{Change, Level},
    transport::{self, Command, ErrorKind, Transport},
};

/// AiiDA's exit code for a stash that failed.
const FAILED: u32 = 160;
/// The most time that an archive may take.
const LONG: Duration = Duration::from_secs(12 * 3600);

/// The reason why nothing was stashed.
enum StashFailure {
    /// The step is tried again, or waits.
    Step(StepError),
    /// It can't be done.
    Failed(String),
}

impl From<StepError> for StashFailure {
    fn from(error: StepError) -> Self {
        StashFailure::Step(error)
    }
}

impl From<transport::Error> for StashFailure {
    fn from(error: transport::Error) -> Self {
        use ErrorKind as Kind;
        match error.kind() {
            Kind::Unreachable
            | Kind::TimedOut
            | Kind::Authentication
            | Kind::NeedsLogin
            | Kind::CircuitOpen => StashFailure::Step(error.into()),
            _ => StashFailure::Failed(error.explained()),
        }
    }
}

pub(crate) async fn run(job: &mut Calcjob<'_>) -> StepResult<Next> {
    let Some(wanted) = job.options()?.stash else { return leave(job, Vec::new()).await };
    let (_, via) = job.cx.connect(job.computer()).await?;
    let dir =
        job.state.dir.clone().ok_or_else(|| StepError::Except("the work directory is unknown".into()))?;
    let target = target(&wanted, &job.process.uuid);
    let changes = match put_aside(job, &*via, &dir, &wanted, &target).await {
        Ok(missing) => {
            let warn = |pattern| job.log(Level::Warning, format!("nothing to stash for `{pattern}`"));
            let mut changes: Vec<Change> = missing.iter().map(warn).collect();
            changes.extend(node(job, &wanted, &dir, &target));
            changes
        }
        Err(StashFailure::Step(error)) => return Err(error),
        Err(StashFailure::Failed(why)) => {
            let line = format!("stash: {why}; the results are retrieved nevertheless");
            job.state.stash.get_or_insert_default().failed = Some(why);
            vec![job.log(Level::Error, line)]
        }
    };
    leave(job, changes).await
}

/// Goes on to *retrieve*, and stores the changes.
async fn leave(job: &mut Calcjob<'_>, changes: Vec<Change>) -> StepResult<Next> {
    job.go(Step::Retrieve);
    job.commit(changes).await?;
    crash::point("stash.stored");
    Ok(Next::Step)
}

/// Removes the draft of an attempt that will not be continued.
pub(crate) async fn discard(job: &Calcjob<'_>) -> StepResult {
    let attempt = job.state.stash.as_ref().and_then(|stash| stash.attempt.clone());
    let (Step::Stash, Some(attempt), Some(wanted)) = (job.state.step, attempt, job.options()?.stash) else {
        return Ok(());
    };
    let (_, via) = job.cx.connect(job.computer()).await?;
    Ok(via.remove_tree(&draft(&target(&wanted, &job.process.uuid), &attempt)).await?)
}

/// Returns the exit code of a calculation whose stash failed.
pub(crate) fn exit(job: &Calcjob<'_>) -> Option<Exit> {
    let message = job.state.stash.as_ref()?.failed.clone()?;
    Some(Exit { status: FAILED, label: "ERROR_STASHING_FAILED".into(), message })
}

/// Returns `<base>/ab/cd/<rest of the uuid>`, or `<base>/<uuid>.<mode>` for an archive, as in AiiDA.
fn target(wanted: &Stash, uuid: &Uuid) -> PathBuf {
    let base = Path::new(&wanted.target_base);
    match wanted.stash_mode {
        StashMode::Copy => spread(base, uuid),
        mode => base.join(format!("{uuid}.{}", mode.as_str())),
    }
}

/// Stashes the files that exist; returns the patterns that matched nothing.
async fn put_aside(
    job: &mut Calcjob<'_>,
    via: &dyn Transport,
    dir: &Path,
    wanted: &Stash,
    target: &Path,
) -> Result<Vec<String>, StashFailure> {
    let (names, missing) = resolve(via, dir, &wanted.source_list).await?;
    if wanted.fail_on_missing && !missing.is_empty() {
        return Err(StashFailure::Failed(format!("not in the work directory: {}", missing.join(", "))));
    }
    if names.is_empty() {
        let why = format!("none of its source_list is in the work directory: {}", missing.join(", "));
        return Err(StashFailure::Failed(why));
    }
    let is_there = exists(via, target).await?;
    match job.state.stash.as_ref().and_then(|stash| stash.attempt.clone()) {
        // An earlier attempt of ours has published: the name belongs to this calculation alone.
        Some(_) if is_there => return Ok(missing),
        Some(earlier) => via.remove_tree(&draft(target, &earlier)).await?,
        None if is_there => {
            return Err(StashFailure::Failed(format!(
                "{} already exists, and is not of this calculation",
                target.display()
            )));
        }
        None => {}
    }
    let attempt = ids::fresh().simple().to_string()[20..].to_owned();
    let draft = draft(target, &attempt);
    job.state.stash = Some(Stashing { attempt: Some(attempt), failed: None });
    job.commit(Vec::new()).await?;
    crash::point("stash.intended");
    let published = publish(via, dir, wanted, &names, &draft, target).await;
    if published.is_err() {
        // Best effort: the name is this attempt's alone, so a leftover does no harm.
        let _ = via.remove_tree(&draft).await;
    }
    published.map(|()| missing)
}

async fn publish(
    via: &dyn Transport,
    dir: &Path,
    wanted: &Stash,
    names: &BTreeSet<PathBuf>,
    draft: &Path,
    target: &Path,
) -> Result<(), StashFailure> {
    via.mkdirs(draft.parent().unwrap_or(Path::new("/"))).await?;
    match wanted.stash_mode {
        StashMode::Copy => copy(via, dir, names, draft).await?,
        _ => archive(via, dir, wanted, names, draft).await?,
    }
    crash::point("stash.made");
    via.rename(draft, target).await?;
    crash::point("stash.published");
    Ok(())
}

fn draft(target: &Path, attempt: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".stash-{name}-{attempt}"))
}

async fn exists(via: &dyn Transport, path: &Path) -> Result<bool, StashFailure> {
    match via.lstat(path).await {
        Ok(_) => Ok(true),
        Err(error) if *error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Resolves a source list in a work directory. Returns names in it, none below another, and the patterns that
/// matched nothing.
async fn resolve(
    via: &dyn Transport,
    dir: &Path,
    list: &[String],
) -> StepResult<(BTreeSet<PathBuf>, Vec<String>)> {
    let (mut names, mut missing) = (BTreeSet::new(), Vec::new());
    for pattern in list {
        let found = matches(via, dir, pattern).await?;
        if found.is_empty() {
            missing.push(pattern.clone());
        }
        names.extend(found.iter().filter_map(|place| place.strip_prefix(dir).ok().map(Path::to_path_buf)));
    }
    Ok((outermost(&names), missing))
}

/// Returns those that lie below no other.
fn outermost(names: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let is_below = |name: &&PathBuf| name.ancestors().skip(1).any(|above| names.contains(above));
    names.iter().filter(|name| !is_below(name)).cloned().collect()
}

/// Copies files at their relative paths; links as links.
async fn copy(
    via: &dyn Transport,
    dir: &Path,
    names: &BTreeSet<PathBuf>,
    draft: &Path,
) -> Result<(), StashFailure> {
    via.mkdirs(draft).await?;
    for name in names {
        let to = draft.join(name);
        if let Some(parent) = name.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            via.mkdirs(&draft.join(parent)).await?;
        }
        via.copy(&dir.join(name), &to).await.map_err(|error| took_too_long(error, "copying"))?;
    }
    Ok(())
}

async fn archive(
    via: &dyn Transport,
    dir: &Path,
    wanted: &Stash,
    names: &BTreeSet<PathBuf>,
    draft: &Path,
) -> Result<(), StashFailure> {
    use std::os::unix::ffi::OsStrExt;
    let mut words: Vec<&OsStr> = vec!["tar".as_ref()];
    words.extend(packing(wanted.stash_mode).map(OsStr::new));
    words.extend((wanted.dereference == Some(true)).then(|| OsStr::new("-h")));
    // Names are passed on standard input, as bytes: no shell and no limit on their number.
    words.extend(["-c", "-f"].map(OsStr::new));
    words.push(draft.as_os_str());
    words.extend(["--null", "-T", "-"].map(OsStr::new));
    let list: Vec<u8> = names.iter().flat_map(|name| [name.as_os_str().as_bytes(), b"\0"].concat()).collect();
    let command = Command::new(words).cwd(dir).stdin(list).timeout(LONG);
    let output = via.exec(&command).await.map_err(|error| took_too_long(error, "tar"))?;
    match output.status {
        0 => Ok(()),
        127 => Err(StashFailure::Failed("there is no `tar` on the computer".to_owned())),
        status => {
            Err(StashFailure::Failed(format!("tar ended with status {status}: {}", output.error_text())))
        }
    }
}

fn packing(mode: StashMode) -> Option<&'static str> {
    match mode {
        StashMode::Copy | StashMode::Tar => None,
        StashMode::TarBz2 => Some("-j"),
        StashMode::TarGz => Some("-z"),
        StashMode::TarXz => Some("-J"),
    }
}

/// Converts an error of long work: a time-out is no trouble of the host.
fn took_too_long(error: transport::Error, what: &str) -> StashFailure {
    match error.kind() {
        ErrorKind::TimedOut => StashFailure::Failed(format!("{what} took too long: {error}")),
        _ => error.into(),
    }
}

fn node(job: &Calcjob<'_>, wanted: &Stash, dir: &Path, target: &Path) -> [Change; 2] {
    let text = |path: &Path| Value::from(path.to_string_lossy().into_owned());
    let sources = wanted.source_list.iter().map(|source| Value::from(source.as_str())).collect();
    let mut body = vec![
        ("computer", Value::from(job.computer())),
        ("path", text(target)),
        ("stash_mode", Value::from(wanted.stash_mode.as_str())),
        ("source_list", Value::List(sources)),
        ("target_base", Value::from(wanted.target_base.as_str())),
        ("work_dir", text(dir)),
    ];
    body.extend(wanted.dereference.map(|flag| ("dereference", Value::Bool(flag))));
    made(job.process.uuid, "remote_stash", "remote_stash", body, job.computer())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stash(mode: StashMode) -> Stash {
        Stash {
            target_base: "/s".into(),
            source_list: Vec::new(),
            stash_mode: mode,
            dereference: None,
            fail_on_missing: false,
        }
    }

    #[test]
    fn targets_are_named_as_in_aiida() {
        let uuid: Uuid = "01990000-0000-7000-8000-00000000abcd".parse().unwrap();
        let place = |mode| target(&stash(mode), &uuid).display().to_string();
        assert_eq!(place(StashMode::Copy), "/s/ab/cd/0199000000007000800000000000");
        assert_eq!(place(StashMode::TarGz), "/s/01990000-0000-7000-8000-00000000abcd.tar.gz");
        let draft = draft(&target(&stash(StashMode::Copy), &uuid), "7f");
        assert_eq!(draft.display().to_string(), "/s/ab/cd/.stash-0199000000007000800000000000-7f");
    }

    #[test]
    fn what_lies_below_another_is_put_aside_with_it() {
        let names = ["a", "a/b", "a/b/c", "ab", "x/y"].map(PathBuf::from).into();
        assert_eq!(outermost(&names), ["a", "ab", "x/y"].map(PathBuf::from).into());
    }
}
