//! A scratch profile and the `ferry` binary, as a user has them: what every test of the matrix works with.
//!
//! The binary comes from `FERRY_BIN`, the plugin files that misbehave from `FERRY_TEST_PLUGINS`; `cargo xtask
//! test` sets both.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// The result of a test.
pub type Result<T = ()> = std::result::Result<T, String>;

/// The user's home in a profile's scratch directory. It is empty: login files of the machine's user are slow,
/// print, or wait for a lock that a killed shell has left behind.
const USER_HOME: &str = "user";

/// A profile of its own in a scratch directory. Dropping it stops its daemon by pid and removes everything.
#[derive(Debug)]
pub struct Profile {
    dir: tempfile::TempDir,
    home: PathBuf,
    environment: Vec<(String, String)>,
}

/// The output of a command, and its exit status.
#[derive(Debug)]
pub struct Answer {
    /// Exit status; -1 for a signal.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    fn of(output: Output) -> Self {
        Answer {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails unless the exit status is this one.
    ///
    /// # Errors
    /// Fails with the whole output.
    pub fn expect(self, status: i32) -> Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        Err(format!(
            "exit status {}, expected {status}\nstdout: {}\nstderr: {}",
            self.status, self.stdout, self.stderr
        ))
    }

    /// Fails unless standard error holds all of these, and no sign of a panic.
    ///
    /// # Errors
    /// Fails with the whole output.
    pub fn says(self, words: &[&str]) -> Result<Self> {
        let wrong = words.iter().find(|word| !self.stderr.contains(**word));
        let panicked = self.stderr.contains("panicked") || self.stderr.contains("RUST_BACKTRACE");
        match wrong {
            Some(word) => Err(format!("`{word}` is not in what was said: {}{}", self.stderr, self.stdout)),
            None if panicked => Err(format!("a panic: {}", self.stderr)),
            None => Ok(self),
        }
    }

    /// Parses standard output as JSON.
    ///
    /// # Errors
    /// Fails if it is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).map_err(|error| format!("{error} in {}", self.stdout))
    }
}

impl Profile {
    /// Makes a new profile in the temporary directory.
    ///
    /// # Errors
    /// Fails if the disk does.
    pub fn new() -> Result<Profile> {
        let dir =
            tempfile::Builder::new().prefix("ferry-matrix-").tempdir().map_err(|error| error.to_string())?;
        let home = dir.path().join("home");
        fs::create_dir(dir.path().join(USER_HOME)).map_err(|error| error.to_string())?;
        Ok(Profile { dir, home, environment: Vec::new() })
    }

    /// Makes a profile whose jobs on this machine all start at once, however few cores it has. Use it for
    /// tests that are not about the room for jobs.
    pub fn unbounded() -> Result<Profile> {
        let ferry = Profile::new()?;
        ferry.ok(&["computer", "configure", "localhost", "-n", "--num-cores", "unlimited"])?;
        Ok(ferry)
    }

    /// Moves the profile's home to another directory.
    #[must_use]
    pub fn at(mut self, home: PathBuf) -> Self {
        self.home = home;
        self
    }

    /// Sets a variable for all commands of the profile, the daemon too.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns a directory for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// Keeps all files when this is dropped, so that a failure can be examined. The daemon is stopped all the
    /// same.
    pub fn keep(&mut self) {
        self.dir.disable_cleanup(true);
    }

    /// Returns `FERRY_HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the directory of the profile itself.
    pub fn root(&self) -> PathBuf {
        self.home.join("profiles/default")
    }

    /// Makes a `ferry` command with these arguments, which can be changed further.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(words)
            .env("FERRY_HOME", &self.home)
            .env("HOME", self.dir.path().join(USER_HOME))
            .env_remove("FERRY_PROFILE")
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs `ferry` with these words.
    ///
    /// # Errors
    /// Fails if it can't be started.
    pub fn ferry(&self, words: &[&str]) -> Result<Answer> {
        Profile::run(self.command(words))
    }

    /// Runs a command that was changed.
    ///
    /// # Errors
    /// Fails if it can't be started.
    pub fn run(mut command: Command) -> Result<Answer> {
        let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        Ok(Answer::of(output))
    }

    /// Runs `ferry`, which must succeed; gives its standard output, trimmed.
    ///
    /// # Errors
    /// Fails if the command fails.
    pub fn ok(&self, words: &[&str]) -> Result<String> {
        let answer =
            self.ferry(words)?.expect(0).map_err(|error| format!("ferry {}: {error}", words.join(" ")))?;
        Ok(answer.stdout.trim().to_owned())
    }

    /// Runs `ferry ... --format json`, which must succeed.
    ///
    /// # Errors
    /// Fails if the command fails or prints no JSON.
    pub fn json(&self, words: &[&str]) -> Result<Value> {
        let words = [words, &["--format", "json"]].concat();
        self.ferry(&words)?.expect(0).map_err(|error| format!("ferry {}: {error}", words.join(" ")))?.json()
    }

    /// Submits a process; gives its id.
    ///
    /// # Errors
    /// Fails if it is refused.
    pub fn submit(&self, words: &[&str]) -> Result<String> {
        self.ok(&[&["submit"], words].concat())
    }

    /// Waits until a process has ended; gives `process show` of it.
    ///
    /// # Errors
    /// Fails if it has not ended in time, with its report.
    pub fn ended(&self, id: &str, limit: Duration) -> Result<Value> {
        let start = Instant::now();
        loop {
            let shown = self.json(&["process", "show", id])?;
            if matches!(shown["state"].as_str(), Some("finished" | "excepted" | "killed")) {
                return Ok(shown);
            }
            if start.elapsed() > limit {
                let report = self.ok(&["process", "report", id]).unwrap_or_default();
                return Err(format!("process {id} has not ended: {shown}\n{report}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until no process is live any more.
    ///
    /// # Errors
    /// Fails if that takes longer than `limit`, with the unfinished ones.
    pub fn all_ended(&self, limit: Duration) -> Result {
        let start = Instant::now();
        loop {
            let live = self.json(&["process", "list"])?;
            let left = live.as_array().map_or(0, Vec::len);
            if left == 0 {
                return Ok(());
            }
            if start.elapsed() > limit {
                return Err(format!("{left} processes have not ended: {live:#}\n{}", self.log_tail()));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Returns the end of the daemon's log.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.root().join("daemon.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Returns the pids of the running owner and of its plugin hosts.
    ///
    /// # Errors
    /// Fails if none runs.
    pub fn daemon(&self) -> Result<(i32, Vec<i32>)> {
        let status = self.json(&["daemon", "status"])?;
        let pid = status["pid"].as_i64().ok_or_else(|| format!("no pid in {status}"))?;
        let hosts = status["hosts"].as_array().into_iter().flatten();
        let host_pid = |host: &Value| host["pid"].as_i64().or_else(|| host[1].as_i64()).map(|pid| pid as i32);
        Ok((pid as i32, hosts.filter_map(host_pid).collect()))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        let worker = self.daemon().ok().map(|(pid, _)| pid);
        // Without a worker there may still be a supervisor that is about to start one.
        if self.root().exists() {
            let _ = self.ferry(&["daemon", "stop"]);
        }
        if let Some(pid) = worker {
            kill(pid, 9);
        }
    }
}

/// Sends a signal to one of the test's own children or its daemon; false if it is gone.
pub fn kill(pid: i32, signal: i32) -> bool {
    let (Some(pid), Some(signal)) =
        (rustix::process::Pid::from_raw(pid), rustix::process::Signal::from_named_raw(signal))
    else {
        return false;
    };
    rustix::process::kill_process(pid, signal).is_ok()
}

/// Returns the `ferry` binary under test.
pub fn binary() -> PathBuf {
    std::env::var_os("FERRY_BIN").map_or_else(|| PathBuf::from("ferry"), PathBuf::from)
}

/// Returns the path of a built test plugin file.
///
/// # Errors
/// Fails if it is not there.
pub fn plugin(name: &str) -> Result<PathBuf> {
    let dir = std::env::var_os("FERRY_TEST_PLUGINS")
        .ok_or("FERRY_TEST_PLUGINS is not set; use `cargo xtask test`")?;
    let path = Path::new(&dir).join(format!("lib{name}.so"));
    if path.exists() { Ok(path) } else { Err(format!("{} is missing", path.display())) }
}

/// Fails with a text unless the condition holds.
///
/// # Errors
/// Fails if it does not hold.
pub fn check(condition: bool, otherwise: impl FnOnce() -> String) -> Result {
    if condition { Ok(()) } else { Err(otherwise()) }
}

/// Returns a path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
