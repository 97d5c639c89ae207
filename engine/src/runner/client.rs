//! The command line's way to a profile: through the owner's socket if there is an owner, else by owning it
//! for one transaction.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{net::UnixStream, time::timeout};

use super::{
    Builder, Hello, PROTOCOL, Request, Response,
    frame::{read_message, write_message},
    kill, service,
};
use crate::{
    profile::Paths,
    store::{self, Lock},
};

/// How long an owner may take for anything but `Wait` and `InstallPlugin`.
const ANSWER: Duration = Duration::from_secs(30);
/// How long it may take to greet.
const GREETING: Duration = Duration::from_secs(5);

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
        let connection = match timeout(GREETING, greet).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(_)) => return Ok(None),
            Err(_) => {
                let who = Lock::holder(&paths.lock()).map(|(pid, role)| format!("the {role} (pid {pid})"));
                return Err(ClientError::new(
                    format!("{} does not answer", who.as_deref().unwrap_or("the owner of the profile")),
                    "it may be stopped (SIGCONT lets it go on); `ferry daemon stop` ends it by force",
                ));
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
        let limit = match request {
            Request::Wait { seconds, .. } => Duration::from_secs(*seconds) + ANSWER,
            // Its last step may write the whole database anew.
            Request::Maintain(_) => ANSWER * 40,
            Request::InstallPlugin { .. } | Request::Launch(_) => ANSWER * 4,
            _ => ANSWER,
        };
        let exchange = async {
            write_message(&mut self.stream, request).await?;
            read_message(&mut self.stream).await
        };
        match timeout(limit, exchange).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(ClientError::new(
                format!("the owner of the profile (pid {}) went away: {error}", self.peer.pid),
                "see `ferry daemon logs`; what was asked may have been done, so look before you repeat it",
            )),
            Err(_) => Err(ClientError::new(
                format!(
                    "the owner of the profile (pid {}) gave no answer in {} s",
                    self.peer.pid,
                    limit.as_secs()
                ),
                "see `ferry daemon logs`; what was asked may have been done, so look before you repeat it",
            )),
        }
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
    for _ in 0..20 {
        if let Some(mut connection) = Connection::open(&builder.paths).await? {
            let answered = if connection.peer.role == "run" { Answered::ByRun } else { Answered::ByOwner };
            return Ok((connection.ask(&request).await?, answered));
        }
        match builder.own("command") {
            Ok(owner) => {
                let context = Arc::new(owner.open().await?);
                let killed = if let Request::Kill { processes, .. } = &request {
                    processes.clone()
                } else {
                    Vec::new()
                };
                let response = service::handle(&context, request).await;
                kill::kill_at_rest(&context, &killed).await;
                context.hosts.shutdown().await;
                return Ok((response, Answered::Alone));
            }
            // Somebody owns it but does not listen yet, or just ends.
            Err(error) if *error.kind() == store::ErrorKind::Owned => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
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
