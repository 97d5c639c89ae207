//! Runs commands: shown and checked, or shown while their output is kept for reading.

use std::io::{BufRead, BufReader, PipeReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::proc;

/// Time in which output may still come after the command itself has ended. Something it left running may hold
/// the pipe open for ever.
const AFTERGLOW: Duration = Duration::from_millis(500);
/// Time that a command which has to stop may go on before it is told so.
const GRACE: Duration = Duration::from_secs(2);
/// Time before it is killed.
const PATIENCE: Duration = Duration::from_secs(15);

/// The result of a watched command.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Exit status.
    pub(crate) status: ExitStatus,
    /// Its stdout and stderr together, a line each.
    pub(crate) lines: Vec<String>,
    /// Time that it took.
    pub(crate) took: Duration,
}

/// Prints a command, runs it on our own terminal and fails if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", words(command));
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", words(command));
    }
    Ok(())
}

/// Prints a command, runs it, shows its output as it comes and keeps it.
pub(crate) fn watch(command: &mut Command) -> Result<Finished> {
    println!("$ {}", words(command));
    // A closed stdout of ours is no reason to kill a test run.
    let show = |line: &str| drop(writeln!(std::io::stdout(), "{line}"));
    gather(command, &show, &|| false)
}

/// Runs a command and keeps its output, which `heard` gets line by line. Once `stop` says so the command is ended,
/// with what it started.
pub(crate) fn gather(
    command: &mut Command,
    heard: &dyn Fn(&str),
    stop: &dyn Fn() -> bool,
) -> Result<Finished> {
    let begun = Instant::now();
    let (reader, writer) = std::io::pipe().context("could not make a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().context("could not share a pipe")?).stderr(writer);
    let child = command.spawn().with_context(|| cannot_start(command))?;
    // `command` keeps our copies of the writing end, and the pipe never ends while they live.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (status, lines) = relay(child, reader, heard, stop)?;
    Ok(Finished { status, lines, took: begun.elapsed() })
}

/// Prints a command, runs it with our own stderr and returns what it printed on stdout, with its end.
pub(crate) fn ask(command: &mut Command) -> Result<(ExitStatus, String)> {
    println!("$ {}", words(command));
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| cannot_start(command))?;
    Ok((output.status, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Returns whether a program of this name is in PATH.
pub(crate) fn has(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Returns a command as one would type it.
pub(crate) fn words(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| quote(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Quotes a word for a shell.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:@+{}%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn cannot_start(command: &Command) -> String {
    format!("could not start {}", command.get_program().to_string_lossy())
}

fn relay(
    mut child: Child,
    reader: PipeReader,
    heard: &dyn Fn(&str),
    stop: &dyn Fn() -> bool,
) -> Result<(ExitStatus, Vec<String>)> {
    let incoming = lines_of(reader);
    let mut lines = Vec::new();
    let mut ended: Option<(ExitStatus, Instant)> = None;
    let mut ending = Ending::default();
    loop {
        if ended.is_none() && stop() {
            ending.go_on(child.id())?;
        }
        match incoming.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => {
                heard(&line);
                lines.push(line);
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Ok((child.wait().context("could not wait for a command")?, lines));
            }
            Err(RecvTimeoutError::Timeout) => match ended {
                Some((status, at)) if at.elapsed() > AFTERGLOW => return Ok((status, lines)),
                Some(_) => {}
                None => {
                    ended =
                        child.try_wait().context("could not wait for a command")?.map(|s| (s, Instant::now()))
                }
            },
        }
    }
}

/// The end of a command that has to stop: a polite signal first, to all that it started, and later one that none
/// outlives.
#[derive(Debug, Default)]
struct Ending {
    since: Option<Instant>,
    sent: usize,
}

impl Ending {
    /// Sends the next signal if it is time. A Ctrl-C has reached the command by itself, so that it gets a while.
    fn go_on(&mut self, pid: u32) -> Result<()> {
        const SIGNALS: [(Duration, &str); 2] = [(GRACE, "TERM"), (PATIENCE, "KILL")];
        let since = *self.since.get_or_insert_with(Instant::now);
        let Some((after, signal)) = SIGNALS.get(self.sent) else { return Ok(()) };
        if since.elapsed() < *after {
            return Ok(());
        }
        self.sent += 1;
        let all = std::iter::once(pid).chain(proc::descendants(pid, &proc::parents()));
        proc::signal(signal, &all.filter_map(proc::Child::of).collect())
    }
}

fn lines_of(reader: PipeReader) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_stumble() {
        let mut command = Command::new("/opt/ferry");
        command.args(["run", "command=sort -n", "it's", ""]);
        assert_eq!(words(&command), r"ferry run 'command=sort -n' 'it'\''s' ''");
    }

    #[test]
    fn output_of_both_streams_is_kept_and_the_status_told() {
        let finished = watch(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert_eq!(
            (finished.status.code(), finished.lines),
            (Some(3), vec!["out".to_owned(), "err".to_owned()])
        );
    }

    #[test]
    fn a_command_that_has_to_stop_ends_with_what_it_started() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 30 & echo $!; wait; echo never"]);
        let finished = gather(&mut command, &|_| {}, &|| true).unwrap();
        assert!(!finished.status.success() && finished.took < PATIENCE, "{finished:?}");
        let sleeper = finished.lines[0].parse().unwrap();
        // It was killed, and may take a moment to die.
        let begun = Instant::now();
        while proc::Child::of(sleeper).is_some_and(proc::Child::is_alive) {
            assert!(begun.elapsed() < Duration::from_secs(10), "it lives on");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(finished.lines.len(), 1);
    }

    #[test]
    fn a_child_left_behind_does_not_hold_us() {
        let finished = watch(Command::new("sh").args(["-c", "sleep 20 & echo done"])).unwrap();
        assert_eq!(finished.lines, ["done"]);
        assert!(finished.took < Duration::from_secs(10));
    }
}
