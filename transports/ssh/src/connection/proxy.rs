//! The byte stream to a server: a socket, a channel through another host, or a command's standard streams.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    pin::Pin,
    process::Stdio,
    task::{Context, Poll},
    time::Duration,
};

use ferry_engine_core::transport::{Error, ErrorKind, Result};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::{TcpStream, lookup_host},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::settings::endpoint::Endpoint;

/// A handle that can cut a line at any time.
#[derive(Debug)]
pub(crate) struct Cutter(Option<std::net::TcpStream>);

impl Cutter {
    /// Makes one for a line that ends with another one, or with its stream.
    pub(crate) fn none() -> Self {
        Cutter(None)
    }

    /// Ends the line: waiting reads and writes return.
    pub(crate) fn cut(&self) {
        if let Some(socket) = &self.0 {
            // A socket that is closed already is fine.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Dials a host, one address after another.
///
/// # Errors
/// `Unreachable`.
pub(crate) async fn dial(endpoint: &Endpoint, patience: Duration) -> Result<(TcpStream, Cutter)> {
    let (host, port) = (&*endpoint.host, endpoint.port);
    let failed = || Error::new(ErrorKind::Unreachable, "connect").with("host", endpoint.address()).later();
    let addresses: Vec<SocketAddr> = match timeout(patience, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            return Err(failed().message("the host's name is not known").source(error).help(
                "is `hostname` right, and is the network up? A short name may need an entry in ~/.ssh/config",
            ));
        }
        Err(_) => return Err(failed().message(format!("looking up the host took longer than {patience:?}"))),
    };
    let mut last = None;
    for address in addresses {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return ready(stream).map_err(|error| failed().source(error)),
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = Some(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }
    let last = last.unwrap_or_else(|| io::Error::other("the host's name has no address"));
    let help = match last.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there: is `port` right, and the server up?",
        _ => "is the host up, and may this machine reach it? Some sites want a VPN or a `proxy_jump`",
    };
    Err(failed().message("the host can't be reached").source(last).help(help))
}

/// Prepares a socket: sends small packets at once, and notices a peer that no longer answers.
fn ready(stream: TcpStream) -> io::Result<(TcpStream, Cutter)> {
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_tcp_user_timeout(&stream, 60_000)?;
    let stream = stream.into_std()?;
    let cutter = Cutter(Some(stream.try_clone()?));
    Ok((TcpStream::from_std(stream)?, cutter))
}

/// A ProxyCommand and its streams. Dropping it kills the command.
#[derive(Debug)]
pub(crate) struct Pipe {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Pipe {
    /// Starts the command, with `%h`, `%p` and `%r` filled in where `ssh -G` has left them.
    ///
    /// # Errors
    /// `Unreachable`.
    pub(crate) fn start(command: &str, endpoint: &Endpoint) -> Result<Self> {
        // A host that could be read as script has been refused before.
        let script = endpoint.tokens.fill(command, "hnpr");
        let mut builder = Command::new("sh");
        builder.args(["-c", &format!("exec {script}")]).process_group(0);
        builder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let failed = || Error::new(ErrorKind::Unreachable, "proxy command").with("command", &script).later();
        let mut child = builder.spawn().map_err(|error| failed().source(error))?;
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(log(endpoint.name.clone(), stderr));
        }
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Pipe { child, stdin, stdout }),
            _ => Err(failed().message("its streams are not there")),
        }
    }
}

impl Drop for Pipe {
    /// Kills the whole group, since a command may be several processes.
    fn drop(&mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(rustix::process::Pid::from_raw) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
        }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(context, buffer)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(context)
    }
}

/// Logs the standard error of the command.
async fn log(host: String, stderr: ChildStderr) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::warn!(host, line, "the proxy command says");
    }
}
