//! Each channel ends with one end-of-file: servers of asyncssh end the connection at a second one.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod support;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command as Program, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use ferry_engine_core::{
    computer::Computer,
    transport::{Command, QUIET, Transport, Tree},
};
use russh::{
    Channel, ChannelId,
    keys::PrivateKey,
    server::{Auth, Config, Handler, Msg, Session},
};
use support::keygen;

/// Returns a computer at a port of this machine whose host key and user key lie in `dir`.
fn computer(dir: &Path, port: u16) -> Computer {
    let public = std::fs::read_to_string(dir.join("host_key.pub")).expect("a host key");
    std::fs::write(dir.join("known_hosts"), format!("[127.0.0.1]:{port} {public}")).expect("known hosts");
    let mut computer = Computer { hostname: "127.0.0.1".into(), ..Computer::default() };
    let file = |name: &str| dir.join(name).display().to_string();
    let mut set = |key: &str, value: serde_json::Value| _ = computer.connection.insert(key.into(), value);
    set("port", port.into());
    set("username", support::user().into());
    set("key_filename", file("id").into());
    set("known_hosts", file("known_hosts").into());
    set("config_file", "none".into());
    set("allow_agent", false.into());
    set("safe_interval", 0.into());
    computer
}

fn keys() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    keygen(&dir.path().join("host_key"), &[]);
    keygen(&dir.path().join("id"), &[]);
    dir
}

async fn opened(computer: &Computer) -> Arc<dyn Transport> {
    ferry_transport_ssh::register().open(computer).await.expect("it opens")
}

/// A running server of asyncssh; killed when dropped.
struct Asyncssh(Child);

impl Drop for Asyncssh {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn asyncssh_serves_command_after_command() {
    let has = Program::new("python3").args(["-c", "import asyncssh"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        eprintln!("skipped: asyncssh is not installed (pip install asyncssh)");
        return;
    }
    let dir = keys();
    let mut program = Program::new("python3");
    program.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/asyncssh_server.py"));
    program.args([dir.path().join("host_key"), dir.path().join("id.pub")]);
    let mut server = Asyncssh(program.stdout(Stdio::piped()).spawn().expect("python3"));
    let mut line = String::new();
    let stdout = server.0.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a port");
    let via = opened(&computer(dir.path(), line.trim().parse().expect("a port"))).await;
    for number in 0..5 {
        let output = via.exec(&Command::new(["echo", &format!("it's {number}")])).await.expect("it runs");
        assert_eq!(output.text(), format!("it's {number}\n"));
        let cat = Command::new(["cat"]).stdin(vec![b'x'; 300_000]);
        assert_eq!(via.exec(&cat).await.expect("it runs").stdout.len(), 300_000);
    }
    let place = dir.path().join("tree");
    let tree = (0..20).fold(Tree::default(), |tree, i| tree.bytes(format!("f{i}"), *b"bytes"));
    via.put_tree(&tree, &place, QUIET).await.expect("files go there");
    assert_eq!(via.list(&place).await.expect("they are listed").len(), 20);
    let output = via.exec(&Command::new(["true"])).await.expect("it still runs");
    assert_eq!(output.status, 0);
}

/// A server that counts the ends of file on each of its channels, and runs nothing.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<HashMap<ChannelId, Ends>>>);

/// The ends of one channel that had a command. Others are opened and closed to learn what the server allows.
#[derive(Default)]
struct Ends {
    of_file: usize,
    is_closed: bool,
}

impl Counting {
    fn of(&self, channel: ChannelId, count: impl FnOnce(&mut Ends)) {
        self.0.lock().expect("no panic").entry(channel).and_modify(count);
    }
}

impl Handler for Counting {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: russh::server::VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.0.lock().expect("no panic").insert(channel, Ends::default());
        session.channel_success(channel)
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.of(channel, |ends| ends.of_file += 1);
        session.exit_status_request(channel, 3)?;
        // It leaves the closing to the client, which is where a second end of file would come.
        session.eof(channel)
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.of(channel, |ends| ends.is_closed = true);
        Ok(())
    }
}

#[tokio::test]
async fn each_channel_sends_one_end_of_file() {
    let dir = keys();
    let key = PrivateKey::read_openssh_file(dir.path().join("host_key")).expect("a host key");
    let config = Arc::new(Config { keys: vec![key], ..Config::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let counting = Counting::default();
    let handler = counting.clone();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        russh::server::run_stream(config, stream, handler).await?.await
    });
    let via = opened(&computer(dir.path(), port)).await;
    for _ in 0..3 {
        // The server runs nothing, so the command never began.
        via.exec(&Command::new(["true"])).await.expect_err("nothing runs");
    }
    // They are closed in the background, after all ends of file.
    let ends = || -> Vec<(usize, bool)> {
        counting.0.lock().expect("no panic").values().map(|ends| (ends.of_file, ends.is_closed)).collect()
    };
    let all_closed = async {
        while !ends().iter().all(|(_, is_closed)| *is_closed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), all_closed).await.expect("the channels are closed");
    assert_eq!(ends(), [(1, true); 3]);
}
