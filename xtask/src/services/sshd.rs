//! A private sshd: its own port, host key, client key and `known_hosts`, for the user who starts it.
//!
//! Sessions get a home of their own, so that no login file of the user's affects the tests.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Service, packages};

/// Number of ports that it needs.
pub(super) const PORTS: usize = 1;
/// Search path of sessions, behind the tests' own.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Maximum time until it greets.
const PATIENCE: Duration = Duration::from_secs(20);

/// One private sshd.
#[derive(Debug)]
pub(super) struct Sshd {
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) key: PathBuf,
    pub(super) known_hosts: PathBuf,
    /// A client's configuration with the host `ferry-login`, for people and for the OpenSSH client.
    pub(super) config: PathBuf,
    /// Directory of commands that come before all others in sessions. It is empty; tests put theirs there.
    pub(super) commands: PathBuf,
    /// The file that the daemon reads.
    pub(super) server_config: PathBuf,
}

impl Sshd {
    /// Makes keys and configuration below `dir`. Sessions get `environment`.
    pub(super) fn prepare(dir: &Path, port: u16, environment: &[(String, String)]) -> Result<Sshd> {
        let dir = dir.join("ssh");
        super::make_dir(&dir)?;
        super::make_dir(&dir.join("home"))?;
        super::make_dir(&dir.join("commands"))?;
        if packages::is_root() {
            // Where sshd, as root, locks its unprivileged half in. Empty, and the same for all.
            super::make_dir(Path::new("/run/sshd"))?;
        }
        let sshd = Sshd {
            port,
            user: packages::user("-un").context("`id -un` does not say who we are")?,
            key: dir.join("id"),
            known_hosts: dir.join("known_hosts"),
            config: dir.join("ssh_config"),
            commands: dir.join("commands"),
            server_config: dir.join("sshd_config"),
        };
        let host_key = dir.join("host_key");
        keygen(&host_key)?;
        keygen(&sshd.key)?;
        fs::copy(sshd.key.with_extension("pub"), dir.join("authorized_keys"))?;
        fs::write(&sshd.known_hosts, "")?;
        sshd.make_known(Ipv4Addr::LOCALHOST)?;
        fs::write(&sshd.server_config, sshd.server_text(&dir, environment))?;
        fs::write(&sshd.config, sshd.client_text())?;
        Ok(sshd)
    }

    /// Lets clients know the host key at an address.
    pub(super) fn make_known(&self, address: Ipv4Addr) -> Result<()> {
        let public = fs::read_to_string(self.server_config.with_file_name("host_key.pub"))?;
        let public: Vec<&str> = public.split(' ').take(2).collect();
        let line = format!("[{address}]:{} {}\n", self.port, public.join(" "));
        let known = fs::OpenOptions::new().append(true).open(&self.known_hosts);
        let written = known.and_then(|mut file| file.write_all(line.as_bytes()));
        written.with_context(|| format!("could not write {}", self.known_hosts.display()))
    }

    /// Returns the daemon.
    pub(super) fn service(&self) -> Result<Service> {
        // It starts itself again for each connection, so it needs its absolute path.
        let program = packages::program("sshd").context("no sshd on this machine")?;
        let config = self.server_config.to_string_lossy().into_owned();
        Ok(Service::new(
            "sshd",
            [program.to_string_lossy().into_owned(), "-D".into(), "-e".into(), "-f".into(), config],
        ))
    }

    /// Waits for its greeting at an address.
    pub(super) fn wait(&self, address: Ipv4Addr, alive: &dyn Fn() -> Result<()>) -> Result<()> {
        let begun = Instant::now();
        loop {
            alive()?;
            match self.greeting(address) {
                Ok(line) if line.starts_with("SSH-2.0-") => return Ok(()),
                answer if begun.elapsed() > PATIENCE => {
                    bail!("sshd does not greet at {address}:{}: {answer:?}", self.port)
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn greeting(&self, address: Ipv4Addr) -> std::io::Result<String> {
        let stream = TcpStream::connect((address, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    }

    fn server_text(&self, dir: &Path, environment: &[(String, String)]) -> String {
        let home = ("HOME".to_owned(), dir.join("home").to_string_lossy().into_owned());
        let path = ("PATH".to_owned(), format!("{}:{PATH}", self.commands.display()));
        let set: Vec<String> = [&home, &path]
            .into_iter()
            .chain(environment)
            .map(|(name, value)| format!("\"{name}={value}\""))
            .collect();
        let dir = dir.display();
        format!(
            "Port {port}\n\
             ListenAddress 127.0.0.1\n\
             HostKey {dir}/host_key\n\
             PidFile none\n\
             AuthorizedKeysFile {dir}/authorized_keys\n\
             StrictModes no\n\
             UsePAM no\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             PubkeyAuthentication yes\n\
             PermitRootLogin yes\n\
             PrintMotd no\n\
             LogLevel VERBOSE\n\
             Subsystem sftp internal-sftp\n\
             SetEnv {set}\n",
            port = self.port,
            set = set.join(" "),
        )
    }

    fn client_text(&self) -> String {
        format!(
            "Host ferry-login\n\
             \x20 HostName 127.0.0.1\n\
             \x20 Port {}\n\
             \x20 User {}\n\
             \x20 IdentityFile {}\n\
             \x20 IdentitiesOnly yes\n\
             \x20 UserKnownHostsFile {}\n\
             \x20 GlobalKnownHostsFile /dev/null\n\
             \x20 StrictHostKeyChecking yes\n\
             \x20 BatchMode yes\n",
            self.port,
            self.user,
            self.key.display(),
            self.known_hosts.display(),
        )
    }
}

fn keygen(file: &Path) -> Result<()> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "ferry-services", "-f"]).arg(file);
    let status = command.stdin(Stdio::null()).status().context("could not start ssh-keygen")?;
    if !status.success() {
        bail!("ssh-keygen could not make {}: {status}", file.display());
    }
    Ok(())
}
