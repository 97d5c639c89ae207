//! The daemon's side of one plugin host: starting the child, one request at a time, and its end.
//!
//! **Invariant:** a host whose answer is not awaited any more is never used again, and a child that was started is
//! always reaped, even when a future is dropped half-way.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as Pair},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use ferry_plugin_abi::{FLAG_PANIC_UNWIND, status};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{
    io::AsyncWriteExt as _,
    net::UnixStream,
    process::{Child, Command},
    runtime::Handle,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::level_filters::LevelFilter;

use super::{
    Error, ErrorKind, HOST_COMMAND, Result,
    frame::{self, Frame, Incoming},
    output::{Meter, Tail, log_lines, printable},
    serve::refusal_kind,
    signal::describe,
};

/// Time between two checks of the child itself: a grandchild may hold the socket open after the child's death.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Most time that a host may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// Time after a child's end for which its last printed lines are awaited.
const LAST_LINES: Duration = Duration::from_millis(200);
/// Longest text that is accepted from a plugin.
const TEXT_MAX: usize = 16 << 10;

/// One child that has one plugin loaded.
#[derive(Debug)]
pub(super) struct Host {
    child: Option<Child>,
    pid: Pid,
    socket: UnixStream,
    incoming: Incoming,
    plugin: Arc<str>,
    tail: Arc<Tail>,
    meter: Meter,
    printing: Vec<JoinHandle<()>>,
    requests: u64,
    fit: bool,
}

/// A request to a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// The action in words, for errors: `parsing for qe.pw`.
    pub(super) what: &'a str,
    /// A method of the contract.
    pub(super) method: u32,
    /// The message.
    pub(super) payload: &'a [u8],
    /// Time-out, counted from the sending of the request.
    pub(super) deadline: Duration,
}

/// The reason why no answer came.
enum Silence {
    /// The child ended, or closed the socket.
    Died,
    /// The bytes are no frame, or not the expected one.
    Garbled(String),
}

impl Host {
    /// Starts a child and waits until it has loaded the plugin file `path`. Texts call it `plugin`.
    ///
    /// # Errors
    /// `Io` when no child can be started, `Crashed`, `TimedOut`, and those of loading. No child is left.
    pub(super) async fn start(exe: &Path, path: &Path, plugin: Arc<str>, limit: Duration) -> Result<Self> {
        let mut host = Host::spawn(exe, path, plugin)
            .map_err(|error| super::io_error("start plugin host", exe, error))?;
        let ready = timeout(limit, host.greet()).await;
        match ready {
            Ok(Ok(frame)) if frame.tag == frame::READY => host.note_flags(frame.id),
            Ok(Ok(frame)) => {
                host.put_down().await;
                return Err(host.error(refusal_kind(frame.id), text(&frame.payload)));
            }
            Ok(Err(silence)) => return Err(host.fell_silent("loading", silence).await),
            Err(_) => return Err(host.overdue("loading", limit).await),
        }
        host.fit = true;
        Ok(host)
    }

    fn spawn(exe: &Path, path: &Path, plugin: Arc<str>) -> io::Result<Self> {
        let (near, far) = Pair::pair()?;
        near.set_nonblocking(true)?;
        let socket = UnixStream::from_std(near)?;
        let mut child = Command::new(exe)
            .arg(HOST_COMMAND)
            .arg(path)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("the child has no process id"))?;
        let tail = Arc::<Tail>::default();
        let mut printing = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            printing.push(tokio::spawn(log_lines(pipe, "stdout", plugin.clone(), None)));
        }
        if let Some(pipe) = child.stderr.take() {
            printing.push(tokio::spawn(log_lines(pipe, "stderr", plugin.clone(), Some(tail.clone()))));
        }
        Ok(Host {
            child: Some(child),
            pid,
            socket,
            incoming: Incoming::default(),
            plugin,
            tail,
            meter: Meter::new(),
            printing,
            requests: 0,
            fit: false,
        })
    }

    async fn greet(&mut self) -> Result<Frame, Silence> {
        let words = [frame::VERSION, log_level().into()];
        self.exchange(frame::HELLO, 0, words.map(u32::to_le_bytes).as_flattened()).await
    }

    /// Returns its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Returns whether it may be given another request: it is idle, alive, and has not misbehaved.
    pub(super) fn is_fit(&self) -> bool {
        self.fit && !self.is_dead()
    }

    /// Sends a request to the plugin and waits for its answer.
    ///
    /// # Errors
    /// `Refused`, `Panicked`, `BadReply`; `TimedOut` and `Crashed`, after which there is no child left.
    ///
    /// # Cancel safety
    /// After a dropped future the host is not fit. Drop it too, which ends it.
    pub(super) async fn call(&mut self, request: &Request<'_>) -> Result<Vec<u8>> {
        self.fit = false;
        self.requests += 1;
        let answer = self.exchange(request.method, self.requests, request.payload);
        match timeout(request.deadline, answer).await {
            Ok(Ok(frame)) => self.judge(frame, request.what),
            Ok(Err(silence)) => Err(self.fell_silent(request.what, silence).await),
            Err(_) => Err(self.overdue(request.what, request.deadline).await),
        }
    }

    async fn exchange(&mut self, tag: u32, id: u64, payload: &[u8]) -> Result<Frame, Silence> {
        frame::send(&mut self.socket, tag, id, payload).await.map_err(Silence::of)?;
        loop {
            let next = tokio::select! {
                next = self.incoming.next(&mut self.socket) => next.map_err(Silence::of)?,
                () = sleep(LOOK_AGAIN) => {
                    if self.is_dead() { None } else { continue }
                }
            };
            match next.ok_or(Silence::Died)? {
                line if line.tag == frame::LOG => self.log(&line),
                // Any frame during loading answers the greeting, whatever its id.
                frame if tag == frame::HELLO || frame.id == id => return Ok(frame),
                frame => {
                    return Err(Silence::Garbled(format!("an answer to request {}, not {id}", frame.id)));
                }
            }
        }
    }

    fn log(&mut self, line: &Frame) {
        if self.meter.allows(&self.plugin, "log") {
            log_line(&self.plugin, line);
        }
    }

    fn judge(&mut self, frame: Frame, what: &str) -> Result<Vec<u8>> {
        let said = || text(&frame.payload);
        let code = frame.tag.cast_signed();
        // A panic may have left locks poisoned and data half-changed.
        self.fit = (status::OK..=status::UNKNOWN_METHOD).contains(&code) && code != status::PANIC;
        let (kind, message) = match code {
            status::OK => return Ok(frame.payload),
            status::ERROR => (ErrorKind::Refused, said()),
            status::PANIC => (ErrorKind::Panicked, format!("the plugin panicked: {}", said())),
            status::BAD_ARGUMENT => {
                (ErrorKind::Refused, format!("the plugin can't read the request: {}", said()))
            }
            status::UNKNOWN_METHOD => (
                ErrorKind::Refused,
                "the plugin was built with an SDK that does not know this request".into(),
            ),
            status::NEED => {
                (ErrorKind::BadReply, "the plugin asked for data that this request does not have".into())
            }
            _ => (ErrorKind::BadReply, format!("the plugin answered with {}", said())),
        };
        Err(self.error(kind, message).with("during", what))
    }

    async fn fell_silent(&mut self, what: &str, silence: Silence) -> Error {
        match silence {
            Silence::Died => {
                self.await_death().await;
                let end = self.put_down().await;
                let how = end.map_or_else(|| "the cause is unknown".into(), describe);
                self.last_words(ErrorKind::Crashed, format!("died while {what}: {how}"))
            }
            Silence::Garbled(how) => {
                self.put_down().await;
                self.last_words(ErrorKind::BadReply, format!("answered while {what} with {how}"))
            }
        }
    }

    async fn overdue(&mut self, what: &str, limit: Duration) -> Error {
        self.put_down().await;
        self.last_words(
            ErrorKind::TimedOut,
            format!("{what} took longer than {limit:?}; its plugin host was killed"),
        )
    }

    fn error(&self, kind: ErrorKind, message: String) -> Error {
        Error::new(kind, "plugin").message(message).with("plugin", &self.plugin)
    }

    /// Returns an error after which the child is gone. The request may have had effects, and may succeed next
    /// time.
    fn last_words(&self, kind: ErrorKind, message: String) -> Error {
        let error = self.error(kind, message).later().effect_unknown();
        match self.tail.text() {
            Some(lines) => error.with("last lines", lines),
            None => error,
        }
    }

    /// Returns whether the child has ended. It is not reaped, so its process group still has its id.
    pub(super) fn is_dead(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.pid), options), Ok(None))
    }

    /// Waits until the child has ended. A child closes its socket shortly before its exit can be seen.
    async fn await_death(&self) {
        let patience = async {
            while !self.is_dead() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = timeout(GRACE, patience).await;
    }

    /// Kills the child with everything it started, reaps it, and waits shortly for its last output.
    async fn put_down(&mut self) -> Option<ExitStatus> {
        self.fit = false;
        self.kill();
        let mut child = self.child.take()?;
        let end = child.wait().await.ok();
        for task in self.printing.drain(..) {
            let _ = timeout(LAST_LINES, task).await;
        }
        end
    }

    /// Kills the child's process group. Before the child is reaped, its id can't belong to another process.
    fn kill(&self) {
        if self.child.is_some() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Lets the plugin flush and the child end by itself, in bounded time.
    pub(super) async fn end(mut self) {
        self.fit = false;
        let _ = self.socket.shutdown().await;
        let goodbye = async {
            while let Ok(Some(line)) = self.incoming.next(&mut self.socket).await {
                self.log(&line);
            }
        };
        let _ = timeout(GRACE, goodbye).await;
        self.put_down().await;
    }

    /// Logs a plugin that aborts on panic: such a panic ends the host, and its message is lost.
    fn note_flags(&self, flags: u64) {
        if flags & u64::from(FLAG_PANIC_UNWIND) == 0 {
            tracing::debug!(target: "ferry::plugin", plugin = %self.plugin, "built with panic=abort");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
        // Without a runtime, `kill_on_drop` still queues the child for reaping.
        if let (Some(mut child), Ok(runtime)) = (self.child.take(), Handle::try_current()) {
            runtime.spawn(async move { child.wait().await });
        }
    }
}

impl Silence {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Silence::Garbled(error.to_string()),
            _ => Silence::Died,
        }
    }
}

/// Returns the daemon's most verbose level, in the contract's numbers.
fn log_level() -> u16 {
    match LevelFilter::current().into_level() {
        None => 0,
        Some(tracing::Level::ERROR) => 1,
        Some(tracing::Level::WARN) => 2,
        Some(tracing::Level::INFO) => 3,
        Some(tracing::Level::DEBUG) => 4,
        Some(tracing::Level::TRACE) => 5,
    }
}

fn log_line(plugin: &str, frame: &Frame) {
    let at = frame.payload.iter().position(|byte| *byte == 0).unwrap_or_default();
    let (origin, message) =
        (text(&frame.payload[..at]), text(frame.payload.get(at + 1..).unwrap_or_default()));
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(target: "ferry::plugin", plugin, origin, "{message}")
        };
    }
    match frame.id {
        0 | 1 => event!(error),
        2 => event!(warn),
        3 => event!(info),
        4 => event!(debug),
        _ => event!(trace),
    }
}

/// Returns a plugin's text in a form that is safe to show.
fn text(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_MAX)]))
}
