//! The child's side: the code that `ferry plugin-host FILE` runs. One thread serves requests, without tokio.
//! Another watches the socket, so that the host ends with its daemon even while the plugin is in an endless loop.
//!
//! The socket to the daemon arrives as standard input. It is moved to another descriptor, and the plugin finds
//! `/dev/null` in its place. The plugin's output goes into the daemon's log.

use std::{
    fs::File,
    io::{self, BufReader},
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::Path,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::FileType,
    io::Errno,
    process::{
        Resource, Rlimit, Signal, getpgrp, getpid, kill_current_process_group, kill_process, setrlimit,
    },
};

use super::{
    ErrorKind,
    frame::{self, Frame},
    loaded::Loaded,
};

/// Lowest descriptor for the socket; small ones look like a plugin's own.
const FD_MIN: i32 = 100;
/// Time for which a host may go on after its daemon is gone.
const GRACE: Duration = Duration::from_secs(1);
/// Longest text of one log line.
const LOG_MAX: usize = 16 << 10;

/// Serves one plugin file to the daemon at the other end of standard input, until that end is closed. Only the
/// daemon starts it.
pub fn host_main(path: &Path) -> ExitCode {
    match run(path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plugin host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &Path) -> io::Result<()> {
    let socket = take_socket()?;
    // Core files of crashing plugins would fill a disk.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let mut requests = BufReader::new(socket.try_clone()?);
    let max_level = read_hello(&mut requests)?;
    let line: &'static Line = Box::leak(Box::new(Line::new(socket)));
    let watched = requests.get_ref().try_clone()?;
    thread::Builder::new().name("watchdog".into()).spawn(move || watch(&watched, line))?;
    match Loaded::open(path, line, max_level) {
        Ok(plugin) => serve(&plugin, &mut requests, line),
        Err(refusal) => line.send(frame::NOT_READY, refusal_code(refusal.kind), refusal.text.as_bytes()),
    }
}

/// Moves the socket away from standard input.
fn take_socket() -> io::Result<UnixStream> {
    let stdin = io::stdin();
    let mode = rustix::fs::fstat(&stdin)?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::Socket {
        return Err(io::Error::other("this command is for ferry's daemon, not for use by hand"));
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(&stdin, FD_MIN)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket.into())
}

fn read_hello(requests: &mut impl io::Read) -> io::Result<u16> {
    let unfit = || io::Error::other("the daemon is of another version of ferry: restart it");
    let hello = frame::read(requests)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let [v0, v1, v2, v3, l0, l1, _, _] = *hello.payload else { return Err(unfit()) };
    if hello.tag != frame::HELLO || u32::from_le_bytes([v0, v1, v2, v3]) != frame::VERSION {
        return Err(unfit());
    }
    Ok(u16::from_le_bytes([l0, l1]))
}

fn serve(plugin: &Loaded, requests: &mut impl io::Read, line: &Line) -> io::Result<()> {
    line.send(frame::READY, plugin.flags().into(), &[])?;
    while let Some(request) = frame::read(requests)? {
        answer(plugin, &request, line)?;
    }
    plugin.shutdown();
    Ok(())
}

fn answer(plugin: &Loaded, request: &Frame, line: &Line) -> io::Result<()> {
    let answer = plugin.call(request);
    line.send(answer.tag, request.id, answer.payload())
}

/// Waits until the daemon's end is closed, gives the plugin a moment to notice, and kills the process group.
fn watch(socket: &UnixStream, line: &Line) {
    while !is_hung_up(socket) {}
    line.cut.store(true, Ordering::Relaxed);
    thread::sleep(GRACE);
    // Not by exit: handlers of the plugin could keep this process alive.
    let _ = if getpgrp() == getpid() {
        kill_current_process_group(Signal::KILL)
    } else {
        kill_process(getpid(), Signal::KILL)
    };
}

fn is_hung_up(socket: &UnixStream) -> bool {
    let fd = socket.as_fd();
    let mut fds = [PollFd::new(&fd, PollFlags::empty())];
    match poll(&mut fds, None) {
        Err(Errno::INTR) => false,
        // The plugin may have closed the descriptor.
        Err(_) => true,
        Ok(_) => !fds[0].revents().is_empty(),
    }
}

/// The connection to the daemon. Replies and log lines of any thread share it.
#[derive(Debug)]
pub(super) struct Line {
    socket: Mutex<UnixStream>,
    cut: AtomicBool,
}

impl Line {
    fn new(socket: UnixStream) -> Self {
        Line { socket: Mutex::new(socket), cut: AtomicBool::new(false) }
    }

    fn send(&self, tag: u32, id: u64, payload: &[u8]) -> io::Result<()> {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        frame::write(&mut *socket, tag, id, payload)
    }

    /// Sends a log line, cut if it is long. A failure is ignored: the watchdog notices a lost connection.
    pub(super) fn log(&self, level: u32, target: &[u8], message: &[u8]) {
        let cut = |text: &[u8], max: usize| text[..text.len().min(max)].to_vec();
        let mut payload = cut(target, 200);
        payload.retain(|byte| *byte != 0);
        payload.push(0);
        payload.extend(cut(message, LOG_MAX));
        let _ = self.send(frame::LOG, level.into(), &payload);
    }

    /// Returns whether the daemon is gone.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }
}

/// Kinds of error in [`frame::NOT_READY`], by code.
const REFUSALS: [ErrorKind; 5] =
    [ErrorKind::Load, ErrorKind::NotAPlugin, ErrorKind::Abi, ErrorKind::TooSmall, ErrorKind::InitFailed];

fn refusal_code(kind: ErrorKind) -> u64 {
    REFUSALS.iter().position(|each| *each == kind).unwrap_or_default() as u64
}

/// Returns the kind of error for a code.
pub(super) fn refusal_kind(code: u64) -> ErrorKind {
    usize::try_from(code).ok().and_then(|index| REFUSALS.get(index).copied()).unwrap_or(ErrorKind::Load)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_keeps_its_kind() {
        for kind in REFUSALS {
            assert_eq!(refusal_kind(refusal_code(kind)), kind);
        }
        assert_eq!(refusal_kind(99), ErrorKind::Load);
    }
}
