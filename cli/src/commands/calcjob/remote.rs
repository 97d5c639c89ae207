//! A calcjob's work directory on its computer, reached from this program.

use std::{
    os::unix::process::CommandExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ferry_engine::{
    calcjob::{Checkpoint, Step},
    store::{Process, Reader},
    transport::{ErrorKind, FileKind, Transport, Transports},
};
use tokio::{io::AsyncReadExt, time::sleep};

use super::find;
use crate::{
    error::{Failure, Result},
    output,
    session::Session,
    view,
};

/// Interval between two looks at a followed file.
const LOOK: Duration = Duration::from_millis(500);
/// Number of bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// A work directory within reach.
struct WorkDir {
    via: Arc<dyn Transport>,
    dir: PathBuf,
}

async fn open(session: &Session, reader: &Reader, process: &Process) -> Result<WorkDir> {
    let dir = process.work_dir().map(PathBuf::from).ok_or_else(|| {
        Failure::new(format!("{} has no work directory yet", view::title(process)))
            .help(format!("it is {}", view::state(process)))
    })?;
    let computer = reader.computer(process.computer().unwrap_or("localhost"))?;
    let via = Transports::new(session.builder.transports.iter().cloned()).get(&computer.config).await?;
    Ok(WorkDir { via, dir })
}

/// Prints a file of the work directory; goes on until the job ends if `follow`.
pub(super) async fn cat(session: &Session, name: &str, path: Option<&str>, follow: bool) -> Result {
    let reader = session.reader().await?;
    let process = find(&reader, name)?;
    let usual = || view::option(&reader.node(process.id).ok()?, "scheduler_stdout");
    let path = path.map(str::to_owned).or_else(usual).unwrap_or_default();
    if !is_inside(&path) {
        return Err(Failure::usage(format!("`{path}` does not lie in the work directory"))
            .help("give a path relative to it, without `..`"));
    }
    let process = if follow { begun(&reader, process).await? } else { process };
    let place = open(session, &reader, &process).await?;
    let file = place.dir.join(&path);
    if follow {
        return tail(&reader, &process, &place, &file).await;
    }
    match place.via.stat(&file).await {
        Ok(facts) if facts.kind == FileKind::Dir => {
            Err(listing(&place, &path, "is a directory", &file).await)
        }
        Err(error) if *error.kind() == ErrorKind::NotFound => {
            Err(listing(&place, &path, "not found", &place.dir).await)
        }
        other => {
            other?;
            copy(&place, &file, 0).await.map(drop)
        }
    }
}

fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Makes the error for a path that is no file: it lists what there is instead.
async fn listing(place: &WorkDir, path: &str, why: &str, dir: &Path) -> Failure {
    let mut failure = Failure::new(format!("{path}: {why}; there are:"));
    match place.via.list(dir).await {
        Ok(entries) => {
            let mut names: Vec<_> =
                entries.into_iter().map(|entry| entry.name.to_string_lossy().into_owned()).collect();
            names.sort();
            failure.lines.extend(names);
            failure
        }
        Err(error) => error.into(),
    }
}

/// Copies a file from an offset on to stdout; gives the offset of its end.
async fn copy(place: &WorkDir, file: &Path, offset: u64) -> Result<u64> {
    let mut stream = place.via.read(file, offset).await?;
    let mut buffer = vec![0; CHUNK];
    let mut end = offset;
    let mut out = output::FileOutput::new();
    loop {
        match stream.read(&mut buffer).await? {
            0 => return out.end().map(|()| end),
            n => {
                out.write(&buffer[..n])?;
                end += n as u64;
            }
        }
    }
}

/// Waits until a process has a work directory, or has ended without.
async fn begun(reader: &Reader, mut process: Process) -> Result<Process> {
    if process.work_dir().is_none() && !process.state.is_terminal() {
        output::note(format!("{} has no work directory yet", view::title(&process)));
    }
    while process.work_dir().is_none() && !process.state.is_terminal() {
        sleep(LOOK).await;
        output::check_reader();
        process = reader.process(process.id)?;
    }
    Ok(process)
}

/// Prints what is in a file and what is added, until the job has ended.
async fn tail(reader: &Reader, process: &Process, place: &WorkDir, file: &Path) -> Result {
    let mut offset = 0;
    let mut waiting = false;
    loop {
        // Looked at before the file, so that what the job wrote last is printed too.
        let over = has_ended(&reader.process(process.id)?);
        match place.via.stat(file).await {
            Ok(facts) => {
                if facts.size < offset {
                    output::note("the file became shorter; printing it from its beginning");
                    offset = 0;
                }
                offset = copy(place, file, offset).await?;
            }
            Err(error) if *error.kind() == ErrorKind::NotFound && !over => {
                if !waiting {
                    output::note(format!("{} is not there yet", file.display()));
                    waiting = true;
                }
            }
            Err(error) => return Err(error.into()),
        }
        if over {
            return Ok(());
        }
        sleep(LOOK).await;
        output::check_reader();
    }
}

/// Returns whether the job of a process writes no more.
fn has_ended(process: &Process) -> bool {
    let step = Checkpoint::read(process.checkpoint()).map(|checkpoint| checkpoint.step);
    process.state.is_terminal() || matches!(step, Ok(Step::Stash | Step::Retrieve | Step::Parse))
}

/// Becomes a shell in the work directory.
pub(super) async fn go(session: &Session, name: &str, print: bool) -> Result {
    let reader = session.reader().await?;
    let process = find(&reader, name)?;
    let place = open(session, &reader, &process).await?;
    let words = place.via.shell_command(&place.dir);
    if print {
        let quoted: Vec<_> = words.iter().map(|word| ferry_engine::transport::quote_os(word)).collect();
        return output::line(quoted.join(" "));
    }
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::new("this computer's transport has no shell to offer"));
    };
    let error = std::process::Command::new(program).args(arguments).exec();
    Err(Failure::new(format!("can't run {}: {error}", program.display())))
}

#[cfg(test)]
mod tests {
    use super::is_inside;

    #[test]
    fn paths_stay_in_the_work_directory() {
        for good in ["a", "./a", "a/b"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in ["", "/a", "../a", "a/../../b"] {
            assert!(!is_inside(bad), "{bad}");
        }
    }
}
