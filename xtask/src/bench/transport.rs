//! `cargo xtask bench transport`: jobs over SSH as users run them, beside OpenSSH's own tools and rsync on the same
//! line: this machine's loopback, and a line of 50 ms there and back.
//!
//! The far line takes root: a network namespace, two TUN devices, and a small program that holds packets back.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::table::{Aim, Table, median};
use crate::ferry::{self, Ferry};
use crate::interrupt::Interrupt;
use crate::shell;
use crate::workspace::Workspace;

const LINK: &str = include_str!("link.py");
/// The delay of the far line, one way, ms.
const DELAY: f64 = 25.0;
/// The address of the far server, and ours on that line: of the network for tests of devices (RFC 2544).
const FAR: &str = "198.19.255.2";
const NEAR: &str = "198.19.255.1";
const PORT: u16 = 18_222;
const NAMESPACE: &str = "ferry-bench-far";
/// Small files in a tree, and their size.
const FILES: usize = 2_000;
const SMALL: usize = 1_000;
/// The large file, bytes.
const LARGE: usize = 200_000_000;
/// Times that each figure is taken.
const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs all figures, on both lines.
pub(super) fn run(workspace: &Workspace, interrupt: &Interrupt, table: &mut Table) -> Result<()> {
    let binary = ferry::build(workspace, "release")?;
    for program in ["sshd", "ssh", "scp", "ssh-keygen", "rsync", "tar"] {
        if !shell::has(program) && !Path::new("/usr/sbin").join(program).exists() {
            table.skip("transport", &format!("{program} is not installed"));
            return Ok(());
        }
    }
    Line::near()?.measure("loopback", 0.0, &binary, interrupt, table)?;
    match Line::far() {
        Ok(line) => line.measure("50 ms", 2.0 * DELAY / 1e3, &binary, interrupt, table),
        Err(error) => {
            table.skip("50 ms", &format!("{error:#}"));
            Ok(())
        }
    }
}

/// An sshd of our own at the end of a line. Dropping it ends what it started.
struct Line {
    address: &'static str,
    dir: TempDir,
    children: Vec<Child>,
    has_namespace: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.has_namespace {
            let _ = Command::new("ip").args(["netns", "delete", NAMESPACE]).status();
        }
    }
}

impl Line {
    fn at(address: &'static str) -> Result<Line> {
        let dir = tempfile::Builder::new().prefix("ferry-bench-").tempdir()?;
        let line = Line { address, dir, children: Vec::new(), has_namespace: false };
        fs::create_dir_all("/run/sshd").ok();
        for key in ["host_key", "id"] {
            let mut keygen = Command::new("ssh-keygen");
            shell::run(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(line.path(key)))?;
        }
        fs::copy(line.path("id.pub"), line.path("authorized_keys"))?;
        let host_key = fs::read_to_string(line.path("host_key.pub"))?;
        fs::write(line.path("known_hosts"), format!("[{address}]:{PORT} {host_key}"))?;
        // The login files of whoever runs this must not count.
        fs::create_dir(line.path("home"))?;
        let at = |name: &str| line.path(name).display().to_string();
        fs::write(
            line.path("sshd_config"),
            format!(
                "Port {PORT}\nListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
                 StrictModes no\nUsePAM no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\nSetEnv HOME={}\n",
                at("host_key"),
                at("authorized_keys"),
                at("home")
            ),
        )?;
        fs::write(
            line.path("ssh_config"),
            format!(
                "Host far\n HostName {address}\n Port {PORT}\n IdentityFile {}\n IdentitiesOnly yes\n \
                 UserKnownHostsFile {}\n BatchMode yes\n",
                at("id"),
                at("known_hosts")
            ),
        )?;
        Ok(line)
    }

    fn near() -> Result<Line> {
        let mut line = Line::at("127.0.0.1")?;
        line.serve(Command::new("/usr/sbin/sshd"))?;
        Ok(line)
    }

    fn far() -> Result<Line> {
        if !Path::new("/dev/net/tun").exists() || !shell::has("ip") || !shell::has("python3") {
            bail!("it takes root, /dev/net/tun, `ip` and `python3`");
        }
        let mut line = Line::at(FAR)?;
        // One that a killed run has left.
        let _ = Command::new("ip").args(["netns", "delete", NAMESPACE]).stderr(Stdio::null()).status();
        shell::run(Command::new("ip").args(["netns", "add", NAMESPACE]))?;
        line.has_namespace = true;
        let mut link = Command::new("python3");
        link.args(["-c", LINK, NAMESPACE, NEAR, FAR, &DELAY.to_string()]).stdout(Stdio::piped());
        let mut link = link.spawn().context("could not start python3")?;
        let mut word = String::new();
        let stdout = link.stdout.take().context("the link has no output")?;
        line.children.push(link);
        BufReader::new(stdout).read_line(&mut word)?;
        if word.trim() != "up" {
            bail!("the line with a delay can't be made here");
        }
        let mut server = Command::new("ip");
        server.args(["netns", "exec", NAMESPACE, "/usr/sbin/sshd"]);
        line.serve(server)?;
        Ok(line)
    }

    /// Starts the server, and waits until a client gets in.
    fn serve(&mut self, mut server: Command) -> Result<()> {
        let server = server.args(["-D", "-e", "-f"]).arg(self.path("sshd_config")).stderr(Stdio::null());
        self.children.push(server.spawn().context("could not start sshd")?);
        let begun = Instant::now();
        while !self.ssh().arg("true").stderr(Stdio::null()).status()?.success() {
            if begun.elapsed() > Duration::from_secs(20) {
                bail!("sshd does not let us in at {}", self.address);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.path("ssh_config")).arg("far");
        ssh
    }

    /// Takes all figures on this line, where a question and its answer take `round_trip` seconds.
    fn measure(
        &self,
        name: &str,
        round_trip: f64,
        binary: &Path,
        interrupt: &Interrupt,
        table: &mut Table,
    ) -> Result<()> {
        println!("\n{name}");
        let small = self.path("small");
        fs::create_dir(&small)?;
        for i in 0..FILES {
            fs::write(small.join(format!("file-{i}")), random(SMALL)?)?;
        }
        fs::write(self.path("large"), random(LARGE)?)?;
        let ferry = Ferry::scratch(binary.to_owned(), false, interrupt.clone())?;
        self.set_up(&ferry)?;
        let bench = Bench { line: self, ferry: &ferry };
        let trivial = bench.job(&["command=true"])?;
        let trips =
            if round_trip > 0.0 { format!("{:.0} round trips", trivial / round_trip) } else { String::new() };
        match round_trip > 0.0 {
            true => table.judge(
                &format!("{name}: one `true`"),
                trivial,
                " s",
                &trips,
                Aim::Under(8.0 * round_trip),
            ),
            false => table.note(&format!("{name}: one `true`"), trivial, " s", &trips),
        }
        let beside = |rsync: f64, tar: f64| format!("rsync {rsync:.2} s, tar | ssh {tar:.2} s");
        let get =
            bench.job(&["command=cp", &format!("arguments=-r {} d", small.display()), r#"outputs=["d"]"#])?;
        let (rsync, tar) = (bench.rsync("far:", true)?, bench.tar(true)?);
        let what = format!("{name}: a job that brings {FILES} files of 1 kB home");
        table.judge(&what, get, " s", &beside(rsync, tar), Aim::Under(1.5 * rsync));
        let put = bench.job(&["command=true", &format!("nodes.d=folder:{}", small.display())])?;
        let (rsync, tar) = (bench.rsync("far:", false)?, bench.tar(false)?);
        let what = format!("{name}: a job that takes {FILES} files of 1 kB along");
        table.judge(&what, put, " s", &beside(rsync, tar), Aim::Under(1.5 * rsync));
        let large = self.path("large");
        let get = bench.job(&[
            "command=ln",
            &format!("arguments=-s {} large", large.display()),
            r#"outputs=["large"]"#,
        ])?;
        let (scp, cat) = (bench.scp()?, bench.cat()?);
        let what = format!("{name}: a job that brings 200 MB home");
        let baseline = format!("scp {scp:.2} s, ssh cat {cat:.2} s");
        table.judge(&what, get, " s", &baseline, Aim::Under(scp.min(cat) + trivial));
        Ok(())
    }

    fn set_up(&self, ferry: &Ferry) -> Result<()> {
        let file = ferry.desk().join("far.yaml");
        let text = format!(
            "label: far\nhostname: far\ntransport: core.ssh\nscheduler: core.direct\nnum_cores: unlimited\n\
             work_dir: {}\nconfig_file: {}\n",
            self.path("work").display(),
            self.path("ssh_config").display()
        );
        fs::write(&file, text)?;
        let file = file.display().to_string();
        ferry.show(&["computer", "setup", "-n", "--config", &file])?;
        ferry.show(&["daemon", "start"]).map(drop)
    }
}

/// Random bytes, which no compression makes fewer.
fn random(count: usize) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = vec![0; count];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

struct Bench<'a> {
    line: &'a Line,
    ferry: &'a Ferry,
}

impl Bench<'_> {
    /// Returns the median time of a job on an open connection, from its submission to its end.
    fn job(&self, words: &[&str]) -> Result<f64> {
        let words = [&["submit", "shell.run", "--computer", "far"], words].concat();
        let mut times = Vec::new();
        for _ in 0..=ROUNDS {
            let begun = Instant::now();
            let id = self.ferry.ask(&words)?;
            let ended = self.ferry.wait(id.trim(), PATIENCE)?;
            times.push(begun.elapsed().as_secs_f64());
            if ended["exit_code"] != 0 {
                bail!("a job failed: {ended}");
            }
        }
        // The first one also opens the connection.
        Ok(median(&times[1..]))
    }

    /// Returns the median time of a program.
    fn program(make: impl Fn(usize) -> Command) -> Result<f64> {
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let mut command = make(round);
            let begun = Instant::now();
            let status = command.stdout(Stdio::null()).status().context("could not start a baseline")?;
            times.push(begun.elapsed().as_secs_f64());
            if !status.success() {
                bail!("`{}` failed: {status}", shell::words(&command));
            }
        }
        Ok(median(&times))
    }

    fn rsync(&self, host: &str, is_get: bool) -> Result<f64> {
        let ssh = format!("ssh -F {}", self.line.path("ssh_config").display());
        let small = format!("{}/", self.line.path("small").display());
        Self::program(|round| {
            let to = self.line.path(&format!("rsync-{is_get}-{round}"));
            let mut rsync = Command::new("rsync");
            rsync.args(["-a", "-e", &ssh]);
            if is_get {
                rsync.arg(format!("{host}{small}")).arg(to);
            } else {
                rsync.arg(&small).arg(format!("{host}{}", to.display()));
            }
            rsync
        })
    }

    fn tar(&self, is_get: bool) -> Result<f64> {
        let ssh = shell::words(&self.line.ssh());
        let (dir, small) = (self.line.dir.path().display(), "small");
        Self::program(|round| {
            let to = self.line.path(&format!("tar-{is_get}-{round}"));
            let (pack, to) = (format!("tar -cf - -C {dir} {small}"), to.display());
            let script = if is_get {
                format!("mkdir {to} && {ssh} '{pack}' | tar -xf - -C {to}")
            } else {
                format!("{pack} | {ssh} 'mkdir {to} && tar -xf - -C {to}'")
            };
            let mut sh = Command::new("sh");
            sh.args(["-c", &script]);
            sh
        })
    }

    fn scp(&self) -> Result<f64> {
        Self::program(|round| {
            let mut scp = Command::new("scp");
            scp.arg("-q").arg("-F").arg(self.line.path("ssh_config"));
            scp.arg(format!("far:{}", self.line.path("large").display()));
            scp.arg(self.line.path(&format!("scp-{round}")));
            scp
        })
    }

    fn cat(&self) -> Result<f64> {
        let large = self.line.path("large").display().to_string();
        Self::program(|_| {
            let mut ssh = self.line.ssh();
            ssh.arg(format!("cat {large}"));
            ssh
        })
    }
}
