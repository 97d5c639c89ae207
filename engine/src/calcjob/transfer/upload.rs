//! *upload*: writes the files into a work directory. They go to a name of this attempt alone (`.up-...`), and are
//! published by a rename that neither nests nor replaces. So a late child of a killed daemon can't disturb a later
//! attempt, and a directory that has our sentinel is complete.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ferry_plugin_proto::{JobDescription, Value};
use uuid::Uuid;

use crate::calcjob::{
    Calcjob, Next, Step,
    transfer::{remote, unstash},
    work_dir::{
        job_inputs::Material,
        layout::{Phase, phases},
        location::{made, spread},
        script::{Parts, template},
    },
};
use crate::{
    crash, ids,
    scheduler::{JobScript, unread_of_job},
    spec::Options,
    step::{StepError, StepResult},
    store::{Change, ComputerRow, FileContent, Level},
    transport::{self, Command, ErrorKind, QUIET, Transport, TreeEntry, quote_path},
};

/// The input of an upload.
struct Upload<'a> {
    computer: &'a ComputerRow,
    via: &'a dyn Transport,
    description: &'a JobDescription,
    material: &'a Material,
    options: &'a Options,
    dir: PathBuf,
    digest: String,
    /// The job script; `None` for a job that runs nothing.
    script: Option<JobScript>,
}

pub(crate) async fn run(job: &mut Calcjob<'_>) -> StepResult<Next> {
    let (computer, via) = job.cx.connect(job.computer()).await?;
    let description = job.state.job.clone().ok_or_else(|| StepError::Except("no job was prepared".into()))?;
    let material = Material::stored(&job.cx.store, job.process.id, &description)?;
    let options = job.options()?;
    let dir = match &job.state.dir {
        Some(dir) => dir.clone(),
        None => work_dir(&computer, &*via, &job.process.uuid).await?,
    };
    let digest = digest(job, &description)?;
    let mut upload = Upload {
        computer: &computer,
        via: &*via,
        description: &description,
        material: &material,
        options: &options,
        dir,
        digest,
        script: None,
    };
    let (script, unread) = make_script(job, &upload)?.unzip();
    upload.script = script;

    let mut odd = Vec::new();
    if sentinel(upload.via, &upload.dir).await?.as_deref() != Some(&upload.digest) {
        let phases = phases(&job.cx.store, &material, &description, own_files(&upload))?;
        crash::point("upload.begun");
        odd = publish(job, &upload, phases).await?;
        odd.extend(unread.into_iter().flatten());
        crash::point("upload.published");
    }
    finish(job, upload, odd).await?;
    crash::point("upload.stored");
    Ok(Next::Step)
}

/// Returns the path of its work directory, below the computer's.
async fn work_dir(computer: &ComputerRow, via: &dyn Transport, uuid: &Uuid) -> StepResult<PathBuf> {
    let config = &computer.config;
    let user = if config.work_dir.contains("{username}") { via.whoami().await? } else { String::new() };
    let base = config.work_dir_of(&user).map_err(StepError::Later)?;
    if !base.starts_with('/') {
        let text = format!("computer `{}`: work_dir `{base}` is not absolute", computer.config.label);
        return Err(StepError::Pause(text));
    }
    Ok(spread(Path::new(&base), uuid))
}

/// Returns the digest of the directory's purpose: this process, these files, this description.
fn digest(job: &Calcjob<'_>, description: &JobDescription) -> StepResult<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(job.process.uuid.as_bytes());
    hasher.update(&ferry_plugin_proto::encode(description));
    for file in job.cx.store.files(job.process.id)? {
        hasher.update(file.path.as_bytes()).update(&[0]).update(file.digest.as_bytes());
    }
    Ok(hasher.finalize().to_hex()[..32].to_owned())
}

/// Makes the job script, if the job runs anything. Returns it with warnings about directives that have no effect.
fn make_script(job: &Calcjob<'_>, upload: &Upload<'_>) -> StepResult<Option<(JobScript, Vec<String>)>> {
    if upload.description.skip_submit {
        return Ok(None);
    }
    let computer = &upload.computer.config;
    let scheduler = job.cx.scheduler(computer).map_err(StepError::Pause)?;
    let parts = Parts {
        name: format!("ferry-{}", job.process.id),
        computer,
        options: upload.options,
        dir: &upload.dir,
        digest: &upload.digest,
        material: upload.material,
    };
    let template = template(&parts, upload.description)?;
    let unread = unread_of_job(&template, &scheduler.capabilities().directives);
    Ok(Some((scheduler.script(&template)?, unread)))
}

/// Returns ferry's own files.
fn own_files(upload: &Upload<'_>) -> Vec<(PathBuf, TreeEntry)> {
    let text = |text: &str, executable| TreeEntry::Bytes { bytes: Arc::from(text.as_bytes()), executable };
    let sentinel = format!("{}\n", upload.digest);
    let mut files = vec![(PathBuf::from(".ferry/sentinel"), text(&sentinel, false))];
    files.extend(
        upload
            .script
            .as_ref()
            .map(|script| (PathBuf::from(&upload.options.submit_script_filename), text(&script.text, true))),
    );
    files
}

async fn sentinel(via: &dyn Transport, dir: &Path) -> StepResult<Option<String>> {
    use tokio::io::AsyncReadExt;
    let mut text = String::new();
    match via.read(&dir.join(".ferry/sentinel"), 0).await {
        Ok(reader) => {
            let read = reader.take(1024).read_to_string(&mut text).await;
            read.map_err(|error| StepError::Later(format!("reading the sentinel: {error}")))?;
            Ok(Some(text.trim_end().to_owned()))
        }
        Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Fills a directory of this attempt alone, and renames it. Returns warnings.
async fn publish(job: &Calcjob<'_>, upload: &Upload<'_>, phases: Vec<Phase>) -> StepResult<Vec<String>> {
    let Upload { via, dir, digest, .. } = upload;
    let parent = dir.parent().unwrap_or(Path::new("/"));
    let attempt = ids::fresh().simple().to_string();
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let staging = parent.join(format!(".up-{name}-{}", &attempt[24..]));
    let published = match fill(job, upload, phases, &staging).await {
        Ok(odd) => via.rename(&staging, dir).await.map(|()| odd).map_err(StepError::from),
        Err(error) => Err(error),
    };
    if published.is_ok() {
        return published;
    }
    // Best effort: the name is this attempt's alone, so a leftover does no harm.
    let _ = via.remove_tree(&staging).await;
    match sentinel(*via, dir).await {
        Ok(Some(found)) if found == *digest => Ok(Vec::new()),
        Ok(Some(_)) => {
            Err(StepError::Pause(format!("the work directory {} belongs to another job", dir.display())))
        }
        _ => published,
    }
}

async fn fill(
    job: &Calcjob<'_>,
    upload: &Upload<'_>,
    phases: Vec<Phase>,
    staging: &Path,
) -> StepResult<Vec<String>> {
    let Upload { via, .. } = upload;
    let mut odd = Vec::new();
    // Done first, so that the job's own files count where names are the same.
    unstash::run(job, *via, staging).await?;
    for phase in phases {
        match phase {
            Phase::Put(tree) => {
                via.put_tree(&tree, staging, QUIET).await.map_err(|error| name_place(job, error, staging))?;
            }
            Phase::Remote => {
                odd.extend(remote::bring(*via, upload.material, upload.description, staging).await?);
            }
        }
    }
    if !via.capabilities().is_local {
        // Compute nodes can read only what has left the cache of this host.
        let sync = Command::sh(format!("sync -f {} 2> /dev/null; true", quote_path(staging)));
        via.exec(&sync).await?;
    }
    Ok(odd)
}

/// Converts an error of writing a tree. Files that conflict with earlier copies are the plugin's mistake;
/// otherwise the directory is the user's to fix.
fn name_place(job: &Calcjob<'_>, error: transport::Error, staging: &Path) -> StepError {
    let path = error.explained();
    let is_inside = path.contains(&format!("{}/", staging.display()));
    match error.kind() {
        ErrorKind::IsADirectory | ErrorKind::NotADirectory if is_inside => {
            StepError::Except(format!("a file and a directory have the same name: {path}"))
        }
        _ => name_work_dir(job, error),
    }
}

fn name_work_dir(job: &Calcjob<'_>, error: transport::Error) -> StepError {
    let computer = job.computer();
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::NotADirectory => StepError::Pause(format!(
            "the work directory of computer `{computer}` can't be written to: {error}; `ferry computer test \
             {computer}` shows more, `ferry computer configure {computer} --work-dir DIR` chooses another; then \
             `ferry process play {}`",
            job.process.id
        )),
        _ => error.into(),
    }
}

async fn finish(job: &mut Calcjob<'_>, upload: Upload<'_>, odd: Vec<String>) -> StepResult {
    let Upload { computer, options, description, script, dir, digest, .. } = upload;
    let path = dir.to_string_lossy().into_owned();
    let mut changes: Vec<Change> = odd.into_iter().map(|line| job.log(Level::Warning, line)).collect();
    if let Some(script) = script {
        let content = job.cx.store.objects().put_bytes(script.text.into_bytes())?;
        let path = options.submit_script_filename.clone();
        let files = vec![FileContent { path, content, executable: true }];
        changes.push(Change::Files { process: job.process.id, files });
        job.state.extras = script.extras;
    }
    // A second upload, for a job that is submitted again, finds the node of the same directory.
    if !job.cx.store.outgoing(job.process.id)?.iter().any(|link| link.label == "remote_folder") {
        let label = computer.config.label.as_str();
        let body = vec![("computer", Value::from(label)), ("path", Value::from(path.as_str()))];
        changes.extend(made(job.process.uuid, "remote_folder", "remote_folder", body, label));
    }
    job.row.work_dir = Some(path);
    job.state.dir = Some(dir);
    job.state.digest = Some(digest);
    if description.skip_submit {
        changes.push(job.log(Level::Report, "nothing is submitted: the calculation only moves files"));
        changes.extend(job.forget_excluded());
        job.go_after_job()?;
    } else {
        job.go(Step::Submit);
    }
    job.commit(changes).await
}
