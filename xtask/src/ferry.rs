//! A scratch profile and the built `ferry` that works on it, for the chores that drive ferry as a user
//! would. Dropping it stops the daemon and removes the profile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::home;
use crate::interrupt::Interrupt;
use crate::json;
use crate::shell;
use crate::workspace::Workspace;

/// The packages that make a working ferry: the binary, and the bundled plugins as files beside it.
const PACKAGES: &[&str] =
    &["ferry-cli", "ferry-bundled-arithmetic", "ferry-bundled-data", "ferry-bundled-shell"];
/// The features that tests are built with. They are the same for all, so that nothing is built twice: a
/// `ferry` that listens to `FERRY_CRASH_AT`, and the engine with its simulation. Neither has an effect by
/// default.
pub(crate) const TEST_FEATURES: &str = "ferry-cli/crash-points,ferry-engine/testing";
/// The user's home, in the chore's own directory.
const USER_HOME: &str = "user";
/// States that a process does not leave.
const TERMINAL: &[&str] = &["finished", "excepted", "killed"];
/// Time that a daemon may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(10);

/// `ferry` on a scratch profile.
#[derive(Debug)]
pub(crate) struct Ferry {
    binary: PathBuf,
    /// `FERRY_HOME`.
    home: PathBuf,
    /// Everything temporary, the home included.
    scratch: TempDir,
    interrupt: Interrupt,
}

/// Builds `ferry` and its bundled plugins; `profile` is `debug` or `release`.
pub(crate) fn build(workspace: &Workspace, profile: &str) -> Result<PathBuf> {
    let mut command = workspace.cargo(&["build"]);
    command.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    command.args((profile == "release").then_some("--release"));
    shell::run(&mut command)?;
    Ok(workspace.binary(profile, "ferry"))
}

/// Builds a `ferry` that can be made to die at named points, and its bundled plugins.
pub(crate) fn build_to_crash(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = workspace.cargo(&["build", "--features", TEST_FEATURES]);
    command.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    shell::run(&mut command)?;
    Ok(workspace.binary("debug", "ferry"))
}

impl Ferry {
    /// Makes a new profile in a temporary directory, kept afterwards if the user wants it.
    pub(crate) fn scratch(binary: PathBuf, keep: bool, interrupt: Interrupt) -> Result<Ferry> {
        let scratch = tempfile::Builder::new()
            .prefix("ferry-")
            .disable_cleanup(keep)
            .tempdir()
            .context("could not make a temporary directory")?;
        let home = scratch.path().join("home");
        let user = scratch.path().join(USER_HOME);
        for dir in [&home, &user] {
            fs::create_dir(dir).with_context(|| format!("could not make {}", dir.display()))?;
        }
        Ok(Ferry { binary, home, scratch, interrupt })
    }

    /// Returns `FERRY_HOME`.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Returns a directory of the chore's own, removed with the profile.
    pub(crate) fn desk(&self) -> &Path {
        self.scratch.path()
    }

    /// Makes a `ferry` command on this profile, started in the chore's own directory.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).env("FERRY_HOME", &self.home).current_dir(self.desk()).stdin(Stdio::null());
        home::give(&mut command, &self.desk().join(USER_HOME));
        command
    }

    /// Prints the command as the user would type it, runs it, shows what it prints on stdout and returns it.
    pub(crate) fn show<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Result<String> {
        let mut command = self.command(args);
        println!("$ {}", shell::words(&command));
        let output = self.run(command.stderr(Stdio::inherit()))?;
        let text = text(&output);
        println!("{}", text.trim_end());
        Ok(text)
    }

    /// Lets all jobs on this machine start at once, however few cores it has: for figures of ferry's own work.
    pub(crate) fn lift_cores(&self) -> Result<()> {
        self.ask(&["computer", "configure", "localhost", "-n", "--num-cores", "unlimited"]).map(drop)
    }

    /// Runs a command quietly and returns what it prints on stdout.
    pub(crate) fn ask<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Result<String> {
        Ok(text(&self.run(&mut self.command(args))?))
    }

    /// Runs a command quietly with `--format json`.
    pub(crate) fn json(&self, args: &[&str]) -> Result<Value> {
        let text = self.ask(&[args, &["--format", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("`ferry {}` did not print JSON", args.join(" ")))
    }

    /// Waits for a process to end and returns the output of `process show`.
    pub(crate) fn wait(&self, id: &str, at_most: Duration) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let process = self.json(&["process", "show", id])?;
            if TERMINAL.contains(&json::text(&process, "/state")?) {
                return Ok(process);
            }
            if begun.elapsed() > at_most {
                bail!("process {id} has not ended within {} s: {process}", at_most.as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Returns the daemon's pid; `None` if none runs.
    pub(crate) fn daemon(&self) -> Option<u32> {
        let status =
            self.command(&["daemon", "status", "--format", "json"]).stderr(Stdio::null()).output().ok()?;
        let status: Value = serde_json::from_slice(&status.stdout).ok()?;
        status["pid"].as_u64()?.try_into().ok()
    }

    fn run(&self, command: &mut Command) -> Result<Output> {
        self.interrupt.check()?;
        let output =
            command.output().with_context(|| format!("could not start {}", self.binary.display()))?;
        self.interrupt.check()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` failed ({}) {}", shell::words(command), output.status, said.trim());
        }
        Ok(output)
    }

    /// Stops the daemon, politely first.
    fn stop(&self) {
        let Some(pid) = self.daemon() else { return };
        let _ = self.command(&["daemon", "stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let begun = Instant::now();
        while self.is_ours(pid) && begun.elapsed() < STOP {
            std::thread::sleep(Duration::from_millis(50));
        }
        if self.is_ours(pid) {
            eprintln!("warning: the daemon (pid {pid}) does not stop by itself; killing it");
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
    }

    /// Returns whether the process with this pid uses our profile. The pid may have been given to another
    /// one.
    pub(crate) fn is_ours(&self, pid: u32) -> bool {
        let home = format!("FERRY_HOME={}", self.home.display());
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == home.as_bytes())
    }
}

impl Drop for Ferry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
