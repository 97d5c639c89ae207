//! Runs commands: shown and checked, or shown while their output is kept for reading.

use std::io::{BufRead, BufReader, PipeReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Time for which output may still come after the command itself has ended. A program that it left running
/// may hold the pipe open for ever.
const AFTERGLOW: Duration = Duration::from_millis(500);

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
    let begun = Instant::now();
    let (reader, writer) = std::io::pipe().context("could not make a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().context("could not share a pipe")?).stderr(writer);
    let child = command.spawn().with_context(|| cannot_start(command))?;
    // `command` keeps our copies of the writing end, and the pipe never ends while they live.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (status, lines) = relay(child, reader)?;
    Ok(Finished { status, lines, took: begun.elapsed() })
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

fn relay(mut child: Child, reader: PipeReader) -> Result<(ExitStatus, Vec<String>)> {
    let incoming = lines_of(reader);
    let mut lines = Vec::new();
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        match incoming.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => {
                // A closed stdout of ours is no reason to kill a test run.
                let _ = writeln!(std::io::stdout(), "{line}");
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
    fn a_child_left_behind_does_not_hold_us() {
        let finished = watch(Command::new("sh").args(["-c", "sleep 20 & echo done"])).unwrap();
        assert_eq!(finished.lines, ["done"]);
        assert!(finished.took < Duration::from_secs(10));
    }
}
