//! Follows the user's OpenSSH configuration, with the real `ssh -G`, a real sshd and a real agent.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use ferry_engine_core::{
    computer::Computer,
    transport::{self, Error, ErrorKind, Transport},
};
use support::{Sshd, keygen, run, user};
use tokio::time::{sleep, timeout};

const LIMIT: Duration = Duration::from_secs(60);

/// A server, and the configuration of a host `cluster` which leads to it.
struct Site {
    sshd: Sshd,
    lines: String,
}

impl Site {
    fn new() -> Site {
        Site { sshd: Sshd::start(), lines: String::new() }
    }

    fn file(&self, name: &str) -> String {
        self.sshd.path(name).display().to_string()
    }

    /// Adds lines to the host's part of the configuration, `{dir}` standing for the server's directory.
    fn with(mut self, lines: &str) -> Site {
        let dir = self.sshd.dir.path().display().to_string();
        for line in lines.replace("{dir}", &dir).lines() {
            self.lines += &format!("  {}\n", line.trim());
        }
        self
    }

    /// Adds the lines that a plain log-in needs.
    fn with_keys(self) -> Site {
        self.with("IdentityFile {dir}/id")
    }

    fn with_known_hosts(self) -> Site {
        self.with("UserKnownHostsFile {dir}/known_hosts")
    }

    fn computer(&self) -> Computer {
        let Site { sshd, lines } = self;
        let start = format!("HostName 127.0.0.1\n  Port {}\n  User {}", sshd.port, user());
        let text = format!("Host cluster\n  {start}\n{lines}Host gate\n  {start}\n{lines}");
        fs::write(sshd.path("config"), text).expect("a configuration");
        let mut computer = Computer { hostname: "cluster".into(), ..Computer::default() };
        let mut set = |key: &str, value: serde_json::Value| _ = computer.connection.insert(key.into(), value);
        set("config_file", self.file("config").into());
        set("allow_agent", false.into());
        set("safe_interval", 0.into());
        computer
    }

    async fn open(&self) -> Result<Arc<dyn Transport>, Error> {
        open(&self.computer()).await
    }

    async fn works(&self) {
        works(self.open().await.expect("it opens")).await;
    }
}

async fn open(computer: &Computer) -> Result<Arc<dyn Transport>, Error> {
    timeout(LIMIT, ferry_transport_ssh::register().open(computer)).await.expect("opening must end")
}

async fn works(far: Arc<dyn Transport>) {
    let output = timeout(LIMIT, far.exec(&transport::Command::new(["echo", "fine"]))).await;
    assert_eq!(output.expect("it must end").expect("it must work").text(), "fine\n");
}

fn refused(opened: Result<Arc<dyn Transport>, Error>, kind: ErrorKind, word: &str) {
    let error = opened.map(drop).expect_err("it must not open");
    let text = format!("{error} {error:?}");
    assert_eq!(*error.kind(), kind, "{text}");
    assert!(text.contains(word), "no `{word}` in: {text}");
}

/// An agent of our own, ended with this.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    async fn holding(dir: &Path, keys: &[&Path]) -> Agent {
        let socket = dir.join("agent");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null());
        let child = command.spawn().expect("ssh-agent must be installed");
        let agent = Agent { child, socket };
        let listens = async {
            while !agent.socket.exists() {
                sleep(Duration::from_millis(10)).await
            }
        };
        timeout(LIMIT, listens).await.expect("the agent listens");
        for key in keys {
            run(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &agent.socket));
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn tokens_of_key_files_are_filled_in() {
    let site =
        Site::new().with_known_hosts().with("IdentityFile {dir}/%n_%h_%r_%p_%%\nIdentityFile {dir}/%Z");
    let name = format!("cluster_127.0.0.1_{}_{}_%", user(), site.sshd.port);
    fs::rename(site.sshd.path("id"), site.sshd.path(&name)).expect("a key");
    site.works().await;
}

#[tokio::test]
async fn variables_of_key_files_are_filled_in() {
    let site = Site::new().with_known_hosts().with("IdentityFile {dir}/${CARGO_PKG_NAME}");
    fs::rename(site.sshd.path("id"), site.sshd.path("ferry-transport-ssh")).expect("a key");
    site.works().await;
}

#[tokio::test]
async fn tokens_of_certificate_files_are_filled_in() {
    let site = Site::new().with_keys().with_known_hosts().with("CertificateFile {dir}/%r-cert.pub");
    let ca = site.sshd.path("ca");
    keygen(&ca, &[]);
    // The server trusts the authority alone.
    let authorized =
        format!("cert-authority {}", fs::read_to_string(ca.with_extension("pub")).expect("a key"));
    fs::write(site.sshd.path("authorized_keys"), authorized).expect("authorized keys");
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-I", "test", "-n", &user(), "-s"]).arg(&ca).arg(site.sshd.path("id.pub"));
    run(&mut sign);
    let named = site.sshd.path(&format!("{}-cert.pub", user()));
    fs::rename(site.sshd.path("id-cert.pub"), named).expect("a certificate");
    site.works().await;
}

#[tokio::test]
async fn tokens_of_a_jump_are_filled_in() {
    let site = Site::new().with_keys().with_known_hosts();
    let mut computer = site.computer();
    let text = fs::read_to_string(site.sshd.path("config")).expect("a configuration");
    let jumps = text.replacen("Host cluster\n", "Host cluster\n  ProxyJump %r@gate\n", 1);
    fs::write(site.sshd.path("config"), jumps).expect("a configuration");
    let far = open(&computer).await.expect("it opens");
    assert_eq!(site.sshd.connections().len(), 2, "one leads to the gate, the other through it");
    works(far).await;
    computer.connection.insert("proxy_jump".into(), "%r@gate".into());
    works(open(&computer).await.expect("it opens by the setting, too")).await;
}

#[tokio::test]
async fn a_public_half_chooses_a_key_of_the_agent() {
    let site = Site::new().with_known_hosts();
    let other = site.sshd.path("other");
    keygen(&other, &[]);
    let id = site.sshd.path("id");
    let agent = Agent::holding(site.sshd.dir.path(), &[&other, &id]).await;
    fs::remove_file(&id).expect("the private half goes");
    let socket = agent.socket.display();
    // By its own name, by that of the private half which is not there, and as a setting of the computer.
    for (line, key) in
        [("IdentityFile {dir}/id.pub", None), ("IdentityFile {dir}/id", None), ("", Some("id.pub"))]
    {
        let lines = format!("IdentityAgent {socket}\nIdentitiesOnly yes\n{line}");
        let site = Site { sshd: Sshd::start(), lines: String::new() }.with_known_hosts().with(&lines);
        for file in ["id.pub", "authorized_keys"] {
            fs::copy(id.with_file_name(file), site.sshd.path(file)).expect("keys");
        }
        fs::remove_file(site.sshd.path("id")).expect("the private half goes");
        let mut computer = site.computer();
        if let Some(key) = key {
            computer.connection.insert("key_filename".into(), site.file(key).into());
        }
        refused(open(&computer).await, ErrorKind::Authentication, "no agent holds the key");
        computer.connection.insert("allow_agent".into(), true.into());
        works(open(&computer).await.expect("the agent signs")).await;
    }
}

#[tokio::test]
async fn an_agent_that_is_not_allowed_is_not_asked() {
    let site = Site::new().with_known_hosts();
    let id = site.sshd.path("id");
    let agent = Agent::holding(site.sshd.dir.path(), &[&id]).await;
    fs::remove_file(&id).expect("the private half goes");
    fs::remove_file(id.with_extension("pub")).expect("the public half goes");
    let site = site.with(&format!("IdentityAgent {}", agent.socket.display()));
    let mut computer = site.computer();
    refused(open(&computer).await, ErrorKind::Authentication, "no credential");
    computer.connection.insert("allow_agent".into(), true.into());
    works(open(&computer).await.expect("the agent signs")).await;
}

#[tokio::test]
async fn known_hosts_may_have_blanks_in_their_paths() {
    let site = Site::new().with_keys().with(r#"UserKnownHostsFile "{dir}/my known hosts" {dir}/none"#);
    fs::rename(site.sshd.path("known_hosts"), site.sshd.path("my known hosts")).expect("known hosts");
    site.works().await;
}

#[tokio::test]
async fn a_new_host_is_accepted_where_nothing_is_kept() {
    for file in ["/dev/null", "none"] {
        let lines = format!("UserKnownHostsFile {file}\nStrictHostKeyChecking accept-new");
        Site::new().with_keys().with(&lines).works().await;
    }
}

#[tokio::test]
async fn a_command_prints_known_hosts() {
    let strict = || Site::new().with_keys().with("UserKnownHostsFile none\nGlobalKnownHostsFile none");
    let site = strict();
    refused(site.open().await, ErrorKind::Authentication, "not known");
    let site = strict().with(r#"KnownHostsCommand /bin/cat "{dir}/known hosts""#);
    fs::rename(site.sshd.path("known_hosts"), site.sshd.path("known hosts")).expect("known hosts");
    site.works().await;
    // It says that whatever the host shows is known, as nobody should do.
    strict().with("KnownHostsCommand /bin/echo %H %t %K").works().await;
    let revokes = strict().with_known_hosts().with("KnownHostsCommand /bin/echo @revoked * %t %K");
    refused(revokes.open().await, ErrorKind::Authentication, "revoked");
}

#[tokio::test]
async fn a_command_for_known_hosts_that_fails_is_an_error() {
    let site = || Site::new().with_keys().with_known_hosts();
    let fails = site().with("KnownHostsCommand /bin/false");
    refused(fails.open().await, ErrorKind::Config, "exit status: 1");
    let missing = site().with("KnownHostsCommand /no/such/program");
    refused(missing.open().await, ErrorKind::Config, "can't be run");
}

#[tokio::test]
async fn the_shell_command_takes_paths_with_blanks() {
    let sshd = Sshd::start();
    let mut computer = sshd.computer();
    fs::copy(sshd.path("known_hosts"), sshd.path("my known hosts")).expect("known hosts");
    computer
        .connection
        .insert("known_hosts".into(), sshd.path("my known hosts").display().to_string().into());
    let far = open(&computer).await.expect("it opens");
    let words = far.shell_command(sshd.dir.path());
    let mut shell = Command::new(&words[0]);
    shell.args(&words[1..]).env("SSH_AUTH_SOCK", "").stderr(Stdio::null());
    assert!(shell.stdin(Stdio::null()).status().expect("ssh is there").success(), "{words:?}");
}
