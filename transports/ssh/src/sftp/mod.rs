//! ferry's own SFTP client: many requests in flight on one session, answered in any order; names are bytes.
//!
//! Requests reach the server in the order in which they are sent, even if their sender has gone since. So a
//! dropped file is closed, and a dropped temporary file removed, after all earlier requests about it.

pub(crate) mod errors;
mod packet;
mod reader;
mod waiting;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use ferry_engine_core::transport::{Entry, Error, ErrorKind, Metadata, Result};
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{sleep, timeout},
};

pub(crate) use packet::{Reply, Request, Status};
pub(crate) use reader::open as open_reader;

use crate::connection::{
    Connection,
    session::{Outlet, Slot},
};
use waiting::{Silence, Waiting};

/// Time that an answer may take: file systems of clusters stall at times.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time for which requests behind one that hangs are kept once that one is told of: where all belong to one operation,
/// the first error counts.
const RELEASE: Duration = Duration::from_millis(500);
/// Most time until the request before ours is told that it hangs.
const BEHIND: Duration = Duration::from_secs(90);
/// Requests with data in flight, for all callers together. Times [`CHUNK`], it bounds the memory of the answers.
const IN_FLIGHT: usize = 512;
/// Bytes in one request; servers split larger ones.
pub(crate) const CHUNK: usize = 32 << 10;
/// Size of the largest packet that a server sends. A larger one is the output of a login file.
const LARGEST: usize = 512 << 10;

/// One open SFTP session.
pub(crate) struct Sftp {
    connection: Arc<Connection>,
    outgoing: mpsc::UnboundedSender<Bytes>,
    waiting: Arc<Waiting>,
    next: AtomicU32,
    budget: Arc<Semaphore>,
    extensions: Vec<String>,
}

impl std::fmt::Debug for Sftp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sftp").finish_non_exhaustive()
    }
}

/// The reason why there is no SFTP session.
#[derive(Debug)]
pub(crate) enum Missing {
    /// The server refused the subsystem, or its program ended at once: the connection may be fine.
    Sftp(Error),
    Other(Error),
}

impl From<Error> for Missing {
    fn from(error: Error) -> Self {
        Missing::Other(error)
    }
}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        let (Missing::Sftp(error) | Missing::Other(error)) = missing;
        error
    }
}

/// The shared session. It is opened when first needed, and given up where a server allows no other beside it.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    current: Mutex<Option<Arc<Sftp>>>,
    opening: AsyncMutex<()>,
}

impl Cache {
    /// Returns the session, and opens it if need be.
    ///
    /// # Errors
    /// [`Missing::Sftp`] if the server has none, or starts none; those of opening a session.
    pub(crate) async fn get(
        &self,
        connection: &Arc<Connection>,
        operation: &'static str,
    ) -> Result<Arc<Sftp>, Missing> {
        connection.check(operation)?;
        if let Some(sftp) = self.current() {
            return Ok(sftp);
        }
        let _alone = self.opening.lock().await;
        if let Some(sftp) = self.current() {
            return Ok(sftp);
        }
        // In a task of its own, so that a dropped caller leaves no session behind.
        let connection = connection.clone();
        let opening = tokio::spawn(async move { Sftp::open(&connection, operation).await });
        let lost =
            |_| Error::new(ErrorKind::Other, operation).message("opening SFTP was interrupted").later();
        let sftp = Arc::new(opening.await.map_err(lost)??);
        self.with(|current| *current = Some(sftp.clone()));
        Ok(sftp)
    }

    /// Gives the session up if it is not in use.
    pub(crate) fn yield_idle(&self) {
        self.with(|current| {
            if current.as_ref().is_some_and(|sftp| Arc::strong_count(sftp) == 1) {
                *current = None;
            }
        });
    }

    fn current(&self) -> Option<Arc<Sftp>> {
        self.with(|current| current.as_ref().filter(|sftp| sftp.is_fit()).cloned())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Option<Arc<Sftp>>) -> T) -> T {
        act(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An answer that is awaited.
#[derive(Debug)]
pub(crate) struct Pending {
    id: u32,
    reply: oneshot::Receiver<Option<Reply>>,
    waiting: Arc<Waiting>,
    connection: Arc<Connection>,
    operation: &'static str,
}

impl Pending {
    /// Waits for the answer.
    ///
    /// # Errors
    /// `Stalled` if the server hangs in this request and answers others; `Interrupted` if this request was sent behind
    /// such a one; `TimedOut` if it answers nothing; `Unreachable`; `Other` for an invalid answer.
    pub(crate) async fn wait(mut self) -> Result<Reply> {
        let failed = |kind, message: &str| Error::new(kind, self.operation).message(message).later();
        let answer = timeout(PATIENCE, &mut self.reply);
        let answer = match self.connection.alive(self.operation, answer).await? {
            Ok(answer) => answer.ok(),
            Err(_) if self.waiting.time_out(self.id) == Silence::First => return Err(self.hangs().await),
            Err(_) => {
                let answer = timeout(BEHIND, &mut self.reply);
                self.connection.alive(self.operation, answer).await?.ok().and_then(Result::ok)
            }
        };
        match answer {
            Some(Some(reply)) => Ok(reply),
            Some(None) => Err(failed(ErrorKind::Other, "the server's answer is invalid")),
            None if self.waiting.is_stuck() => {
                Err(failed(ErrorKind::Interrupted, "it was sent behind a request in which the server hangs"))
            }
            None => Err(failed(ErrorKind::Unreachable, "the SFTP session ended")),
        }
    }

    /// Returns the error of a request in which the server hangs, and gives the session's other requests up soon.
    async fn hangs(&self) -> Error {
        let answers = self.connection.answers_files(self.operation).await;
        let waiting = self.waiting.clone();
        tokio::spawn(async move {
            sleep(RELEASE).await;
            waiting.end();
        });
        let told = |kind, what: &str| {
            let message = format!("{what} did not answer within {PATIENCE:?}");
            Error::new(kind, self.operation)
                .message(message)
                .with("host", self.connection.endpoint.address())
                .later()
        };
        if !answers {
            return told(ErrorKind::TimedOut, "the server's files");
        }
        self.connection.set_aside();
        told(ErrorKind::Stalled, "a file or directory")
            .help("the computer answers otherwise: is its file system there up?")
    }

    /// Waits for an answer that is only a status.
    pub(crate) async fn done(self) -> Result<Result<(), Status>> {
        let operation = self.operation;
        match self.wait().await? {
            Reply::Status(status) if status.code == Status::OK => Ok(Ok(())),
            Reply::Status(status) => Ok(Err(status)),
            _ => Err(odd(operation)),
        }
    }
}

impl Pending {
    /// Waits for an answer that is metadata.
    pub(crate) async fn metadata(self) -> Result<Result<Metadata, Status>> {
        let operation = self.operation;
        match self.wait().await? {
            Reply::Attributes(metadata) => Ok(Ok(metadata)),
            Reply::Status(status) => Ok(Err(status)),
            _ => Err(odd(operation)),
        }
    }
}

fn odd(operation: &'static str) -> Error {
    Error::new(ErrorKind::Other, operation).message("the server's answer is to another question")
}

impl Connection {
    /// Returns whether the server still answers about files, by a session of its own.
    async fn answers_files(self: &Arc<Self>, operation: &'static str) -> bool {
        let connection = self.clone();
        let opening = tokio::spawn(async move { Sftp::open(&connection, operation).await });
        matches!(timeout(self.endpoint.timeout * 2, opening).await, Ok(Ok(Ok(_))))
    }
}

impl Sftp {
    async fn open(connection: &Arc<Connection>, operation: &'static str) -> Result<Self, Missing> {
        let (channel, slot) = connection.open_session(operation, || connection.cool_down()).await?;
        let (mut read, write) = channel.split();
        let write = Outlet::new(write);
        let patience = connection.endpoint.timeout;
        let greeted = connection.alive(operation, timeout(patience, greet(&mut read, &write))).await;
        let extensions = match greeted {
            Ok(Ok(Ok(extensions))) => extensions,
            Ok(Ok(Err(fault))) => {
                connection.close_channel(read, write).await;
                return if matches!(fault, Greeting::NoSubsystem | Greeting::Ended(Some(_))) {
                    Err(Missing::Sftp(fault.error(operation, connection)))
                } else {
                    Err(fault.error(operation, connection).into())
                };
            }
            Ok(Err(_)) => {
                connection.close_channel(read, write).await;
                return Err(Greeting::Silent.error(operation, connection).into());
            }
            Err(error) => return Err(error.into()),
        };
        let (outgoing, queue) = mpsc::unbounded_channel();
        let waiting = Arc::new(Waiting::new());
        let carrier = Carrier {
            connection: connection.clone(),
            outgoing: outgoing.downgrade(),
            waiting: waiting.clone(),
        };
        tokio::spawn(carrier.serve(read, write, queue, slot));
        Ok(Sftp {
            connection: connection.clone(),
            outgoing,
            waiting,
            next: AtomicU32::new(1),
            budget: Arc::new(Semaphore::new(IN_FLIGHT)),
            extensions,
        })
    }

    /// Returns whether the session takes new requests: it has not ended, and its server does not hang.
    pub(crate) fn is_fit(&self) -> bool {
        self.waiting.is_fit()
    }

    /// Returns whether the server has an extension.
    pub(crate) fn has(&self, extension: &str) -> bool {
        self.extensions.iter().any(|one| one == extension)
    }

    /// Sends a request.
    pub(crate) fn ask(&self, operation: &'static str, request: Request) -> Pending {
        self.send(operation, request, None)
    }

    /// Sends a request with data in it or in its answer, once there is room for it.
    pub(crate) async fn ask_data(&self, operation: &'static str, request: Request) -> Pending {
        // The semaphore is never closed.
        let permit = self.budget.clone().acquire_owned().await.ok();
        self.send(operation, request, permit)
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn tell(&self, request: Request) {
        drop(self.ask("tell", request));
    }

    fn send(
        &self,
        operation: &'static str,
        request: Request,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Pending {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, receiver) = oneshot::channel();
        self.waiting.add(id, reply, permit);
        // A closed queue, too, means that the session is over.
        let _ = self.outgoing.send(request.finish(id));
        let waiting = self.waiting.clone();
        Pending { id, reply: receiver, waiting, connection: self.connection.clone(), operation }
    }

    /// Sends a request about a path whose answer is only a status.
    pub(crate) async fn act(&self, operation: &'static str, request: Request) -> Result<Result<(), Status>> {
        self.ask(operation, request).done().await
    }

    /// Returns the metadata of a path.
    pub(crate) async fn facts(
        &self,
        operation: &'static str,
        kind: u8,
        path: &Path,
    ) -> Result<Result<Metadata, Status>> {
        let asked = self.ask(operation, Request::new(kind).path(path)).metadata().await;
        asked.map_err(|error| errors::named(error, path))
    }

    /// Opens a file or a directory.
    pub(crate) async fn handle(
        self: &Arc<Self>,
        operation: &'static str,
        request: Request,
    ) -> Result<Result<Handle, Status>> {
        match self.ask(operation, request).wait().await? {
            Reply::Handle(id) => Ok(Ok(Handle { sftp: self.clone(), id, is_open: true })),
            Reply::Status(status) => Ok(Err(status)),
            _ => Err(odd(operation)),
        }
    }

    /// Returns the next names of an open directory; `None` at its end. An answer without names is not the end:
    /// the first may hold only `.` and `..`.
    pub(crate) async fn names(
        &self,
        operation: &'static str,
        dir: &Handle,
    ) -> Result<Result<Option<Vec<Entry>>, Status>> {
        match self.ask(operation, Request::new(packet::READDIR).bytes(&dir.id)).wait().await? {
            Reply::Names(entries) => Ok(Ok(Some(entries))),
            Reply::Status(status) if status.code == Status::EOF => Ok(Ok(None)),
            Reply::Status(status) => Ok(Err(status)),
            _ => Err(odd(operation)),
        }
    }
}

pub(crate) use packet::{
    FLAG_NEW, FLAG_READ, LSTAT, MKDIR, OPEN, OPENDIR, REMOVE, RENAME, RMDIR, SETSTAT, STAT, SYMLINK,
};

/// An open file or directory. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) sftp: Arc<Sftp>,
    id: Bytes,
    is_open: bool,
}

impl Handle {
    /// Requests bytes.
    pub(crate) async fn read(&self, operation: &'static str, offset: u64, length: u32) -> Pending {
        let request = Request::new(packet::READ).bytes(&self.id).offset(offset).number(length);
        self.sftp.ask_data(operation, request).await
    }

    /// Sends bytes.
    pub(crate) async fn write(&self, operation: &'static str, offset: u64, bytes: &[u8]) -> Pending {
        let request = Request::new(packet::WRITE).bytes(&self.id).offset(offset).bytes(bytes);
        self.sftp.ask_data(operation, request).await
    }

    /// Closes it, and returns whether that worked: some file systems report errors only then.
    pub(crate) fn close(mut self, operation: &'static str) -> Pending {
        self.is_open = false;
        self.sftp.ask(operation, Request::new(packet::CLOSE).bytes(&self.id))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_open {
            self.sftp.tell(Request::new(packet::CLOSE).bytes(&self.id));
        }
    }
}

/// The reason why SFTP did not start on a session.
enum Greeting {
    NoSubsystem,
    Noise(String),
    Silent,
    /// The session ended, with this exit status if the server told it.
    Ended(Option<u32>),
}

impl Greeting {
    fn error(self, operation: &'static str, connection: &Connection) -> Error {
        let address = connection.endpoint.address();
        let failed = |kind, message: &str| Error::new(kind, operation).message(message).with("host", address);
        match self {
            Greeting::NoSubsystem => failed(ErrorKind::Unsupported, "the server has no SFTP")
                .help("ask the site for `Subsystem sftp internal-sftp` in its sshd_config"),
            Greeting::Noise(text) => {
                failed(ErrorKind::Unsupported, "a login file prints where SFTP should speak")
                    .with("it said", text)
                    .help("make the login files (~/.bashrc, ~/.profile) print only for people")
            }
            Greeting::Silent => {
                let message =
                    format!("the server's SFTP does not start within {:?}", connection.endpoint.timeout);
                failed(ErrorKind::TimedOut, &message)
                    .help("`sftp HOST` must work by hand; a login file may wait for something")
                    .later()
            }
            Greeting::Ended(_) => failed(ErrorKind::Unreachable, "the SFTP session ended at its start")
                .help("a login file may end the shell; `sftp HOST` must work by hand")
                .later(),
        }
    }
}

/// Starts the subsystem and exchanges versions.
async fn greet(read: &mut ChannelReadHalf, write: &Outlet) -> Result<Vec<String>, Greeting> {
    write.request_subsystem(true, "sftp").await.map_err(|_| Greeting::Ended(None))?;
    let mut status = None;
    let mut buffer = BytesMut::new();
    loop {
        match read.wait().await {
            Some(ChannelMsg::Data { data }) => buffer.extend_from_slice(&data),
            // Not earlier: before that a session has no window, and writing would wait for ever.
            Some(ChannelMsg::Success) => {
                write.data_bytes(packet::hello()).await.map_err(|_| Greeting::Ended(status))?;
            }
            Some(ChannelMsg::Failure) => return Err(Greeting::NoSubsystem),
            Some(ChannelMsg::ExitStatus { exit_status }) => status = Some(exit_status),
            Some(ChannelMsg::Close) | None => return Err(Greeting::Ended(status)),
            Some(_) => {}
        }
        match next(&mut buffer) {
            Ok(Some(mut packet)) => {
                packet.advance(5.min(packet.len()));
                return Ok(packet::extensions(packet));
            }
            Ok(None) => {}
            Err(noise) => return Err(Greeting::Noise(noise)),
        }
    }
}

/// Takes one whole packet from the front; the error is the text there that is no packet.
fn next(buffer: &mut BytesMut) -> Result<Option<Bytes>, String> {
    let Some(length) = buffer.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize) else {
        return Ok(None);
    };
    if !(5..=LARGEST).contains(&length) {
        let start = &buffer[..buffer.len().min(200)];
        return Err(String::from_utf8_lossy(start).trim().to_owned());
    }
    if buffer.len() < 4 + length {
        buffer.reserve(4 + length - buffer.len());
        return Ok(None);
    }
    buffer.advance(4);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// Carries requests out and answers in, until the session is unused or ends.
struct Carrier {
    connection: Arc<Connection>,
    outgoing: mpsc::WeakUnboundedSender<Bytes>,
    waiting: Arc<Waiting>,
}

impl Carrier {
    async fn serve(
        self,
        mut read: ChannelReadHalf,
        write: Outlet,
        mut queue: mpsc::UnboundedReceiver<Bytes>,
        _slot: Slot,
    ) {
        tokio::select! {
            () = send(&write, &mut queue) => {}
            () = self.receive(&mut read) => {}
            () = self.connection.ended() => {}
        }
        self.waiting.end();
        self.connection.close_channel(read, write).await;
    }

    async fn receive(&self, read: &mut ChannelReadHalf) {
        let mut buffer = BytesMut::new();
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => buffer.extend_from_slice(&data),
                ChannelMsg::Close => return,
                _ => {}
            }
            loop {
                match next(&mut buffer) {
                    Ok(Some(packet)) => self.deliver(packet),
                    Ok(None) => break,
                    Err(noise) => return tracing::warn!(noise, "invalid data in the SFTP session"),
                }
            }
        }
    }

    fn deliver(&self, mut packet: Bytes) {
        let (kind, id) = (packet.get_u8(), packet.get_u32());
        let Some(waiter) = self.waiting.take(id) else { return };
        if let Err(Some(Reply::Handle(handle))) = waiter.reply.send(packet::reply(kind, packet))
            && let Some(outgoing) = self.outgoing.upgrade()
        {
            // The caller that opened it has gone. The answer is not awaited, so any id will do.
            let _ = outgoing.send(Request::new(packet::CLOSE).bytes(&handle).finish(u32::MAX));
        }
    }
}

async fn send(write: &Outlet, queue: &mut mpsc::UnboundedReceiver<Bytes>) {
    while let Some(bytes) = queue.recv().await {
        if write.data_bytes(bytes).await.is_err() {
            return;
        }
    }
}
