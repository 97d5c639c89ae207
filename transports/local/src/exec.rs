//! Commands as children: started, fed, drained, and ended with their whole group.
//!
//! No hook runs between fork and exec, so that the standard library can use `posix_spawn`, whose cost does not
//! grow with this process.

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use ferry_engine_core::transport::{Command, Error, ErrorKind, Output, Result, check_path};
use rustix::{fs::Access, io::Errno};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStderr, ChildStdin, ChildStdout},
    time::timeout,
};

use crate::{Config, errors::At, group::Group, output::Capture, work};

const EXEC: &str = "exec";
/// Time after the command's end for which output may still come, from children that it left behind.
const LINGER: Duration = Duration::from_millis(200);
/// Shell text that changes to the directory after the login files, which may have changed it.
const LOGIN: &str = r#"cd -- "$1" && shift && exec "$@""#;

/// Runs a command to its end.
pub(crate) async fn exec(config: Config, command: &Command) -> Result<Output> {
    let words = words(config, command)?;
    let dir = work::quick(EXEC, {
        let dir = command.cwd.clone();
        move || directory(dir)
    })
    .await?;
    match start(&words, command, config.applies(command), &dir) {
        Ok(mut running) => running.finish(command).await.map(|status| running.output(status)),
        Err(error) => unstarted(&words, command, error),
    }
}

impl Config {
    fn applies(self, command: &Command) -> bool {
        self.use_login_shell && !command.no_login_shell
    }
}

/// A started command.
struct Running {
    group: Group,
    stdin: Option<ChildStdin>,
    stdout: Capture<ChildStdout>,
    stderr: Capture<ChildStderr>,
}

impl Running {
    fn new(mut child: Child) -> io::Result<Self> {
        let unpiped = || io::Error::other("a stream was not piped");
        let stdin = child.stdin.take();
        let stdout = Capture::new(child.stdout.take().ok_or_else(unpiped)?);
        let stderr = Capture::new(child.stderr.take().ok_or_else(unpiped)?);
        Ok(Running { group: Group::of(child), stdin, stdout, stderr })
    }

    /// Waits for the command's end; ends it on a time-out.
    async fn finish(&mut self, command: &Command) -> Result<ExitStatus> {
        match self.wait(command).await {
            Some(Ok(status)) => Ok(status),
            Some(Err(error)) => Err(failed(command, error).effect_unknown()),
            None => {
                self.group.end().await;
                Err(timed_out(command, &self.stderr.tail()))
            }
        }
    }

    /// Waits for the command's end, then a moment for the end of its output; `None`: it took too long.
    async fn wait(&mut self, command: &Command) -> Option<io::Result<ExitStatus>> {
        let Running { group, stdin, stdout, stderr } = self;
        let mut streams = pin!(async {
            tokio::join!(feed(stdin.take(), &command.stdin), stdout.drain(), stderr.drain());
        });
        let mut is_open = true;
        let status = timeout(command.timeout, async {
            tokio::select! {
                status = group.wait() => status,
                () = &mut streams => { is_open = false; group.wait().await }
            }
        })
        .await
        .ok()?;
        if is_open {
            let _ = timeout(LINGER, streams).await;
        }
        Some(status)
    }

    /// Returns the output. Everything that the command itself wrote is in the pipes by now, even if the timer
    /// above cut the draining short.
    fn output(mut self, status: ExitStatus) -> Output {
        self.stdout.sweep();
        self.stderr.sweep();
        let status = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
        let (stdout, lost_out) = self.stdout.finish();
        let (mut stderr, lost_err) = self.stderr.finish();
        for (name, lost) in [("stdout", lost_out), ("stderr", lost_err)] {
            if lost > 0 {
                stderr.extend(format!("\nferry: {lost} more bytes of {name} were dropped\n").bytes());
            }
        }
        Output { status, stdout, stderr }
    }
}

/// Returns the argv to start: the command's own, or that of a login shell that becomes it.
fn words(config: Config, command: &Command) -> Result<Vec<OsString>> {
    if command.argv.is_empty() {
        return Err(Error::new(ErrorKind::Other, EXEC).message("the command is empty"));
    }
    let mut words = Vec::new();
    if config.applies(command) {
        let dir = command.cwd.as_deref().unwrap_or(Path::new("."));
        words.extend(["bash", "-l", "-c", LOGIN, "bash"].map(OsString::from));
        words.push(dir.into());
        if !command.env.is_empty() {
            words.push("env".into());
            words.extend(command.env.iter().map(|(name, value)| format!("{name}={value}").into()));
        }
    }
    words.extend(command.argv.iter().cloned());
    Ok(words)
}

/// Returns the directory to start in, which must exist; the user's home unless one is given.
fn directory(dir: Option<PathBuf>) -> Result<PathBuf> {
    let Some(dir) = dir else {
        let home = env::home_dir().filter(|home| home.is_dir());
        return Ok(home.unwrap_or_else(|| PathBuf::from("/")));
    };
    check_path(EXEC, &dir)?;
    if !dir.metadata().at(EXEC, &dir)?.is_dir() {
        return Err(Errno::NOTDIR).at(EXEC, &dir);
    }
    rustix::fs::access(&dir, Access::EXEC_OK).at(EXEC, &dir)?;
    Ok(dir)
}

fn start(words: &[OsString], command: &Command, is_login: bool, dir: &Path) -> io::Result<Running> {
    let mut builder = tokio::process::Command::new(&words[0]);
    builder.args(&words[1..]).current_dir(dir).process_group(0);
    if !is_login {
        builder.envs(&command.env);
    }
    builder.stdin(if command.stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
    builder.stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::new(builder.spawn()?)
}

/// Writes all of the input. A child that does not read it is not an error.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input).await;
    }
}

/// Handles a command that did not start: returns a shell's exit status and text, if it is the command's own fault.
fn unstarted(words: &[OsString], command: &Command, error: io::Error) -> Result<Output> {
    let (status, why) = match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NOTDIR) => (127, "not found".to_owned()),
        Some(Errno::ACCESS | Errno::NOEXEC | Errno::ISDIR) => (126, error.to_string()),
        _ => return Err(failed(command, error)),
    };
    let stderr = format!("{}: {why}\n", words[0].display()).into_bytes();
    Ok(Output { status, stdout: Vec::new(), stderr })
}

/// Returns the error of a command that this machine could not run.
fn failed(command: &Command, error: io::Error) -> Error {
    let is_passing = matches!(
        Errno::from_io_error(&error),
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::TXTBSY)
    );
    let failed = Error::new(ErrorKind::Other, EXEC).with("command", shown(command)).source(error);
    if is_passing { failed.later() } else { failed }
}

fn timed_out(command: &Command, stderr: &str) -> Error {
    let error = Error::new(ErrorKind::TimedOut, EXEC)
        .message(format!("did not end within {:?} and was killed", command.timeout))
        .with("command", shown(command))
        .later()
        .effect_unknown();
    if stderr.is_empty() { error } else { error.with("stderr", stderr) }
}

/// Returns the command for messages, cut if it is long.
fn shown(command: &Command) -> String {
    let line = command.line();
    match line.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::BOUND;

    #[tokio::test]
    async fn output_beyond_the_bound_is_dropped_and_counted() {
        let command = Command::sh(format!("head -c {} /dev/zero; echo end >&2", BOUND + 5));
        let output = exec(Config::default(), &command).await.unwrap();
        assert_eq!((output.status, output.stdout.len()), (0, BOUND));
        assert_eq!(output.error_text(), "end\n\nferry: 5 more bytes of stdout were dropped");
    }

    #[tokio::test]
    async fn a_time_out_shows_the_command_and_its_last_words() {
        let command = Command::sh("echo stuck >&2; sleep 60").timeout(Duration::from_millis(300));
        let text = exec(Config::default(), &command).await.unwrap_err().to_string();
        let expect = "did not end within 300ms and was killed, command: sh -c 'echo stuck >&2; sleep 60', \
                      stderr: stuck";
        assert_eq!(text, expect);
    }
}
