//! The master connection: found, or made; and ended, if it was made here.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use ferry_engine_core::transport::{Error, ErrorKind, Result};
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStderr, Command},
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use crate::{connection::pace, settings::config::Config, shell, trust::random};

/// The operation that errors name.
const CONNECT: &str = "connect";
/// Time between two looks whether a master is ready.
const LOOK: Duration = Duration::from_millis(20);
/// Most time that a question to a master, or to `ssh -G`, may take.
const ASK: Duration = Duration::from_secs(10);

/// A master connection.
#[derive(Debug)]
pub(super) struct Master {
    socket: PathBuf,
    /// The program and the directory, if it is ours.
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    child: Mutex<Child>,
    dir: PathBuf,
}

impl Master {
    /// Finds the user's master for a host, else makes one.
    ///
    /// # Errors
    /// `Authentication` if the host key or the credentials are refused, `Unreachable`, `Config`, each with the words of
    /// `ssh`.
    pub(super) async fn open(host: &str, config: &Config) -> Result<Master> {
        let options = shell::options(config);
        if let Some(socket) = of_user(host, &options).await? {
            tracing::info!(host, socket = %socket.display(), "uses the master connection of the user's ssh");
            return Ok(Master { socket, own: None });
        }
        pace::wait(host, config.port.unwrap_or(22), "ssh_openssh", config.safe_interval).await;
        make(host, config, &options).await
    }

    /// Returns the options of a session over it. Without the master, `ssh` would dial by itself: it may not.
    pub(super) fn session(&self) -> Vec<String> {
        let socket = self.socket.display();
        ["ProxyCommand=false", "ControlMaster=no", "BatchMode=yes", "LogLevel=ERROR"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("ControlPath={socket}")])
            .flat_map(|option| ["-o".to_owned(), option])
            .collect()
    }

    /// Checks that its socket is there.
    ///
    /// # Errors
    /// `Unreachable`.
    pub(super) fn check(&self, host: &str) -> Result<()> {
        if self.socket.exists() {
            return Ok(());
        }
        let gone = Error::new(ErrorKind::Unreachable, "ssh").message("the master connection ended");
        Err(gone.with("host", host).later())
    }

    /// Ends it, if it is ours.
    pub(super) async fn close(&self) {
        if let Some(own) = &self.own {
            // It may have ended by itself.
            let _ = own.child.lock().await.kill().await;
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // What is left there is a socket at most.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Returns the socket of the user's own master, if one answers.
async fn of_user(host: &str, options: &[String]) -> Result<Option<PathBuf>> {
    let asked = ask(Command::new("ssh").args(options).args(["-G", "-T", "--", host])).await?;
    if !asked.status.success() {
        let said = said(&asked.stderr);
        return Err(Error::new(ErrorKind::Config, CONNECT)
            .message(said)
            .help("fix ~/.ssh/config; `ssh -G HOST` must work"));
    }
    let text = String::from_utf8_lossy(&asked.stdout);
    let path = text.lines().find_map(|line| line.strip_prefix("controlpath ")).filter(|path| *path != "none");
    let Some(path) = path.map(PathBuf::from) else { return Ok(None) };
    let mut check = Command::new("ssh");
    check.args(["-o", &format!("ControlPath={}", path.display()), "-O", "check", "--", host]);
    let answers = ask(&mut check).await?.status.success();
    Ok(answers.then_some(path))
}

async fn ask(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let failed = |kind| Error::new(kind, CONNECT);
    match timeout(ASK, command.output()).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            let missing = failed(ErrorKind::Config).message("there is no `ssh` on this machine");
            Err(missing.help("install OpenSSH's client, or use `transport: core.ssh`"))
        }
        Ok(Err(error)) => Err(failed(ErrorKind::Other).source(error).later()),
        Err(_) => {
            Err(failed(ErrorKind::TimedOut).message(format!("`ssh` did not answer within {ASK:?}")).later())
        }
    }
}

/// Makes a master. It runs `cat` there, whose input is a pipe of ours: so it ends with this program, however that ends.
async fn make(host: &str, config: &Config, options: &[String]) -> Result<Master> {
    let dir = private_dir()?;
    let socket = dir.join("m");
    let seconds = |time: Duration| time.as_secs().max(1).to_string();
    let mut command = Command::new("ssh");
    command.args(options).args(["-M", "-S"]).arg(&socket);
    let more = [
        "ControlPersist=no".to_owned(),
        "BatchMode=yes".to_owned(),
        "LogLevel=ERROR".to_owned(),
        format!("ConnectTimeout={}", seconds(config.timeout)),
        format!("ServerAliveInterval={}", seconds(config.keepalive)),
        "ServerAliveCountMax=3".to_owned(),
    ];
    command.args(more.iter().flat_map(|option| ["-o", option]));
    command.args(["-T", "--", host, "exec cat > /dev/null"]).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let own = |child| Own { child: Mutex::new(child), dir: dir.clone() };
    let child = command.spawn().map_err(|error| Error::new(ErrorKind::Other, CONNECT).source(error).later());
    let master = Master { socket, own: Some(own(child?)) };
    match ready(&master, config.timeout * 2).await {
        Ok(()) => {
            tracing::info!(host, "connected by the user's ssh");
            Ok(master)
        }
        Err(error) => Err(error.with("host", host)),
    }
}

/// Waits until a master of ours serves, or has ended.
async fn ready(master: &Master, patience: Duration) -> Result<()> {
    let Some(own) = &master.own else { return Ok(()) };
    let deadline = Instant::now() + patience;
    let mut child = own.child.lock().await;
    loop {
        if master.socket.exists() {
            return Ok(());
        }
        let ended = child.try_wait().map_err(|error| Error::new(ErrorKind::Other, CONNECT).source(error))?;
        if ended.is_some() {
            return Err(refused(&words(child.stderr.take()).await));
        }
        if Instant::now() > deadline {
            let silent = format!("`ssh` was not connected within {patience:?}");
            return Err(Error::new(ErrorKind::Unreachable, CONNECT)
                .message(silent)
                .help("try `ssh HOST` by hand; the setting `timeout` allows it more time")
                .later());
        }
        sleep(LOOK).await;
    }
}

async fn words(stderr: Option<ChildStderr>) -> String {
    let mut bytes = Vec::new();
    if let Some(stderr) = stderr {
        // What was said until an error is enough.
        let _ = timeout(ASK, stderr.take(16 << 10).read_to_end(&mut bytes)).await;
    }
    said(&bytes)
}

fn said(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim().replace(['\r', '\n'], "; ")
}

/// Returns the error for what `ssh` said before it ended.
fn refused(said: &str) -> Error {
    let is = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let failed = |kind| Error::new(kind, CONNECT).message(if said.is_empty() { "`ssh` ended" } else { said });
    if is(&["Permission denied", "Too many authentication failures", "Host key verification failed"]) {
        return failed(ErrorKind::Authentication).help(
            "log in once by hand with `ssh`; where it asks something, keep a master open: `ssh -M` with a \
             ControlPath, which ferry then uses",
        );
    }
    if is(&["Bad configuration option", "terminating,", "Bad owner or permissions"]) {
        return failed(ErrorKind::Config).help("fix the OpenSSH configuration; `ssh -G HOST` must work");
    }
    failed(ErrorKind::Unreachable).help("try `ssh HOST` by hand").later()
}

/// Makes a directory for a socket, which nobody else may enter. Its path is short: a socket's may have 100 bytes.
fn private_dir() -> Result<PathBuf> {
    let place = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
    let places = place.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
    let mut last = None;
    for place in places.filter(|place| place.as_os_str().len() < 40) {
        let dir = place.join(format!("ferry-{:016x}", random::number()));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) => last = Some(Error::from_io(CONNECT, Path::new(&dir), error)),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(ErrorKind::Other, CONNECT).message("no place for a socket")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_ssh_are_told_apart() {
        let check = |said: &str, kind: ErrorKind| assert_eq!(*refused(said).kind(), kind, "{said}");
        check("ada@login1: Permission denied (publickey).", ErrorKind::Authentication);
        check("Host key verification failed.", ErrorKind::Authentication);
        check("ssh: connect to host login1 port 22: Connection refused", ErrorKind::Unreachable);
        check("command-line: line 0: Bad configuration option: x", ErrorKind::Config);
        check("", ErrorKind::Unreachable);
    }
}
