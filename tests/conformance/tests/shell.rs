//! The suite on the transport over nothing but a shell, as the example of a transport makes it: with this machine's
//! `sh`. With `FERRY_FULL` also with busybox for `sh` and for all programs, where it is installed.

use std::{
    env, fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use ferry_conformance::{
    libtest_mimic::{Arguments, Completion, Failed, Trial, run},
    transport::{self, Fixture},
};
use ferry_engine::computer::Computer;

/// Parts of the names of cases that show nothing new with other programs, and take long.
const SAME: &[&str] = &["/streams/", "/concurrency/", "/trees/two_thousand_files"];

fn main() -> io::Result<ExitCode> {
    let mut trials = transport::suite("shell", || open("env".to_owned()));
    let programs = tempfile::tempdir()?;
    let is_full = env::var_os("FERRY_FULL").is_some();
    match ["/bin/busybox", "/usr/bin/busybox"].iter().map(Path::new).find(|path| path.exists()) {
        _ if !is_full => {}
        Some(busybox) => {
            let through = install(busybox, programs.path())?;
            let mut others = transport::suite("shell-busybox", move || open(through.clone()));
            others.retain(|trial| !SAME.iter().any(|part| trial.name().contains(part)));
            trials.extend(others);
        }
        None => trials.push(Trial::ignorable_test("transport/shell-busybox", || {
            Ok(Completion::ignored_with("busybox is not installed"))
        })),
    }
    Ok(run(&Arguments::from_args(), trials).exit_code())
}

fn computer(through: String) -> Computer {
    let mut computer = Computer { label: "here".into(), ..Computer::default() };
    computer.connection.insert("through".into(), through.into());
    computer
}

async fn open(through: String) -> Result<Fixture<impl Sized>, Failed> {
    let dir = tempfile::tempdir()?;
    Ok(Fixture {
        transport: ferry_example_transport::register().open(&computer(through)).await?,
        scratch: PathBuf::from(dir.path()),
        guard: dir,
    })
}

/// Makes a directory in which every program is busybox, and a command that starts its shell in place of `/bin/sh`.
fn install(busybox: &Path, dir: &Path) -> io::Result<String> {
    let listed = Command::new(busybox).arg("--list").output()?;
    for name in String::from_utf8_lossy(&listed.stdout).lines() {
        symlink(busybox, dir.join(name))?;
    }
    let start = dir.join("start-shell");
    fs::write(&start, "shift\nexec sh \"$@\"\n")?;
    Ok(format!("env PATH={0} {0}/sh {1}", dir.display(), start.display()))
}
