//! Single files and directories: metadata, listing, making, removing, renaming.

pub(crate) mod fetch;
pub(crate) mod tar;
pub(crate) mod temp_file;
pub(crate) mod tree;
pub(crate) mod write;

use std::{path::Path, sync::Arc};

use ferry_engine_core::transport::{Entry, ErrorKind, FileKind, Metadata, Result};

use crate::sftp::{
    LSTAT, MKDIR, OPENDIR, REMOVE, RENAME, RMDIR, Request, SETSTAT, STAT, SYMLINK, Sftp, Status,
    errors::{explain, explain_parent, fault, is, named},
};

/// The name of OpenSSH's rename that replaces, as in POSIX.
const POSIX_RENAME: &str = "posix-rename@openssh.com";

/// Most names of one directory. A server that never ends its listing must not fill the memory.
const LISTED: usize = 1_000_000;
/// Most answers of a listing that hold no name, one after the other.
const IDLE: usize = 1000;

pub(crate) async fn stat(sftp: &Sftp, path: &Path) -> Result<Metadata> {
    sftp.facts("stat", STAT, path).await?.map_err(|status| fault("stat", path, status))
}

pub(crate) async fn lstat(sftp: &Sftp, path: &Path) -> Result<Metadata> {
    sftp.facts("lstat", LSTAT, path).await?.map_err(|status| fault("lstat", path, status))
}

pub(crate) async fn list(sftp: &Arc<Sftp>, operation: &'static str, dir: &Path) -> Result<Vec<Entry>> {
    let handle = match sftp.handle(operation, Request::new(OPENDIR).path(dir)).await? {
        Ok(handle) => handle,
        Err(status) => return not_listed(sftp, operation, dir, status).await,
    };
    let (mut entries, mut idle) = (Vec::new(), 0);
    loop {
        let more = sftp
            .names(operation, &handle)
            .await
            .map_err(|error| named(error, dir))?
            .map_err(|status| fault(operation, dir, status))?;
        let Some(more) = more else { return Ok(entries) };
        idle = if more.is_empty() { idle + 1 } else { 0 };
        entries.extend(more);
        if entries.len() > LISTED || idle > IDLE {
            return Err(is(ErrorKind::Unsupported, operation, dir)
                .message(format!("it has more than {LISTED} names, or its listing does not end")));
        }
    }
}

async fn not_listed<T>(sftp: &Sftp, operation: &'static str, dir: &Path, status: Status) -> Result<T> {
    match sftp.facts(operation, STAT, dir).await? {
        Ok(facts) if facts.kind != FileKind::Dir => Err(is(ErrorKind::NotADirectory, operation, dir)),
        _ => Err(fault(operation, dir, status)),
    }
}

pub(crate) async fn mkdir(sftp: &Sftp, dir: &Path) -> Result<()> {
    match sftp.act("mkdir", Request::new(MKDIR).path(dir).mode(None)).await? {
        Ok(()) => Ok(()),
        Err(status) => explain(sftp, "mkdir", dir, status, |_| Some(ErrorKind::AlreadyExists)).await,
    }
}

pub(crate) async fn remove_file(sftp: &Sftp, path: &Path) -> Result<()> {
    match sftp.act("remove_file", Request::new(REMOVE).path(path)).await? {
        Ok(()) => Ok(()),
        Err(status) => {
            let is_dir = |facts: &Metadata| (facts.kind == FileKind::Dir).then_some(ErrorKind::IsADirectory);
            explain(sftp, "remove_file", path, status, is_dir).await
        }
    }
}

pub(crate) async fn remove_dir(sftp: &Sftp, dir: &Path) -> Result<()> {
    match sftp.act("remove_dir", Request::new(RMDIR).path(dir)).await? {
        Ok(()) => Ok(()),
        Err(status) => {
            let code = status.code;
            let explanation = move |facts: &Metadata| match facts.kind {
                FileKind::Dir if code == Status::FAILURE => Some(ErrorKind::NotEmpty),
                FileKind::Dir => None,
                _ => Some(ErrorKind::NotADirectory),
            };
            explain(sftp, "remove_dir", dir, status, explanation).await
        }
    }
}

pub(crate) async fn symlink(sftp: &Sftp, target: &Path, link: &Path) -> Result<()> {
    match sftp.act("symlink", link_request(target, link)).await? {
        Ok(()) => Ok(()),
        Err(status) => explain(sftp, "symlink", link, status, |_| Some(ErrorKind::AlreadyExists)).await,
    }
}

/// Returns the request for a link. OpenSSH swaps the two paths compared with the draft, and other servers follow
/// it.
pub(crate) fn link_request(target: &Path, link: &Path) -> Request {
    Request::new(SYMLINK).path(target).path(link)
}

pub(crate) async fn chmod(sftp: &Sftp, path: &Path, mode: u32) -> Result<()> {
    let request = Request::new(SETSTAT).path(path).mode(Some(mode & 0o7777));
    sftp.act("chmod", request).await?.map_err(|status| fault("chmod", path, status))
}

/// Renames to a free name. Servers refuse an existing file atomically. For the rest the target is checked first.
/// Because of the gap between the two, [`Capabilities`](ferry_engine_core::transport::Capabilities) promises nothing.
pub(crate) async fn rename(sftp: &Sftp, operation: &'static str, from: &Path, to: &Path) -> Result<()> {
    let at_target = |kind| is(kind, operation, from).with("target", to.display());
    if sftp.facts(operation, LSTAT, to).await?.is_ok() {
        // A missing source is an error whatever the target is.
        sftp.facts(operation, LSTAT, from).await?.map_err(|status| fault(operation, from, status))?;
        return Err(at_target(ErrorKind::AlreadyExists));
    }
    let Err(status) = sftp.act(operation, Request::new(RENAME).path(from).path(to)).await? else {
        return Ok(());
    };
    let there = sftp.facts(operation, LSTAT, from).await?;
    if there.is_ok() && sftp.facts(operation, LSTAT, to).await?.is_ok() {
        return Err(at_target(ErrorKind::AlreadyExists));
    }
    let into_itself = to.starts_with(from);
    let error = fault(operation, from, status.clone()).with("target", to.display());
    if there.is_ok()
        && status.code == Status::FAILURE
        && !into_itself
        && leads_elsewhere(sftp, from, to).await?
    {
        return Err(at_target(ErrorKind::Unsupported)
            .help("copy it, then remove it: it may be on another file system"));
    }
    Err(error)
}

/// Returns whether a rename failed although both directories exist and may be changed. Then the file system is the
/// only reason left.
async fn leads_elsewhere(sftp: &Sftp, from: &Path, to: &Path) -> Result<bool> {
    for parent in [from.parent(), to.parent()].into_iter().flatten() {
        match sftp.facts("rename", STAT, parent).await? {
            Ok(facts) if facts.kind == FileKind::Dir => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Renames, replacing a file or link that is there.
///
/// # Errors
/// `IsADirectory` if the target is a directory.
pub(crate) async fn replace(sftp: &Sftp, operation: &'static str, from: &Path, to: &Path) -> Result<()> {
    match sftp.act(operation, replace_request(sftp, from, to)).await? {
        Ok(()) => Ok(()),
        Err(status) => not_replaced(sftp, operation, from, to, status).await,
    }
}

pub(crate) fn replace_request(sftp: &Sftp, from: &Path, to: &Path) -> Request {
    let request = if sftp.has(POSIX_RENAME) { Request::extended(POSIX_RENAME) } else { Request::new(RENAME) };
    request.path(from).path(to)
}

/// Finds out the reason. On a server without [`POSIX_RENAME`], does in two steps what can't be done in one.
pub(crate) async fn not_replaced(
    sftp: &Sftp,
    operation: &'static str,
    from: &Path,
    to: &Path,
    status: Status,
) -> Result<()> {
    match sftp.facts(operation, LSTAT, to).await? {
        Ok(facts) if facts.kind == FileKind::Dir => Err(is(ErrorKind::IsADirectory, operation, to)),
        Ok(_) if !sftp.has(POSIX_RENAME) && status.code == Status::FAILURE => {
            let step =
                |request| async { sftp.act(operation, request).await?.map_err(|s| fault(operation, to, s)) };
            step(Request::new(REMOVE).path(to)).await?;
            step(Request::new(RENAME).path(from).path(to)).await
        }
        _ => explain_parent(sftp, operation, to, status).await,
    }
}
