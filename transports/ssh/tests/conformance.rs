//! The published suite for transports, on a real sshd of our own: plain, with a login shell, with its overrides
//! hidden, without SFTP, and by the user's own `ssh`.

mod support;

use std::{
    fs,
    process::ExitCode,
    sync::{Arc, LazyLock},
};

use ferry_conformance::{
    libtest_mimic::{Arguments, Failed, run},
    transport::{self, Fixture},
};
use ferry_engine_core::transport::Factory;
use support::{Options, Sshd};

fn main() -> ExitCode {
    let sshd =
        Arc::new(Sshd::with(Options { bashrc: "echo noise\necho noise >&2\n".into(), ..Options::default() }));
    // Login files that change the directory and print, as some do.
    fs::write(sshd.path("home/.bash_profile"), "cd /\necho more noise\n").expect("login files");
    let suite = |name: &str, use_login_shell: bool| {
        let sshd = sshd.clone();
        transport::suite(name, move || open(sshd.clone(), use_login_shell))
    };
    let mut trials = suite("ssh", false);
    trials.extend(suite("ssh-login-shell", true));
    trials.extend(transport::suite_without_overrides("ssh-provided", move || open(sshd.clone(), false)));
    let start = || Arc::new(Sshd::with(Options { no_sftp: true, ..Options::default() }));
    let without = Arc::new(LazyLock::new(start));
    trials.extend(transport::suite("ssh-without-sftp", move || open((**without).clone(), false)));
    let start = || Arc::new(Sshd::start());
    let openssh = Arc::new(LazyLock::new(start));
    trials.extend(transport::suite("ssh-openssh", move || {
        by(ferry_transport_ssh::register_openssh(), (**openssh).clone(), false)
    }));
    if std::env::var_os("FERRY_FULL").is_none() {
        // Each of its sessions is a program here: the duties that depend on them are enough beside the others.
        let is_wanted =
            |name: &str| ["/exec/", "/files/", "/streams/"].iter().any(|duty| name.contains(duty));
        trials.retain(|trial| !trial.name().contains("/ssh-openssh/") || is_wanted(trial.name()));
    }
    run(&Arguments::from_args(), trials).exit_code()
}

async fn open(sshd: Arc<Sshd>, use_login_shell: bool) -> Result<Fixture<impl Sized>, Failed> {
    by(ferry_transport_ssh::register(), sshd, use_login_shell).await
}

async fn by(
    factory: Arc<dyn Factory>,
    sshd: Arc<Sshd>,
    use_login_shell: bool,
) -> Result<Fixture<impl Sized>, Failed> {
    let mut computer = sshd.computer();
    computer.connection.insert("use_login_shell".into(), use_login_shell.into());
    let dir = tempfile::tempdir()?;
    Ok(Fixture {
        transport: factory.open(&computer).await?,
        scratch: dir.path().to_owned(),
        guard: (dir, sshd),
    })
}
