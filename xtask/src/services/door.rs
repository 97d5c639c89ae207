//! The door at the far end of the wire: listens in the wire's namespace and starts an sshd for each
//! connection, as inetd does, in this machine's own network. So cutting the wire cuts connections, and not
//! their sessions from Slurm.
//!
//! Sessions behind it have a directory that no other process sees, as a login node has: a file system in
//! memory, mounted in the door's own mount namespace.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Service, packages, sshd::Sshd, wire};
use crate::flags::DoorFlags;

/// Mounts its first word and becomes the rest.
const MOUNT: &str = r#"mount -t tmpfs -o size=64m ferry "$1" && shift && exec "$@""#;

/// Returns the daemon that keeps the door of a wire. Only its sessions see something in `hidden`.
///
/// # Errors
/// Fails if a program is missing.
pub(super) fn service(sshd: &Sshd, wire: &wire::Wire, hidden: &Path) -> Result<Service> {
    super::make_dir(hidden)?;
    let own = own_path()?;
    let program = packages::program("sshd").context("no sshd on this machine")?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut words: Vec<String> =
        ["unshare", "--mount", "--propagation", "slave", "sh", "-c", MOUNT, "sh"].map(str::to_owned).to_vec();
    words.extend([text(hidden), text(&own), "door".into(), wire.namespace.clone()]);
    words.extend([wire.address.to_string(), sshd.port.to_string(), "--".into(), text(&program)]);
    words.extend(["-i".into(), "-e".into(), "-f".into(), text(&sshd.server_config)]);
    Ok(Service::new("door", words))
}

/// Runs the chore; never returns but with an error.
///
/// # Errors
/// Fails if there is no such namespace, or if its address is taken.
pub(crate) fn run(flags: &DoorFlags) -> Result<ExitCode> {
    let listener = listen(&flags.namespace, flags.address, flags.port)?;
    let mut sessions: Vec<Child> = Vec::new();
    loop {
        let (stream, _) = listener.accept().context("could not accept a connection")?;
        // `try_wait` reaps those that have ended.
        sessions.retain_mut(|session| matches!(session.try_wait(), Ok(None)));
        match answer(stream, &flags.command) {
            Ok(session) => sessions.push(session),
            Err(error) => eprintln!("{error:#}"),
        }
    }
}

/// Opens a listening socket in a namespace. A socket stays in the namespace in which it was made, so a thread
/// enters it to make the socket.
fn listen(namespace: &str, address: Ipv4Addr, port: u16) -> Result<TcpListener> {
    let file = wire::namespace_file(namespace);
    let inside = move || {
        let file =
            std::fs::File::open(&file).with_context(|| format!("could not open {}", file.display()))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .context("could not enter the namespace")?;
        TcpListener::bind((address, port)).with_context(|| format!("could not listen on {address}:{port}"))
    };
    std::thread::spawn(inside).join().map_err(|_| anyhow::anyhow!("the listening thread panicked"))?
}

fn answer(stream: TcpStream, command: &[String]) -> Result<Child> {
    let (program, words) = command.split_first().context("no command to answer with")?;
    let out = OwnedFd::from(stream.try_clone().context("could not share a connection")?);
    let mut session = Command::new(program);
    session.args(words).stdin(OwnedFd::from(stream)).stdout(out);
    session.spawn().with_context(|| format!("could not start {program}"))
}

/// Returns the path of this program. `test` builds the whole workspace, this program too. So the file that it
/// was started from may have been replaced, which the kernel marks behind the name.
pub(super) fn own_path() -> Result<PathBuf> {
    let own = std::env::current_exe().context("could not find out where this program is")?;
    Ok(without_mark(&own))
}

fn without_mark(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    text.strip_suffix(" (deleted)").map_or_else(|| path.to_owned(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_program_is_found_by_its_name() {
        assert_eq!(without_mark(Path::new("/a/xtask (deleted)")), Path::new("/a/xtask"));
        assert_eq!(without_mark(Path::new("/a/xtask")), Path::new("/a/xtask"));
    }
}
