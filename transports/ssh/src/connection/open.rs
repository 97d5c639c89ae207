//! Opening a connection: the line, the handshake with its host key, the log-in; hop by hop.

use std::{
    pin::Pin,
    sync::{Arc, PoisonError},
};

use ferry_engine_core::transport::{Asker, Error, ErrorKind, Result};
use russh::client::{self, Handle};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::{
    connection::{
        Connection, auth,
        client::{Client, Gone, Pulse},
        keys::Prompt,
        pace,
        proxy::{self, Cutter, Pipe},
    },
    settings::{
        config::Config,
        endpoint::{Endpoint, Hop, Way},
    },
    trust::host_key::HostKeys,
};

/// Most jump hosts on the way to a host: more means a circle in the configuration.
const DEPTH: usize = 8;

/// A logged-in line to one host.
pub(crate) struct Opened {
    pub(crate) handle: Handle<Client>,
    pub(crate) gone: Gone,
    pub(crate) pulse: Pulse,
    pub(crate) cutter: Cutter,
    /// The line that this one runs through, which must outlive it.
    pub(crate) through: Option<Box<Opened>>,
}

/// Connects to a computer.
///
/// # Errors
/// `Config`, `Unreachable`, `Authentication`, `NeedsLogin`; mostly with the next step.
pub(crate) async fn open(host: &str, config: &Config, people: People<'_>) -> Result<Arc<Connection>> {
    let endpoint = Endpoint::target(host, config).await?;
    let opener = Opener { config, people };
    let opened = opener.open(&endpoint, 0).await?;
    Ok(Connection::new(endpoint, opened, config.keepalive))
}

/// Those who can be asked.
#[derive(Clone, Copy, Default)]
pub(crate) struct People<'a> {
    /// For the passphrases of keys.
    pub(crate) prompt: Option<&'a Prompt>,
    /// For the server's questions.
    pub(crate) asker: Option<&'a dyn Asker>,
}

struct Opener<'a> {
    config: &'a Config,
    people: People<'a>,
}

impl Opener<'_> {
    /// Opens an endpoint. The future is boxed, since a host may be reached through another one.
    fn open<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Opened>> + Send + 'a>> {
        Box::pin(async move {
            if depth > DEPTH {
                let circle = Error::new(ErrorKind::Config, "connect").message("ProxyJump is circular");
                return Err(circle.with("host", endpoint.address()));
            }
            pace::wait(&endpoint.host, endpoint.port, &endpoint.user, self.config.safe_interval).await;
            match &endpoint.way {
                Way::Direct => {
                    let (stream, cutter) = proxy::dial(endpoint, endpoint.timeout).await?;
                    self.greet(endpoint, stream, cutter, None).await
                }
                Way::Command(command) => {
                    let pipe = Pipe::start(command, endpoint)?;
                    self.greet(endpoint, pipe, Cutter::none(), None).await
                }
                Way::Jump(hops) => self.jump(endpoint, hops, depth).await,
            }
        })
    }

    /// Goes from hop to hop. Only the first may have a proxy of its own: the others are reached from it.
    async fn jump(&self, endpoint: &Endpoint, hops: &[Hop], depth: usize) -> Result<Opened> {
        let mut reached: Option<Opened> = None;
        for hop in hops {
            let hop = Endpoint::hop(hop, self.config).await?;
            reached = Some(match reached {
                None => self.open(&hop, depth + 1).await?,
                Some(reached) => self.forward(&hop, reached).await?,
            });
        }
        match reached {
            Some(reached) => self.forward(endpoint, reached).await,
            None => Err(Error::new(ErrorKind::Config, "connect").message("ProxyJump names no host")),
        }
    }

    /// Reaches the next host from the last one.
    async fn forward(&self, endpoint: &Endpoint, through: Opened) -> Result<Opened> {
        wake(&through.handle).await;
        let channel =
            through.handle.channel_open_direct_tcpip(&endpoint.host, endpoint.port.into(), "127.0.0.1", 0);
        let failed = || Error::new(ErrorKind::Unreachable, "jump").with("host", endpoint.address()).later();
        let channel = timeout(endpoint.timeout, channel)
            .await
            .map_err(|_| failed().message("the jump host does not answer"))?
            .map_err(|error| {
                failed()
                    .message("the jump host can't reach it, or is not allowed to")
                    .source(error)
                    .help("try `ssh -J` by hand; the jump host must allow TCP forwarding")
            })?;
        self.greet(endpoint, channel.into_stream(), Cutter::none(), Some(Box::new(through))).await
    }

    /// Does the handshake and the log-in.
    async fn greet<S>(
        &self,
        endpoint: &Endpoint,
        stream: S,
        cutter: Cutter,
        through: Option<Box<Opened>>,
    ) -> Result<Opened>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (gone, pulse) = (Gone::new(), Pulse::new());
        let host_keys = HostKeys::of(endpoint).await?;
        let config = crate::connection::client::config(&host_keys);
        let (client, refusal) = Client::new(host_keys, gone.clone(), pulse.clone());
        let greeted = timeout(endpoint.timeout, client::connect_stream(config, stream, client)).await;
        if let Some(refusal) = refusal.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(refusal);
        }
        let mut handle = match greeted {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => return Err(not_greeted(endpoint, &error, &gone)),
            Err(_) => return Err(silent(endpoint)),
        };
        auth::log_in(&mut handle, endpoint, self.people, &gone).await?;
        Ok(Opened { handle, gone, pulse, cutter, through })
    }
}

/// Starts a session on a jump host. A server turns Nagle's algorithm off only when a session starts; without one,
/// it delays every packet that it forwards. Some servers forbid sessions, which is no error.
async fn wake(handle: &Handle<Client>) {
    let session = async {
        let mut channel = handle.channel_open_session().await?;
        channel.exec(true, "true").await?;
        while channel.wait().await.is_some() {}
        channel.close().await
    };
    if !matches!(timeout(std::time::Duration::from_secs(2), session).await, Ok(Ok(()))) {
        tracing::debug!("the jump host starts no session");
    }
}

fn not_greeted(endpoint: &Endpoint, error: &russh::Error, gone: &Gone) -> Error {
    let failed = Error::new(ErrorKind::Unreachable, "handshake").with("host", endpoint.address());
    match error {
        russh::Error::NoCommonAlgo { kind, theirs, .. } => failed
            .message(format!("the server offers no {kind:?} algorithm that ferry supports"))
            .with("offered", theirs.join(", "))
            .help("ask the site to update its server"),
        russh::Error::Version => {
            failed.message("the server does not speak SSH 2").help("is `port` the port of an SSH server?")
        }
        _ => {
            let reason = gone.reason().map_or_else(|| error.to_string(), |reason| reason.to_string());
            failed
                .message(format!("the server closed the connection before the log-in: {reason}"))
                .help(
                    "it may limit how often you connect: wait a little; or check that `port` is that of an SSH \
                     server",
                )
                .later()
        }
    }
}

fn silent(endpoint: &Endpoint) -> Error {
    Error::new(ErrorKind::Unreachable, "handshake")
        .message(format!("the server sent no SSH greeting within {:?}", endpoint.timeout))
        .with("host", endpoint.address())
        .help("it hangs, or is not an SSH server: is `port` right? The setting `timeout` allows it more time")
        .later()
}
