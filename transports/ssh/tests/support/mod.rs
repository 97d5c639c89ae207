//! A private sshd for tests, with its own port, host keys and user keys, in a directory of its own. It ends with
//! the guard. Its clients get all settings explicitly, so the user's own `~/.ssh` has no effect.

#![allow(dead_code, reason = "each test target uses its part")]

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use ferry_engine_core::computer::Computer;
use tempfile::TempDir;

/// Most time that a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, its files, and those of its user.
#[derive(Debug)]
pub(crate) struct Sshd {
    child: Child,
    pub(crate) port: u16,
    pub(crate) dir: TempDir,
}

/// Differences from a plain server.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Lines for sshd_config, before all others: the first value of a keyword wins.
    pub(crate) config: String,
    /// True to leave out the SFTP subsystem.
    pub(crate) no_sftp: bool,
    /// The text of `~/.bashrc` in the user's home.
    pub(crate) bashrc: String,
}

impl Sshd {
    /// Starts a plain server.
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    /// Starts a server.
    pub(crate) fn with(options: Options) -> Self {
        Self::prepared(options, |_| (), "")
    }

    /// Starts a server after its directory was prepared. In the additional lines of its configuration, `{dir}`
    /// stands for that directory.
    pub(crate) fn prepared(mut options: Options, prepare: impl FnOnce(&Path), lines: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
        let path = |name: &str| dir.path().join(name);
        keygen(&path("host_key"), &[]);
        keygen(&path("id"), &[]);
        fs::copy(path("id.pub"), path("authorized_keys")).expect("keys can be copied");
        fs::create_dir(path("home")).expect("a home");
        fs::write(path("home/.bashrc"), &options.bashrc).expect("login files");
        fs::write(path("empty_config"), "").expect("a configuration");
        prepare(dir.path());
        options.config += "\n";
        options.config += &lines.replace("{dir}", &dir.path().display().to_string());
        let (child, port) = listening(dir.path(), &options);
        let sshd = Sshd { child, port, dir };
        fs::write(sshd.path("known_hosts"), sshd.known_host()).expect("known hosts");
        sshd
    }

    /// Returns the path of a file in the server's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the line that makes the server known.
    pub(crate) fn known_host(&self) -> String {
        let key = fs::read_to_string(self.path("host_key.pub")).expect("a host key");
        format!("[127.0.0.1]:{} {key}", self.port)
    }

    /// Returns a computer that reaches it with the right settings.
    pub(crate) fn computer(&self) -> Computer {
        let mut computer = Computer {
            label: "private".into(),
            hostname: "127.0.0.1".into(),
            transport: "ssh".into(),
            ..Computer::default()
        };
        let file = |name: &str| self.path(name).display().to_string();
        let mut set = |key: &str, value: serde_json::Value| _ = computer.connection.insert(key.into(), value);
        set("port", self.port.into());
        set("username", user().into());
        set("key_filename", file("id").into());
        set("known_hosts", file("known_hosts").into());
        set("config_file", file("empty_config").into());
        set("allow_agent", false.into());
        set("safe_interval", 0.into());
        computer
    }

    /// Returns the server's own pid.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the pids of its connections: sshd's children.
    pub(crate) fn connections(&self) -> Vec<u32> {
        children(self.pid())
    }

    /// Returns all processes below the server.
    pub(crate) fn descendants(&self) -> Vec<u32> {
        let (mut found, mut todo) = (Vec::new(), vec![self.pid()]);
        while let Some(parent) = todo.pop() {
            let below = children(parent);
            todo.extend(&below);
            found.extend(below);
        }
        found
    }

    /// Sends a signal to all processes of the server.
    pub(crate) fn signal(&self, name: &str) {
        for pid in self.descendants().into_iter().chain([self.pid()]) {
            signal(pid, name);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal("CONT");
        let below = self.descendants();
        self.child.kill().ok();
        self.child.wait().ok();
        below.into_iter().for_each(|pid| signal(pid, "KILL"));
    }
}

/// Makes a key; more arguments go to `ssh-keygen`.
pub(crate) fn keygen(path: &Path, more: &[&str]) {
    let passphrase: &[&str] = if more.contains(&"-N") { &[] } else { &["-N", ""] };
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-C", "test", "-f"]).arg(path).args(passphrase).args(more);
    run(&mut command);
}

/// Runs a command that must succeed; returns its output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns our own user, the only one that a private server can log in.
pub(crate) fn user() -> String {
    run(Command::new("id").arg("-un")).trim().to_owned()
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, name: &str) {
    // It may have ended since.
    Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status().ok();
}

/// Starts sshd on a port of its own. Another test's server may take the port between our choice and sshd's start.
/// Then sshd reports it and ends, and is started again with another port. So a test never talks to another test's
/// server.
fn listening(dir: &Path, options: &Options) -> (Child, u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let port = free_port();
        fs::write(dir.join("sshd_config"), config(dir, port, options)).expect("a configuration");
        let mut child = serve(dir);
        let log = || fs::read_to_string(dir.join("log")).unwrap_or_default();
        while child.try_wait().expect("our own child").is_none() {
            // Its own log line: an answer at the port might be another server's.
            if log().contains(&format!("Server listening on 127.0.0.1 port {port}.")) {
                return (child, port);
            }
            assert!(Instant::now() < deadline, "sshd does not listen: {}", log());
            sleep(Duration::from_millis(5));
        }
        assert!(log().contains("Address already in use"), "sshd ended: {}", log());
    }
}

/// Returns a port that is free at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

fn config(dir: &Path, port: u16, options: &Options) -> String {
    let Options { config, no_sftp, .. } = options;
    let sftp = if *no_sftp { "" } else { "Subsystem sftp internal-sftp" };
    let dir = dir.display();
    format!(
        "{config}\n\
         Port {port}\n\
         ListenAddress 127.0.0.1\n\
         HostKey {dir}/host_key\n\
         AuthorizedKeysFile {dir}/authorized_keys\n\
         PidFile {dir}/pid\n\
         PermitRootLogin yes\n\
         StrictModes no\n\
         UsePAM no\n\
         UseDNS no\n\
         LogLevel VERBOSE\n\
         SetEnv HOME={dir}/home\n\
         {sftp}\n"
    )
}

fn serve(dir: &Path) -> Child {
    // The directory for privilege separation, if sshd runs as root.
    fs::create_dir_all("/run/sshd").ok();
    let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"];
    let sshd = sshd.iter().find(|path| Path::new(path).exists()).expect("openssh-server must be installed");
    let log = File::create(dir.join("log")).expect("a log");
    let mut command = Command::new(sshd);
    command.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("sshd can be started")
}

/// Returns the processes that a process has started, by the parent pid of every process.
fn children(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold any characters; the state is one letter.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
