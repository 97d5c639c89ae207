//! Compares ferry's SSH with OpenSSH, side by side on a private sshd: `true` on an open connection, and 500 small
//! files each way. Prints medians and their ratios.
//!
//! ```text
//! cargo run --release --example beside_openssh
//! ```

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people, which may end with a trace"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fs,
    path::PathBuf,
    process::Command as Child,
    time::{Duration, Instant},
};

use ferry_engine_core::transport::{Command, QUIET, Tree};
use support::{Sshd, run};

const COMMANDS: usize = 100;
const FILES: usize = 500;
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let sshd = Sshd::start();
    let far = ferry_transport_ssh::register().open(&sshd.computer()).await.unwrap();
    let master = Master::start(&sshd);
    let local = sshd.path("local");
    fs::create_dir(&local).unwrap();
    for i in 0..FILES {
        fs::write(local.join(i.to_string()), [b'x'; 1000]).unwrap();
    }

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..COMMANDS {
        let start = Instant::now();
        far.exec(&Command::new(["true"])).await.unwrap();
        ours.push(start.elapsed());
        let start = Instant::now();
        run(master.ssh().arg("true"));
        theirs.push(start.elapsed());
    }
    report("`true` on an open connection", ours, theirs);

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (to, to_theirs) = (sshd.path(&format!("up-{round}")), sshd.path(&format!("up-scp-{round}")));
        let names = (0..FILES).map(|i| i.to_string());
        let tree = names.fold(Tree::default(), |tree, name| tree.file(name.clone(), local.join(name)));
        let start = Instant::now();
        far.put_tree(&tree, &to, QUIET).await.unwrap();
        ours.push(start.elapsed());
        let start = Instant::now();
        run(master.scp().arg(&local).arg(format!("127.0.0.1:{}", to_theirs.display())));
        theirs.push(start.elapsed());
    }
    report("500 small files up", ours, theirs);

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (to, to_theirs) = (sshd.path(&format!("down-{round}")), sshd.path(&format!("down-scp-{round}")));
        let pair = |i: usize| (sshd.path("up-0").join(i.to_string()), to.join(i.to_string()));
        let pairs: Vec<(PathBuf, PathBuf)> = (0..FILES).map(pair).collect();
        let start = Instant::now();
        far.get_files(&pairs, QUIET).await.unwrap();
        ours.push(start.elapsed());
        let start = Instant::now();
        run(master.scp().arg(format!("127.0.0.1:{}", sshd.path("up-0").display())).arg(to_theirs));
        theirs.push(start.elapsed());
    }
    report("500 small files down", ours, theirs);
}

fn report(what: &str, ours: Vec<Duration>, theirs: Vec<Duration>) {
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{what:30} ferry {ours:8.2} ms, OpenSSH {theirs:8.2} ms, ratio {:.2}", ours / theirs);
}

/// An OpenSSH master connection, so that OpenSSH too has an open one.
struct Master {
    options: Vec<String>,
}

impl Master {
    fn start(sshd: &Sshd) -> Self {
        let file = |name: &str| sshd.path(name).display().to_string();
        let options = [
            format!("ControlPath={}", file("master")),
            "ControlMaster=auto".into(),
            "ControlPersist=yes".into(),
            format!("UserKnownHostsFile={}", file("known_hosts")),
            format!("IdentityFile={}", file("id")),
            format!("Port={}", sshd.port),
        ];
        let options = options.iter().flat_map(|option| ["-o".to_owned(), option.clone()]);
        let master = Master { options: ["-F".into(), "none".into()].into_iter().chain(options).collect() };
        let mut first = master.ssh();
        // The master keeps these as long as it runs.
        first.arg("true").stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        assert!(first.status().unwrap().success());
        master
    }

    fn ssh(&self) -> Child {
        let mut command = Child::new("ssh");
        command.args(&self.options).arg("127.0.0.1");
        command
    }

    fn scp(&self) -> Child {
        let mut command = Child::new("scp");
        command.args(["-q", "-r"]).args(&self.options);
        command
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        // Otherwise it ends with the server.
        self.ssh().args(["-O", "exit"]).status().ok();
    }
}
