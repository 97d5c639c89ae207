//! Commands on the remote side: started, fed, drained, and ended with their whole group.
//!
//! Each runs in a task of its own that reads its channel without pause, since one unread channel stops all others.
//! If the caller goes away, the task goes on until the remote group has ended and the channel is closed on both
//! sides.

pub(crate) mod remote;
mod streams;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ferry_engine_core::transport::{
    Command, Error, ErrorKind, Output, Result,
    shell::{
        framing::{self, Ending, Stream, Token},
        script::{self, BOOTSTRAP, Job},
    },
};
use russh::{Channel, ChannelMsg, ChannelReadHalf, Sig, client::Msg};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    connection::{
        Connection, open,
        session::{Outlet, Slot},
    },
    settings::config::Config,
    sftp::Cache,
};

const EXEC: &str = "exec";
/// Time for which marks may still come when the channel says that the script is over.
const LINGER: Duration = Duration::from_millis(500);
/// Time that a group has to end, first after TERM and then after KILL.
const ENDING: Duration = Duration::from_secs(12);
/// A deadline for commands that have none.
const FAR_FUTURE: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Time between two attempts to open the session that ends a command.
const RETRY: Duration = Duration::from_millis(50);
/// Time for which the server may refuse that session, before a connection is opened for it.
const REFUSED: Duration = Duration::from_secs(1);

/// Runs commands on a connection.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    pub(crate) connection: Arc<Connection>,
    /// The SFTP cache, which gives up its session where a server allows only one.
    pub(crate) sftp: Arc<Cache>,
    /// The computer, for another connection where no session is left to end a command with.
    pub(crate) host: Arc<str>,
    pub(crate) config: Arc<Config>,
}

impl Runner {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// Returns the errors of [`Transport::exec`](ferry_engine_core::transport::Transport::exec).
    pub(crate) async fn exec(&self, command: &Command) -> Result<Output> {
        if command.spare && !self.connection.has_spare(EXEC).await? {
            return Err(
                Error::new(ErrorKind::Unsupported, EXEC).message("the server has no session available")
            );
        }
        let (sender, receiver) = mpsc::channel(1);
        if !command.stdin.is_empty() {
            // The queue is empty and takes one.
            let _ = sender.try_send(Bytes::copy_from_slice(&command.stdin));
        }
        drop(sender);
        self.feed(&Job::of(command, self.config.use_login_shell), receiver).await
    }

    /// Runs ferry's own words, which need not be UTF-8.
    ///
    /// # Errors
    /// As [`Runner::exec`].
    pub(crate) async fn run(&self, job: &Job) -> Result<Output> {
        let (_, receiver) = mpsc::channel(1);
        self.feed(job, receiver).await
    }

    /// Runs a job with a stream as its standard input.
    ///
    /// # Errors
    /// As [`Runner::exec`].
    pub(crate) async fn feed(&self, job: &Job, input: mpsc::Receiver<Bytes>) -> Result<Output> {
        let token = Token::new();
        let script = job.script(&token)?;
        let (channel, slot) = match self.connection.warm.take() {
            Some(session) => session,
            None => self.connection.open_session(EXEC, || self.sftp.yield_idle()).await?,
        };
        self.connection.warm_up();
        let (reply, answer) = oneshot::channel();
        let (read, write) = channel.split();
        let run = Run {
            runner: self.clone(),
            read,
            write: Outlet::new(write),
            stdout: Stream::new(token.clone()),
            stderr: Stream::new(token),
            over: None,
            _slot: slot,
        };
        let deadline = Instant::now().checked_add(job.timeout);
        tokio::spawn(run.run(script, input, deadline, reply));
        let lost = || self.connection.lost(EXEC, "the command's task was lost").effect_unknown();
        let (ended, stdout, stderr) = answer.await.map_err(|_| lost())?;
        self.output(job, ended, stdout, stderr)
    }

    /// Returns the result of a run.
    fn output(&self, job: &Job, ended: Ended, stdout: Stream, stderr: Stream) -> Result<Output> {
        let failed =
            |kind, message: &str| Error::new(kind, EXEC).message(message).with("command", job.shown());
        let dir = |kind| {
            let dir = job.cwd.as_deref().unwrap_or_else(|| "".as_ref());
            Err(Error::new(kind, EXEC).with("path", dir.display()))
        };
        match ended {
            Ended::Marked(Ending::Status(status)) | Ended::Killed(status) => {
                Ok(framing::output(status, stdout, stderr))
            }
            Ended::Marked(Ending::MissingDir) => dir(ErrorKind::NotFound),
            Ended::Marked(Ending::FileForDir) => dir(ErrorKind::NotADirectory),
            Ended::Marked(Ending::DeniedDir) => dir(ErrorKind::PermissionDenied),
            Ended::TimedOut => {
                let message = format!("did not end within {:?} and was killed", job.timeout);
                let error = failed(ErrorKind::TimedOut, &message).later().effect_unknown();
                let said = stderr.tail();
                Err(if said.is_empty() { error } else { error.with("stderr", said) })
            }
            Ended::NeverBegan(status) => {
                let said = [stderr.tail(), stdout.tail()].join(" ");
                Err(failed(ErrorKind::Other, &format!("the login shell ended with {status} and ran nothing"))
                    .with("it said", said.trim())
                    .help("does `ssh HOST true` work by hand? The account may be closed, or may only copy files"))
            }
            Ended::Refused => Err(failed(ErrorKind::Unsupported, "the server runs no commands")
                .help("the account may be for file transfer only; ferry needs one with a shell")),
            Ended::Lost => {
                let reason = self.connection.check(EXEC).err();
                let error = reason.unwrap_or_else(|| {
                    self.connection.lost(EXEC, "the session ended without an exit status")
                });
                Err(error.with("command", job.shown()).effect_unknown())
            }
        }
    }
}

/// The end of a run.
#[derive(Debug)]
enum Ended {
    /// The end given by its marks.
    Marked(Ending),
    /// The command ended the script itself; 128 + the signal.
    Killed(i32),
    TimedOut,
    /// The login shell ended, with this status, without running the script.
    NeverBegan(i32),
    /// The server would not start it.
    Refused,
    /// The end is not known.
    Lost,
}

/// The server's message about the script's end.
#[derive(Debug, Clone, Copy)]
enum Over {
    Status(i32),
    Refused,
    Closed,
}

/// A command's channel and its output.
struct Run {
    runner: Runner,
    read: ChannelReadHalf,
    write: Outlet,
    stdout: Stream,
    stderr: Stream,
    over: Option<Over>,
    _slot: Slot,
}

type Reply = oneshot::Sender<(Ended, Stream, Stream)>;

impl Run {
    async fn run(
        mut self,
        script: Vec<u8>,
        input: mpsc::Receiver<Bytes>,
        deadline: Option<Instant>,
        mut reply: Reply,
    ) {
        let ended = self.follow(script, input, deadline, &mut reply).await;
        let Run { runner, read, write, stdout, stderr, _slot, .. } = self;
        // The caller may have gone; the channel is closed all the same.
        let _ = reply.send((ended, stdout, stderr));
        runner.connection.close_channel(read, write).await;
    }

    /// Feeds and drains until the end. Ends the command on a time-out, or when its caller has gone.
    async fn follow(
        &mut self,
        script: Vec<u8>,
        input: mpsc::Receiver<Bytes>,
        deadline: Option<Instant>,
        reply: &mut Reply,
    ) -> Ended {
        let Run { runner, read, write, stdout, stderr, over, .. } = self;
        let mut outputs = Outputs { stdout, stderr, over };
        let mut feeding = std::pin::pin!(feed(write, script, input));
        let mut is_fed = false;
        let deadline = deadline.unwrap_or_else(|| Instant::now() + FAR_FUTURE);
        loop {
            tokio::select! {
                message = read.wait() => {
                    outputs.take(message);
                    if let Some(ended) = outputs.ended() {
                        return ended;
                    }
                    if outputs.over.is_some() {
                        return linger(read, &mut outputs).await;
                    }
                }
                _ = &mut feeding, if !is_fed => is_fed = true,
                () = runner.connection.ended() => return Ended::Lost,
                () = sleep_until(deadline) => {
                    end(runner, read, write, &mut outputs).await;
                    return Ended::TimedOut;
                }
                () = reply.closed() => {
                    end(runner, read, write, &mut outputs).await;
                    return Ended::Lost;
                }
            }
        }
    }
}

/// The parts of a run that messages change.
struct Outputs<'a> {
    stdout: &'a mut Stream,
    stderr: &'a mut Stream,
    over: &'a mut Option<Over>,
}

impl Outputs<'_> {
    fn take(&mut self, message: Option<ChannelMsg>) {
        match message {
            Some(ChannelMsg::Data { data }) => self.stdout.push(&data),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => self.stderr.push(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                *self.over = Some(Over::Status(i32::try_from(exit_status).unwrap_or(-1)));
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                *self.over = Some(Over::Status(128 + number(&signal_name)));
            }
            Some(ChannelMsg::Failure) => *self.over = Some(Over::Refused),
            Some(ChannelMsg::Close) | None => *self.over = Some(self.over.unwrap_or(Over::Closed)),
            Some(_) => {}
        }
    }

    /// Returns the end, if both streams have reported it: all output comes before it.
    fn ended(&self) -> Option<Ended> {
        self.stderr.ending()?;
        self.stdout.ending().map(Ended::Marked)
    }

    /// Returns the end where the streams do not report it.
    fn guess(&self) -> Ended {
        match *self.over {
            _ if self.stdout.ending().is_some() => self.stdout.ending().map_or(Ended::Lost, Ended::Marked),
            Some(Over::Refused) => Ended::Refused,
            // A script that was ended by its own command has reported its group before.
            Some(Over::Status(status)) if self.stdout.group().is_some() => Ended::Killed(status),
            Some(Over::Status(status)) => Ended::NeverBegan(status),
            Some(Over::Closed) | None => Ended::Lost,
        }
    }
}

/// Waits for output that may come after the server's message that the script is over.
async fn linger(read: &mut ChannelReadHalf, outputs: &mut Outputs<'_>) -> Ended {
    let drained = timeout(LINGER, async {
        loop {
            let message = read.wait().await;
            let is_last = message.is_none();
            outputs.take(message);
            if is_last || outputs.ended().is_some() {
                return;
            }
        }
    });
    // Children that hold the streams open must not delay the result.
    let _ = drained.await;
    outputs.ended().unwrap_or_else(|| outputs.guess())
}

/// Sends the script, then all of the input. A command that does not read it is not an error.
async fn feed(write: &Outlet, script: Vec<u8>, mut input: mpsc::Receiver<Bytes>) {
    let fed = async {
        write.exec(true, BOOTSTRAP).await?;
        write.data_bytes(script).await?;
        while let Some(bytes) = input.recv().await {
            write.data_bytes(bytes).await?;
        }
        write.eof().await
    };
    if let Err(error) = fed.await {
        tracing::debug!(%error, "a command stopped reading its input");
    }
}

/// Ends the command's group, and drains meanwhile: TERM, a grace, KILL.
///
/// The protocol's signal needs no further session, but servers refuse it for root and forced commands. A second
/// session with `kill` works wherever there is a slot. The group may become known only during this call.
async fn end(runner: &Runner, read: &mut ChannelReadHalf, write: &Outlet, outputs: &mut Outputs<'_>) {
    let deadline = Instant::now() + ENDING;
    let mut is_asked = false;
    loop {
        if !is_asked && let Some(group) = outputs.stdout.group() {
            is_asked = true;
            // A connection that is over ends the wait below.
            let _ = write.signal(Sig::TERM).await;
            tokio::spawn(kill(runner.clone(), group));
        }
        tokio::select! {
            message = read.wait() => outputs.take(message),
            () = runner.connection.ended() => return,
            () = sleep_until(deadline) => {
                tracing::warn!(group = outputs.stdout.group(), "a command could not be ended on the computer");
                return;
            }
        }
        if outputs.ended().is_some() || outputs.over.is_some() {
            return;
        }
    }
}

/// Runs `kill` in a session of its own, which is not counted: it frees more than it takes. If the command has the
/// only session that the server allows, it uses a connection of its own.
async fn kill(runner: Runner, group: u32) {
    let connection = &runner.connection;
    let deadline = Instant::now() + REFUSED;
    while Instant::now() < deadline {
        match connection.handle.channel_open_session().await {
            Ok(channel) => return killed(connection, channel, group).await,
            Err(error) => tracing::debug!(%error, "no session to end a command with"),
        }
        runner.sftp.yield_idle();
        connection.cool_down();
        if connection.alive(EXEC, sleep(RETRY)).await.is_err() {
            return;
        }
    }
    match open::open(&runner.host, &runner.config, open::People::default()).await {
        Ok(own) => {
            if let Ok(channel) = own.handle.channel_open_session().await {
                killed(&own, channel, group).await;
            }
            own.close().await;
        }
        Err(error) => tracing::warn!(%error, group, "a command can't be ended on the computer"),
    }
}

async fn killed(connection: &Connection, channel: Channel<Msg>, group: u32) {
    let (mut read, write) = channel.split();
    let run = async {
        write.exec(true, script::end_group(group)).await?;
        while let Some(message) = read.wait().await {
            if matches!(message, ChannelMsg::ExitStatus { .. } | ChannelMsg::Failure) {
                break;
            }
        }
        Ok::<(), russh::Error>(())
    };
    let _ = timeout(ENDING, run).await;
    connection.close_channel(read, Outlet::new(write)).await;
}

/// Returns a signal's number on Linux, where the protocol has its name.
fn number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(_) => 127,
    }
}
