//! The suite on the local transport, plain, with a login shell, and with its overrides hidden.
//!
//! It runs in a child whose home is a temporary directory: the user's own login files must not decide what
//! is tested, and must not be run, and killed in the middle, hundreds of times.

use std::{
    env, fs, io,
    path::PathBuf,
    process::{Command, ExitCode},
};

use ferry_conformance::{
    libtest_mimic::{Arguments, Failed, Trial, run},
    transport::{self, Fixture},
};
use ferry_engine::{computer::Computer, transport::Command as Far};

/// Says that this is the child.
const INSIDE: &str = "FERRY_CONFORMANCE_HOME";
/// Login files that leave the directory, as some do.
const PROFILE: &str = "cd /\nexport FERRY_FROM_LOGIN='set by login files' FERRY_A=login\n";

fn main() -> io::Result<ExitCode> {
    if env::var_os(INSIDE).is_none() {
        return again_with_own_home();
    }
    let mut trials = transport::suite("local", || open(false));
    trials.extend(transport::suite("local-login-shell", || open(true)));
    trials.extend(transport::suite_without_overrides("local-provided", || open(false)));
    trials.push(Trial::test("transport/local-login-shell/login_files_are_read", login_files_are_read));
    Ok(run(&Arguments::from_args(), trials).exit_code())
}

fn again_with_own_home() -> io::Result<ExitCode> {
    let home = tempfile::tempdir()?;
    fs::write(home.path().join(".bash_profile"), PROFILE)?;
    let mut child = Command::new(env::current_exe()?);
    child.args(env::args_os().skip(1)).env("HOME", home.path()).env(INSIDE, home.path());
    let status = child.status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn open(use_login_shell: bool) -> Result<Fixture<impl Sized>, Failed> {
    let mut computer = Computer::default();
    computer.connection.insert("use_login_shell".into(), use_login_shell.into());
    let dir = tempfile::tempdir()?;
    Ok(Fixture {
        transport: ferry_transport_local::register().open(&computer).await?,
        scratch: PathBuf::from(dir.path()),
        guard: dir,
    })
}

#[tokio::main]
async fn login_files_are_read() -> Result<(), Failed> {
    let at = open(true).await?;
    let mut command = Far::sh("echo \"$FERRY_FROM_LOGIN, $FERRY_A\"").cwd(&at.scratch);
    command.env = [("FERRY_A".to_owned(), "from the command".to_owned())].into();
    assert_eq!(at.transport.exec(&command).await?.text(), "set by login files, from the command\n");
    let without = at.transport.exec(&command.no_login_shell()).await?;
    assert_eq!(without.text(), ", from the command\n");
    Ok(())
}
