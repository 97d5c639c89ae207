//! The command line's way to a profile: through the owner's socket if there is an owner, else by owning it
//! for one transaction.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use super::{
    Builder, Hello, Owner, PROTOCOL, Request, Response, cleaner,
    frame::{read_message, write_message},
    kill, service,
};
use crate::{
    child::Child,
    profile::Paths,
    store::{self, Lock},
};

/// How long an owner may take for anything but `Wait` and `InstallPlugin`.
const ANSWER: Duration = Duration::from_secs(30);
/// How much longer for each of many launches.
const LAUNCH: Duration = Duration::from_millis(50);
/// How long it may take to greet.
const GREETING: Duration = Duration::from_secs(5);
/// How often we look whether a silent owner was stopped; two looks must agree.
const LOOK: Duration = Duration::from_millis(500);
/// How long an owner that does not listen yet is waited for.
const BEGINNING: Duration = Duration::from_secs(10);
/// Owners that may go away in the middle of a request that is safe to repeat.
const LOST_OWNERS: u32 = 3;

/// What can go wrong between the command line and an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    /// What happened.
    pub message: String,
    /// The next step.
    pub help: Option<String>,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ClientError {}

impl ClientError {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        ClientError { message: message.into(), help: Some(help.into()) }
    }
}

impl From<store::Error> for ClientError {
    fn from(error: store::Error) -> Self {
        ClientError { message: error.to_string(), help: error.help_text().map(str::to_owned) }
    }
}

/// A greeted connection to an owner.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    /// Who answered.
    pub peer: Hello,
}

impl Connection {
    /// Connects to the profile's owner. `None`: nobody listens (a stale socket file is nobody).
    ///
    /// # Errors
    /// An owner that does not greet in time, or speaks another protocol.
    pub async fn open(paths: &Paths) -> Result<Option<Connection>, ClientError> {
        let Ok(stream) = super::socket::connect(&paths.socket()).await else { return Ok(None) };
        let greet = async {
            let mut stream = stream;
            write_message(&mut stream, &super::hello("client")).await?;
            let peer: Hello = read_message(&mut stream).await?;
            Ok::<_, std::io::Error>(Connection { stream, peer })
        };
        let owner = Lock::holding(&paths.lock());
        let connection = match patiently(owner.as_ref().map(|(child, _)| *child), GREETING, greet).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(_)) => return Ok(None),
            Err(silence) => {
                let who = owner.map(|(child, role)| format!("the {role} (pid {})", child.pid));
                let who = who.as_deref().unwrap_or("the owner of the profile");
                return Err(ClientError::new(format!("{who} {silence}"), silence.help()));
            }
        };
        if connection.peer.protocol != PROTOCOL {
            return Err(ClientError::new(
                format!(
                    "the running daemon is ferry {}, this is {}",
                    connection.peer.version,
                    super::VERSION
                ),
                "restart it: `ferry daemon restart`",
            ));
        }
        Ok(Some(connection))
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// No answer in time, or the owner went away: what was asked may have been done.
    pub async fn ask(&mut self, request: &Request) -> Result<Response, ClientError> {
        self.try_ask(request).await.map_err(|unanswered| match unanswered {
            Unanswered::Gone(error) | Unanswered::Silent(error) => error,
        })
    }

    async fn try_ask(&mut self, request: &Request) -> Result<Response, Unanswered> {
        let limit = match request {
            Request::Wait { seconds, .. } => Duration::from_secs(*seconds) + ANSWER,
            // Its last step may write the whole database anew.
            Request::Maintain(_) => ANSWER * 40,
            // Each is shown to its plugin.
            Request::LaunchAll(launches) => {
                ANSWER * 4 + LAUNCH * launches.len().try_into().unwrap_or(u32::MAX)
            }
            Request::InstallPlugin { .. } | Request::Launch(_) | Request::Delete { .. } => ANSWER * 4,
            _ => ANSWER,
        };
        let (who, look_first) = (
            format!("the owner of the profile (pid {})", self.peer.pid),
            "what was asked may have been done, so look before you repeat it",
        );
        let child = Child::of(self.peer.pid);
        let exchange = async {
            write_message(&mut self.stream, request).await?;
            read_message(&mut self.stream).await
        };
        match patiently(child, limit, exchange).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Unanswered::Gone(ClientError::new(
                format!("{who} went away: {error}"),
                format!("see `ferry daemon logs`; {look_first}"),
            ))),
            Err(silence) => Err(Unanswered::Silent(ClientError::new(
                format!("{who} {silence}"),
                format!("{}; {look_first}", silence.help()),
            ))),
        }
    }
}

/// Why a request has no answer.
enum Unanswered {
    /// The owner went away.
    Gone(ClientError),
    /// It is there, and says nothing.
    Silent(ClientError),
}

/// How an owner says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// SIGSTOP holds it.
    Stopped,
    /// Nobody knows why.
    TimedOut(Duration),
}

impl Silence {
    fn help(self) -> &'static str {
        match self {
            Silence::Stopped => "`kill -CONT` lets it go on; `ferry daemon stop` ends it by force",
            Silence::TimedOut(_) => {
                "see `ferry daemon logs`; `ferry daemon stop` ends it, by force if need be"
            }
        }
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::Stopped => f.write_str("does not answer: it was stopped (SIGSTOP)"),
            Silence::TimedOut(limit) => write!(f, "gave no answer in {} s", limit.as_secs()),
        }
    }
}

/// Waits for a peer's answer, but not to the limit for one that was stopped.
async fn patiently<T>(
    peer: Option<Child>,
    limit: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, Silence> {
    let stopped = async {
        let mut looks = 0;
        while looks < 2 {
            sleep(LOOK).await;
            looks = if peer.is_some_and(|peer| peer.is_stopped()) { looks + 1 } else { 0 };
        }
    };
    tokio::select! {
        biased;
        answer = timeout(limit, answer) => answer.map_err(|_| Silence::TimedOut(limit)),
        () = stopped => Err(Silence::Stopped),
    }
}

/// Whether somebody else owned the profile when a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// A daemon, which goes on.
    ByOwner,
    /// A `ferry run`, which steps its own process only and then ends.
    ByRun,
    /// This program, for this request only: nothing steps what it stored.
    Alone,
}

/// Asks the profile's owner, or acts as one if there is none.
///
/// # Errors
/// Those of [`Connection`], and the store's where this program becomes owner.
pub async fn call(builder: &Builder, request: Request) -> Result<(Response, Answered), ClientError> {
    let deadline = Instant::now() + BEGINNING;
    let mut lost = 0;
    while Instant::now() < deadline {
        if let Some(mut connection) = Connection::open(&builder.paths).await? {
            let answered = if connection.peer.role == "run" { Answered::ByRun } else { Answered::ByOwner };
            match connection.try_ask(&request).await {
                Ok(response) => return Ok((response, answered)),
                // Its successor is asked, or we are it.
                Err(Unanswered::Gone(_)) if request.is_repeatable() && lost < LOST_OWNERS => lost += 1,
                Err(Unanswered::Gone(error) | Unanswered::Silent(error)) => return Err(error),
            }
        }
        match builder.own("command") {
            Ok(owner) => return Ok((alone(owner, request).await?, Answered::Alone)),
            // Somebody owns it but does not listen yet, or just ends.
            Err(error) if *error.kind() == store::ErrorKind::Owned => sleep(LOOK / 5).await,
            Err(error) => return Err(error.into()),
        }
    }
    let who = Lock::holder(&builder.paths.lock())
        .map_or("another ferry".into(), |(pid, role)| format!("a ferry {role} (pid {pid})"));
    Err(ClientError::new(
        format!("{who} holds the profile but does not listen"),
        "it may be starting or ending: try again; if it stays so, `ferry daemon stop` ends it by force",
    ))
}

/// Does what is asked as the owner that we are now.
async fn alone(owner: Owner, request: Request) -> Result<Response, ClientError> {
    let context = Arc::new(owner.open().await?);
    let killed = if let Request::Kill { processes, .. } = &request { processes.clone() } else { Vec::new() };
    let cleaned =
        if let Request::CleanWorkDirs(processes) = &request { processes.clone() } else { Vec::new() };
    let response = service::handle(&context, request).await;
    kill::kill_at_rest(&context, &killed).await;
    cleaner::clean_at_rest(&context, &cleaned).await;
    context.hosts.shutdown().await;
    Ok(response)
}
