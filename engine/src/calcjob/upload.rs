//! *upload*: the files become a work directory. They go to a name of this try alone (`.up-...`) and are
//! published by a rename that neither nests nor replaces; so a late child of a killed daemon can't disturb a
//! later try, and a directory that has our sentinel is whole.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ferry_plugin_proto::{JobDescription, RemoteItem, Source, Value};
use uuid::Uuid;

use super::{
    Calcjob, Next, Step, StepError, StepResult,
    place::spread,
    script::{Parts, template},
    unstash,
};
use crate::{
    crash, ids,
    process::Options,
    store::{Change, ComputerRow, Content, FileContent, LinkType, NewData, Reader},
    transport::{self, Command, ErrorKind, QUIET, Transport, Tree, TreeEntry, quote_path},
};

pub(super) async fn run(job: &mut Calcjob<'_>) -> StepResult<Next> {
    let (computer, via) = job.cx.connect(job.process.computer.as_deref()).await?;
    let description = job.state.job.clone().ok_or_else(|| StepError::Except("no job was prepared".into()))?;
    let options = job.options()?;
    let dir = match &job.state.dir {
        Some(dir) => dir.clone(),
        None => work_dir(&computer, &*via, &job.process.uuid).await?,
    };
    let digest = digest(job, &description)?;
    let script = make_script(job, &computer, &options, &description, &dir, &digest)?;

    if sentinel(&*via, &dir).await?.as_deref() != Some(&digest) {
        let tree = tree(job, &description, &options, &script, &digest)?;
        crash::point("upload.begun");
        publish(job, &*via, &description, &tree, &dir, &digest).await?;
        crash::point("upload.published");
    }
    finish(job, &computer, options, script, dir, digest).await?;
    crash::point("upload.stored");
    Ok(Next::Step)
}

/// Where its work directory lies, below the computer's.
async fn work_dir(computer: &ComputerRow, via: &dyn Transport, uuid: &Uuid) -> StepResult<PathBuf> {
    let mut base = computer.config.work_dir.clone();
    if base.contains("{username}") {
        base = base.replace("{username}", &via.whoami().await?);
    }
    if !base.starts_with('/') {
        let text = format!("computer `{}`: work_dir `{base}` is not absolute", computer.config.label);
        return Err(StepError::Pause(text));
    }
    Ok(spread(Path::new(&base), uuid))
}

/// What the directory is for: this process, these files, this description.
fn digest(job: &Calcjob<'_>, description: &JobDescription) -> StepResult<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(job.process.uuid.as_bytes());
    hasher.update(&ferry_plugin_proto::encode(description));
    for file in job.cx.store.files(job.process.id)? {
        hasher.update(file.path.as_bytes()).update(&[0]).update(file.digest.as_bytes());
    }
    Ok(hasher.finalize().to_hex()[..32].to_owned())
}

fn make_script(
    job: &Calcjob<'_>,
    computer: &ComputerRow,
    options: &Options,
    description: &JobDescription,
    dir: &Path,
    digest: &str,
) -> StepResult<String> {
    let scheduler = job.cx.scheduler(&computer.config.scheduler).map_err(StepError::Pause)?;
    let parts = Parts { process: &job.process, computer: &computer.config, options, dir, digest };
    Ok(scheduler.script(&template(&job.cx.store, &parts, description)?)?)
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

fn tree(
    job: &Calcjob<'_>,
    description: &JobDescription,
    options: &Options,
    script: &str,
    digest: &str,
) -> StepResult<Tree> {
    let store = &*job.cx.store;
    let mut tree = Tree::default();
    for file in &description.files {
        if let Source::Node { uuid, path } = &file.source {
            let node = store.find_node(uuid)?;
            add_node(store, &mut tree, node.id, path, &file.target, file.executable)?;
        }
    }
    for file in store.files(job.process.id)? {
        let content = store.object(&file.digest)?;
        tree.entries.insert(file.path.into(), entry(store, content, file.executable)?);
    }
    let text = |text: String| TreeEntry::Bytes { bytes: Arc::from(text.into_bytes()), executable: false };
    let script_entry = TreeEntry::Bytes { bytes: Arc::from(script.as_bytes()), executable: true };
    tree.entries.insert(options.submit_script_filename.clone().into(), script_entry);
    tree.entries.insert(".ferry/sentinel".into(), text(format!("{digest}\n")));
    Ok(tree)
}

fn entry(store: &Reader, content: Content, executable: bool) -> StepResult<TreeEntry> {
    Ok(match content {
        Content::Inline(bytes) => TreeEntry::Bytes { bytes: Arc::from(bytes), executable },
        Content::Object { digest, .. } => TreeEntry::File { from: store.object_file(&digest)?, executable },
    })
}

/// One file of a node, or with an empty path all of them.
fn add_node(
    store: &Reader,
    tree: &mut Tree,
    node: crate::store::NodeId,
    path: &str,
    target: &str,
    executable: bool,
) -> StepResult {
    let mut found = false;
    for file in store.files(node)? {
        let inside = file
            .path
            .strip_prefix(path)
            .filter(|rest| rest.is_empty() || path.is_empty() || rest.starts_with('/'));
        let Some(rest) = inside else { continue };
        found = true;
        // A whole `file` node becomes the target itself; a folder's files keep their places below it.
        let rest = rest.trim_start_matches('/');
        let whole_file = path.is_empty() && store.node(node)?.node_type == "file";
        let target =
            if rest.is_empty() || whole_file { PathBuf::from(target) } else { Path::new(target).join(rest) };
        let content = store.object(&file.digest)?;
        tree.entries.insert(target, entry(store, content, executable || file.executable)?);
    }
    if found { Ok(()) } else { Err(StepError::Except(format!("input node {node} has no file `{path}`"))) }
}

async fn publish(
    job: &Calcjob<'_>,
    via: &dyn Transport,
    description: &JobDescription,
    tree: &Tree,
    dir: &Path,
    digest: &str,
) -> StepResult {
    let parent = dir.parent().unwrap_or(Path::new("/"));
    let attempt = ids::fresh().simple().to_string();
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let staging = parent.join(format!(".up-{name}-{}", &attempt[24..]));
    let filled = fill(job, via, description, tree, &staging).await;
    let published = match filled {
        Ok(()) => via.rename(&staging, dir).await.map_err(StepError::from),
        Err(error) => Err(error),
    };
    if published.is_ok() {
        return Ok(());
    }
    // Best effort: the name is this try's alone, so what stays disturbs nobody.
    let _ = via.remove_tree(&staging).await;
    match sentinel(via, dir).await {
        Ok(Some(found)) if found == digest => Ok(()),
        Ok(Some(_)) => {
            Err(StepError::Pause(format!("the work directory {} is another job's", dir.display())))
        }
        _ => published,
    }
}

async fn fill(
    job: &Calcjob<'_>,
    via: &dyn Transport,
    description: &JobDescription,
    tree: &Tree,
    staging: &Path,
) -> StepResult {
    // First, so that the job's own files count where names are the same.
    unstash::run(job, via, staging).await?;
    via.put_tree(tree, staging, QUIET).await.map_err(|error| name_work_dir(job, error))?;
    for item in &description.remote_copies {
        let target = staging.join(&item.target);
        via.mkdirs(target.parent().unwrap_or(staging)).await?;
        via.copy(&remote_path(job, item)?, &target).await?;
    }
    for item in &description.remote_symlinks {
        let target = staging.join(&item.target);
        via.mkdirs(target.parent().unwrap_or(staging)).await?;
        via.symlink(&remote_path(job, item)?, &target).await?;
    }
    if !via.capabilities().is_local {
        // What the queue's other side reads must have left this side's cache.
        let sync = Command::sh(format!("sync -f {} 2> /dev/null; true", quote_path(staging)));
        via.exec(&sync).await?;
    }
    Ok(())
}

fn name_work_dir(job: &Calcjob<'_>, error: transport::Error) -> StepError {
    let computer = job.process.computer.as_deref().unwrap_or("localhost");
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::NotADirectory => StepError::Pause(format!(
            "the work directory of computer `{computer}` can't be written: {error}; `ferry computer test {computer}` \
             shows more, `ferry computer configure {computer} --work-dir DIR` chooses another; then `ferry process play {}`",
            job.process.id
        )),
        _ => error.into(),
    }
}

fn remote_path(job: &Calcjob<'_>, item: &RemoteItem) -> StepResult<PathBuf> {
    let node = job.cx.store.find_node(&item.node)?;
    if node.body.get("computer").and_then(Value::as_str) != job.process.computer.as_deref() {
        return Err(StepError::Except(format!("the remote folder {} is on another computer", node.id)));
    }
    let path = node.body.get("path").and_then(Value::as_str).unwrap_or_default();
    if !path.starts_with('/') {
        return Err(StepError::Except(format!("node {} is no remote folder", node.id)));
    }
    Ok(Path::new(path).join(&item.path))
}

async fn finish(
    job: &mut Calcjob<'_>,
    computer: &ComputerRow,
    options: Options,
    script: String,
    dir: PathBuf,
    digest: String,
) -> StepResult {
    let path = dir.to_string_lossy().into_owned();
    let remote = ids::fresh();
    let label = computer.config.label.clone();
    let body = [
        ("computer".to_owned(), Value::from(label.as_str())),
        ("path".to_owned(), Value::from(path.as_str())),
    ];
    let content = job.cx.store.objects().put_bytes(script.into_bytes())?;
    let files = vec![FileContent { path: options.submit_script_filename, content, executable: true }];
    let mut changes = vec![Change::Files { process: job.process.id, files }];
    // A second upload, for a job that is submitted anew, has the same directory and its node.
    let remote_folder = [
        Change::Data(NewData {
            uuid: remote,
            data_type: "remote_folder".into(),
            label: String::new(),
            description: String::new(),
            body: Value::Map(body.into()),
            files: Vec::new(),
            computer: Some(label),
        }),
        Change::Link {
            source: job.process.uuid,
            target: remote,
            link_type: LinkType::Create,
            label: "remote_folder".into(),
        },
    ];
    if !job.cx.store.outgoing(job.process.id)?.iter().any(|link| link.label == "remote_folder") {
        changes.extend(remote_folder);
    }
    job.process.work_dir = Some(path);
    job.state.dir = Some(dir);
    job.state.digest = Some(digest);
    job.go(Step::Submit);
    job.commit(changes).await
}
