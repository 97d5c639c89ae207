//! The command line's access to a profile: through the owner's socket if there is an owner. Otherwise it owns the
//! profile for one transaction.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    child::Child,
    computers::remove_work_dirs as cleaner,
    executor::kill,
    owner::{Builder, Owner},
    profile::Paths,
    rpc::{
        Hello, PROTOCOL, Request, Response,
        codec::{read_message, write_message},
        handlers as service,
    },
    store::{self, Lock},
};

/// Time that an owner may take to answer any request but `Wait` and `InstallPlugin`.
const ANSWER: Duration = Duration::from_secs(30);
/// Additional time for each of many launches.
const LAUNCH: Duration = Duration::from_millis(50);
/// Time that an owner may take to greet.
const GREETING: Duration = Duration::from_secs(5);
/// Interval of the checks whether a silent owner was stopped; two checks in a row must agree.
const LOOK: Duration = Duration::from_millis(500);
/// Time to wait for an owner that does not listen yet.
const BEGINNING: Duration = Duration::from_secs(10);
/// Owners that may be lost in the middle of a request that is safe to repeat.
const LOST_OWNERS: u32 = 3;

/// An error between the command line and an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    /// The problem.
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
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
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
    /// The owner that answered.
    pub peer: Hello,
}

impl Connection {
    /// Connects to the profile's owner. Returns `None` if no owner listens, or if the socket file is stale.
    ///
    /// # Errors
    /// Fails if the owner does not greet in time, or uses another protocol version.
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
                    crate::VERSION
                ),
                "restart it: `ferry daemon restart`",
            ));
        }
        Ok(Some(connection))
    }

    /// Sends one request and waits for its response.
    ///
    /// # Errors
    /// Fails if there is no answer in time or the owner is lost. The request may have been carried out then.
    pub async fn ask(&mut self, request: &Request) -> Result<Response, ClientError> {
        self.try_ask(request).await.map_err(|unanswered| match unanswered {
            Unanswered::Gone(error) | Unanswered::Silent(error) => error,
        })
    }

    async fn try_ask(&mut self, request: &Request) -> Result<Response, Unanswered> {
        let limit = match request {
            Request::Wait { seconds, .. } => Duration::from_secs(*seconds) + ANSWER,
            // The server at the other end has its time too.
            Request::Login(_) => ANSWER * 6,
            // Its last step may rewrite the whole database.
            Request::Maintain(_) => ANSWER * 40,
            // Each one is validated by its plugin.
            Request::LaunchAll(launches) => {
                ANSWER * 4 + LAUNCH * launches.len().try_into().unwrap_or(u32::MAX)
            }
            Request::InstallPlugin { .. } | Request::Launch(_) | Request::Delete { .. } => ANSWER * 4,
            _ => ANSWER,
        };
        let (who, look_first) = (
            format!("the owner of the profile (pid {})", self.peer.pid),
            "the request may have been carried out, so check before you repeat it",
        );
        let child = Child::of(self.peer.pid);
        let exchange = async {
            write_message(&mut self.stream, request).await?;
            read_message(&mut self.stream).await
        };
        match patiently(child, limit, exchange).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Unanswered::Gone(ClientError::new(
                format!("the connection to {who} was lost: {error}"),
                format!("see `ferry daemon logs`; {look_first}"),
            ))),
            Err(silence) => Err(Unanswered::Silent(ClientError::new(
                format!("{who} {silence}"),
                format!("{}; {look_first}", silence.help()),
            ))),
        }
    }
}

/// The reasons why a request has no answer.
enum Unanswered {
    /// The owner is gone.
    Gone(ClientError),
    /// The owner exists, and does not answer.
    Silent(ClientError),
}

/// The kinds of an owner's silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// It is stopped by SIGSTOP.
    Stopped,
    /// It did not answer in time, for an unknown reason.
    TimedOut(Duration),
}

impl Silence {
    fn help(self) -> &'static str {
        match self {
            Silence::Stopped => "`kill -CONT` resumes it; `ferry daemon stop` kills it",
            Silence::TimedOut(_) => {
                "see `ferry daemon logs`; `ferry daemon stop` ends it, by force if necessary"
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

/// Waits for a peer's answer up to the limit; gives up earlier if the peer was stopped.
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

/// The kind of program that owned the profile when a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// A daemon, which continues to run.
    ByOwner,
    /// A `ferry run`, which steps its own process only and then ends.
    ByRun,
    /// This program, for this request only: nothing steps what it stored.
    Alone,
}

/// Sends a request to the profile's owner, or handles it as the owner if there is none.
///
/// # Errors
/// Fails as [`Connection`] does, or with an error of the store where this program becomes the owner.
pub async fn call(builder: &Builder, request: Request) -> Result<(Response, Answered), ClientError> {
    let deadline = Instant::now() + BEGINNING;
    let mut lost = 0;
    while Instant::now() < deadline {
        if let Some(mut connection) = Connection::open(&builder.paths).await? {
            let answered = if connection.peer.role == "run" { Answered::ByRun } else { Answered::ByOwner };
            match connection.try_ask(&request).await {
                Ok(response) => return Ok((response, answered)),
                // The next owner is asked, or this program becomes it.
                Err(Unanswered::Gone(_)) if request.is_repeatable() && lost < LOST_OWNERS => lost += 1,
                Err(Unanswered::Gone(error) | Unanswered::Silent(error)) => return Err(error),
            }
        }
        match builder.own("command") {
            Ok(owner) => return Ok((alone(owner, request).await?, Answered::Alone)),
            // An owner exists but does not listen yet, or is about to end.
            Err(error) if *error.kind() == store::ErrorKind::Owned => sleep(LOOK / 5).await,
            Err(error) => return Err(error.into()),
        }
    }
    let who = Lock::holder(&builder.paths.lock())
        .map_or("another ferry".into(), |(pid, role)| format!("a ferry {role} (pid {pid})"));
    Err(ClientError::new(
        format!("{who} holds the profile but does not listen"),
        "it may be starting or ending: try again; if that does not help, `ferry daemon stop` ends it by force",
    ))
}

/// Handles a request as the owner.
async fn alone(owner: Owner, request: Request) -> Result<Response, ClientError> {
    let context = Arc::new(owner.open().await?);
    let killed = if let Request::Kill { processes, .. } = &request { processes.clone() } else { Vec::new() };
    let cleaned =
        if let Request::CleanWorkDirs(processes) = &request { processes.clone() } else { Vec::new() };
    let response = service::handle(&context, request).await;
    kill::kill_at_rest(&context, &killed).await;
    cleaner::clean_at_rest(&context, &cleaned).await;
    context.plugin_hosts.shutdown().await;
    Ok(response)
}
