//! The work directory: made, written, read back, renamed in, cleared.

use std::path::{Path, PathBuf};

use ferry_engine::transport::{Command, Error, ErrorKind, Result, quote_path};
use tokio::io::AsyncReadExt;

use super::{Bench, Check, shorten};

const STEP: &str = "files";

/// Makes the work directory.
pub(super) async fn work_directory(bench: &Bench) -> Check {
    const STEP: &str = "work directory";
    match bench.via.mkdirs(&bench.work_dir).await {
        Ok(()) => Check::ok(STEP, bench.work_dir.display().to_string()),
        Err(error) => Check::failed(STEP, &error, help(bench, &error, &nearest(bench).await)),
    }
}

/// Returns the work directory, or the lowest existing directory above it.
async fn nearest(bench: &Bench) -> PathBuf {
    for dir in bench.work_dir.ancestors() {
        if bench.via.stat(dir).await.is_ok() {
            return dir.to_owned();
        }
    }
    bench.work_dir.clone()
}

/// Does there what a job's upload does, in a directory of its own, and clears up.
pub(super) async fn files(bench: &Bench) -> Check {
    let dir = bench.fresh_dir();
    let check = match tried(bench, &dir).await {
        Ok(check) => check,
        Err(error) => Check::failed(STEP, &error, help(bench, &error, &bench.work_dir)),
    };
    match bench.via.remove_tree(&dir).await {
        Err(error) if check.ok => Check::failed(STEP, &error, help(bench, &error, &bench.work_dir)),
        _ => check,
    }
}

async fn tried(bench: &Bench, dir: &Path) -> Result<Check> {
    let via = &bench.via;
    let text = b"ferry was here\n";
    via.mkdir(dir).await?;
    let file = dir.join("file");
    via.write(&file, &mut text.as_slice(), false).await?;
    let mut back = Vec::new();
    let mut reader = via.read(&file, 0).await?;
    reader.read_to_end(&mut back).await.map_err(|source| Error::from_io("read", &file, source))?;
    if back != text {
        let help = "the file system there loses data: choose another work_dir, and tell its administrator";
        return Ok(Check::failed(STEP, "a file reads back otherwise than it was written", help));
    }
    if let Some(problem) = replaces(bench, dir).await? {
        return Ok(problem);
    }
    if let Some(problem) = no_hard_links(bench, dir).await? {
        return Ok(problem);
    }
    let how = if via.capabilities().files_by_commands { ", by commands: the server has no SFTP" } else { "" };
    Ok(Check::ok(STEP, format!("written, read back, linked, renamed, removed{how}")))
}

/// Checks that a rename does not replace an existing directory: this is how a work directory is published
/// once.
async fn replaces(bench: &Bench, dir: &Path) -> Result<Option<Check>> {
    let (from, to) = (dir.join("from"), dir.join("to"));
    bench.via.mkdir(&from).await?;
    bench.via.mkdir(&to).await?;
    match bench.via.rename(&from, &to).await {
        Err(error) if *error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
        Ok(()) => {
            let help = "choose a work_dir on another file system";
            return Ok(Some(Check::failed(STEP, "a rename replaced an existing directory", help)));
        }
    }
    bench.via.rename(&from, &dir.join("new")).await?;
    Ok(None)
}

/// Checks hard links, by which a job takes its start gate.
async fn no_hard_links(bench: &Bench, dir: &Path) -> Result<Option<Check>> {
    let script = format!("cd {} && ln file link && [ -s link ]", quote_path(dir));
    let output = bench.via.exec(&Command::sh(script)).await?;
    let help = format!(
        "choose a work_dir on a file system with hard links: ferry computer configure {} --work-dir DIR",
        bench.computer.label
    );
    let detail = || format!("hard links can't be made: {}", shorten(&output.error_text()));
    Ok((output.status != 0).then(|| Check::failed(STEP, detail(), help)))
}

fn help(bench: &Bench, error: &Error, dir: &Path) -> String {
    let other = format!("ferry computer configure {} --work-dir /another/dir", bench.computer.label);
    let dir = dir.display();
    match error.kind() {
        ErrorKind::PermissionDenied => {
            format!("make it writable (`chmod u+rwx {dir}`), or choose another: {other}")
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            format!("a file is in the way: remove it, or choose another directory: {other}")
        }
        ErrorKind::StorageFull => {
            format!("free some space or quota there, or choose another directory: {other}")
        }
        _ => error.help_text().map_or_else(|| format!("choose another directory: {other}"), str::to_owned),
    }
}
