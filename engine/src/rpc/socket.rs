//! Binding and connecting Unix sockets whose paths may be longer than the 107 bytes that a socket address holds.
//! The directory is opened, and the socket is named through `/proc/self/fd`.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

fn short(path: &Path) -> io::Result<(File, PathBuf)> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let dir = File::open(parent)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
    Ok((dir, short))
}

pub(crate) async fn connect(path: &Path) -> io::Result<UnixStream> {
    let (_dir, short) = short(path)?;
    UnixStream::connect(short).await
}

/// Binds the socket, and replaces a stale file. The caller holds the profile's lock, so no live owner can use it.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (_dir, short) = short(path)?;
    let listener = UnixListener::bind(short)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}
