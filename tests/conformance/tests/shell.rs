//! The suite on the transport over nothing but a shell: with this machine's `sh`, and with busybox for `sh` and for all
//! programs, where it is installed.

use std::{
    fs, io,
    os::unix::{fs::symlink, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::Arc,
};

use ferry_conformance::{
    libtest_mimic::{Arguments, Completion, Failed, Trial, run},
    transport::{self, Fixture},
};
use ferry_engine::transport::{
    Error, ErrorKind, Result,
    shell::{Session, Shell, ShellTransport},
};
use tokio::process::Command;

/// Parts of the names of cases that show nothing new with other programs, and take long.
const SAME: &[&str] = &["/streams/", "/concurrency/", "/trees/two_thousand_files"];

/// Starts programs on this machine; shells are those of a busybox, if one is given.
#[derive(Debug)]
struct Here {
    busybox: Option<PathBuf>,
}

#[async_trait::async_trait]
impl Shell for Here {
    async fn start(&self, words: &[&str]) -> Result<Session> {
        let mut command = match &self.busybox {
            None => Command::new(words[0]),
            Some(programs) => Command::new(programs.join("sh")),
        };
        if let Some(programs) = &self.busybox {
            command.env("PATH", programs);
        }
        command.args(&words[1..]).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error: io::Error| Error::new(ErrorKind::Unreachable, "start").source(error).later();
        let mut child = command.spawn().map_err(failed)?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(failed(io::Error::other("a stream is missing")));
        };
        let status = Box::pin(async move {
            let status = child.wait().await.ok()?;
            status.code().or(status.signal().map(|signal| 128 + signal))
        });
        Ok(Session { stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), status })
    }
}

fn main() -> io::Result<ExitCode> {
    let mut trials = transport::suite("shell", || open(None));
    let programs = tempfile::tempdir()?;
    match busybox() {
        Some(busybox) => {
            install(&busybox, programs.path())?;
            let path = programs.path().to_owned();
            let mut others = transport::suite("shell-busybox", move || open(Some(path.clone())));
            others.retain(|trial| !SAME.iter().any(|part| trial.name().contains(part)));
            trials.extend(others);
        }
        None => trials.push(Trial::ignorable_test("transport/shell-busybox", || {
            Ok(Completion::ignored_with("busybox is not installed"))
        })),
    }
    Ok(run(&Arguments::from_args(), trials).exit_code())
}

async fn open(busybox: Option<PathBuf>) -> std::result::Result<Fixture<impl Sized>, Failed> {
    let dir = tempfile::tempdir()?;
    Ok(Fixture {
        transport: Arc::new(ShellTransport::new(Here { busybox }, false)),
        scratch: dir.path().to_owned(),
        guard: dir,
    })
}

fn busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"].iter().map(PathBuf::from).find(|path| path.exists())
}

/// Makes a directory in which every program is busybox.
fn install(busybox: &Path, dir: &Path) -> io::Result<()> {
    let listed = std::process::Command::new(busybox).arg("--list").output()?;
    for name in String::from_utf8_lossy(&listed.stdout).lines() {
        symlink(busybox, dir.join(name))?;
    }
    fs::metadata(dir.join("sh")).map(drop)
}
