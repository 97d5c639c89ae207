//! The transport `core.ssh_openssh`: the user's own `ssh` does the talking. Use it for what this crate can't do itself:
//! GSSAPI, PKCS#11, FIDO keys, old algorithms, log-ins that ask a person.
//!
//! All programs go over one master connection: that of the user, where one is open for the host (`ControlMaster`), else
//! one of ferry's own. Files go by commands. A session never dials: without its master it fails.

mod master;

use std::{
    ffi::OsString, io, os::unix::process::ExitStatusExt, path::Path, process::Stdio, sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use ferry_engine_core::{
    back_off::BackOff,
    computer::Computer,
    transport::{
        Error, ErrorKind, Factory, Result, Setting, Transport, quote,
        shell::{Session, Shell, ShellTransport},
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::{Instant, sleep, timeout},
};

use crate::{
    settings::config::{self, Config},
    shell,
    trust::random,
};
use master::Master;

/// Time for which the server may go on refusing a session.
const PATIENCE: Duration = Duration::from_secs(120);
/// The waits between two openings.
const REOPEN: BackOff = BackOff { first: Duration::from_millis(10), longest: Duration::from_millis(500) };
/// Time for the last words of a client that has ended.
const SAID: Duration = Duration::from_secs(2);
/// Most output before a session's greeting: that of login files.
const NOISE: usize = 64 << 10;

/// Sessions and open readers at a time. With the master's own and one that ends a command, they are the ten that sshd
/// allows by default.
const WORKING: usize = 6;
const READING: usize = 2;

/// Returns the factory of `core.ssh_openssh`. It never asks anything: what needs a person is done with `ssh` by hand.
pub fn register_openssh() -> Arc<dyn Factory> {
    Arc::new(OpensshFactory)
}

#[derive(Debug)]
struct OpensshFactory;

#[async_trait]
impl Factory for OpensshFactory {
    fn name(&self) -> &'static str {
        "core.ssh_openssh"
    }

    fn settings(&self) -> &'static [Setting] {
        config::SETTINGS
    }

    fn check(&self, computer: &Computer) -> Result<()> {
        Config::read(computer).map(drop)
    }

    async fn open(&self, computer: &Computer) -> Result<Arc<dyn Transport>> {
        let config = Config::read(computer)?;
        let use_login_shell = config.use_login_shell;
        let master = Master::open(&computer.hostname, &config).await?;
        let shell = Openssh { host: computer.hostname.clone(), config, master };
        Ok(Arc::new(ShellTransport::with_sessions(shell, use_login_shell, WORKING, READING)))
    }
}

/// Sessions over a master connection.
#[derive(Debug)]
struct Openssh {
    host: String,
    config: Config,
    master: Master,
}

#[async_trait]
impl Shell for Openssh {
    async fn start(&self, words: &[&str]) -> Result<Session> {
        let begun = Instant::now();
        loop {
            self.master.check(&self.host)?;
            let token = format!("ferry-{:016x}", random::number());
            let mut client = self.client(words, &token)?;
            match client.greeted(&token).await {
                Ok(()) => return Ok(client.session()),
                // A server frees the place of a session only some time after its end.
                Err(said) if said.contains("refused by peer") && begun.elapsed() < PATIENCE => {
                    sleep(REOPEN.wait_by_age(begun.elapsed(), 2)).await;
                }
                Err(said) => {
                    let error = Error::new(ErrorKind::Unreachable, "ssh").message("no session was opened");
                    return Err(error.with("host", &self.host).with("it said", said).later());
                }
            }
        }
    }

    fn shell_in(&self, dir: &Path) -> Vec<OsString> {
        let words = shell::command(&self.host, &self.config, dir);
        words.into_iter().map(OsString::from).collect()
    }

    async fn close(&self) {
        self.master.close().await;
    }
}

impl Openssh {
    /// Starts a client, which prints a token there before it runs the words.
    fn client(&self, words: &[&str], token: &str) -> Result<Client> {
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Unreachable, "ssh").with("host", &self.host).source(error).later()
        };
        let line: Vec<String> = words.iter().map(|word| quote(word)).collect();
        let mut command = Command::new("ssh");
        command.args(self.master.session()).args(["-T", "--", &self.host]);
        // Any login shell understands this.
        command.arg(format!("echo {token}; exec {}", line.join(" "))).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => {
                Ok(Client { child, stdin, stdout: BufReader::new(stdout), stderr })
            }
            _ => Err(failed(io::Error::other("a stream is missing"))),
        }
    }
}

/// A client at work.
struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
}

impl Client {
    /// Waits until the session runs. The error is what the client said before it ended.
    async fn greeted(&mut self, token: &str) -> std::result::Result<(), String> {
        let mut seen = 0;
        let mut line = Vec::new();
        while seen < NOISE {
            line.clear();
            match (&mut self.stdout).take(NOISE as u64).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => break,
                Ok(count) => seen += count,
            }
            // Login files may print without an end of line.
            if line.trim_ascii_end().ends_with(token.as_bytes()) {
                return Ok(());
            }
        }
        let mut said = Vec::new();
        let _ = timeout(SAID, (&mut self.stderr).take(NOISE as u64).read_to_end(&mut said)).await;
        Err(String::from_utf8_lossy(&said).trim().to_owned())
    }

    fn session(self) -> Session {
        let Client { mut child, stdin, stdout, stderr } = self;
        let status = Box::pin(async move {
            let status = child.wait().await.ok()?;
            // 255 may be the client's own: then the command's end is not known.
            status.code().filter(|code| *code != 255).or(status.signal().map(|signal| 128 + signal))
        });
        Session { stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), status }
    }
}
