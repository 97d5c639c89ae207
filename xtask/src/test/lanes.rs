//! Lanes: parts of a test run side by side, since most of them wait. The parts of one lane run one after the other and
//! share services; no two lanes do. What a part prints is shown in one piece when it has ended, and meanwhile a line a
//! minute says which parts run.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::interrupt::Interrupt;
use crate::shell::{self, Finished};

/// Time between two lines that say what runs.
const TELL: Duration = Duration::from_secs(60);

/// One part.
#[derive(Debug)]
pub(super) struct Part {
    /// Its name in the table.
    pub(super) name: String,
    /// The command that runs it.
    pub(super) command: Command,
}

/// A part that has ended, or could not be started.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its name in the table.
    pub(super) name: String,
    /// Its outcome.
    pub(super) outcome: Result<Finished>,
}

/// Parts that run now, and how far they are.
#[derive(Debug, Default)]
struct Board(Mutex<BTreeMap<String, Progress>>);

#[derive(Debug)]
struct Progress {
    begun: Instant,
    passed: u64,
    failed: u64,
}

/// Runs all lanes to their ends, in the order in which they end. After an interrupt no part begins, and those that run
/// are ended.
pub(super) fn run(lanes: Vec<Vec<Part>>, interrupt: &Interrupt) -> Vec<Ended> {
    let board = Board::default();
    let ended = Mutex::new(Vec::new());
    let (all, over) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        for lane in lanes {
            let (board, ended, working) = (&board, &ended, all.clone());
            scope.spawn(move || {
                for part in lane {
                    if interrupt.is_asked() {
                        break;
                    }
                    let done = one(part, board, interrupt);
                    lock(ended).push(done);
                }
                drop(working);
            });
        }
        drop(all);
        while over.recv_timeout(TELL) == Err(RecvTimeoutError::Timeout) {
            say(&board.line());
        }
    });
    ended.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn one(mut part: Part, board: &Board, interrupt: &Interrupt) -> Ended {
    let words = shell::words(&part.command);
    say(&format!("beginning: {}", part.name));
    board.begin(&part.name);
    let heard = |line: &str| board.hear(&part.name, line);
    let outcome = shell::gather(&mut part.command, &heard, &|| interrupt.is_asked());
    board.end(&part.name);
    let text = match &outcome {
        Ok(finished) => finished.lines.join("\n"),
        Err(error) => format!("error: {error:#}"),
    };
    say(&format!("\n== {}\n$ {words}\n{}\n", part.name, text.trim_end()));
    Ended { name: part.name, outcome }
}

/// Prints in one piece. A closed stdout of ours is no reason to end a test run.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    fn begin(&self, name: &str) {
        let fresh = Progress { begun: Instant::now(), passed: 0, failed: 0 };
        lock(&self.0).insert(name.to_owned(), fresh);
    }

    /// Counts a test's line, as libtest-mimic prints it. nextest prints one of a failure alone.
    fn hear(&self, name: &str, line: &str) {
        if let Some(progress) = lock(&self.0).get_mut(name) {
            let is_test = line.starts_with("test ");
            progress.passed += u64::from(is_test && line.ends_with("... ok"));
            progress.failed += u64::from(is_test && line.ends_with("... FAILED"));
        }
    }

    fn end(&self, name: &str) {
        lock(&self.0).remove(name);
    }

    /// Says what runs: `running: doc tests 12 s, matrix: local+direct 120 s (57 passed)`.
    fn line(&self) -> String {
        let running = lock(&self.0);
        let parts = running.iter().map(|(name, Progress { begun, passed, failed })| {
            let seconds = begun.elapsed().as_secs();
            match (passed, failed) {
                (0, 0) => format!("{name} {seconds} s"),
                (_, 0) => format!("{name} {seconds} s ({passed} passed)"),
                _ => format!("{name} {seconds} s ({passed} passed, {failed} FAILED)"),
            }
        });
        format!("running: {}", parts.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, script: &str) -> Part {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Part { name: name.to_owned(), command }
    }

    #[test]
    fn lanes_run_side_by_side_and_their_parts_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        // Each lane waits for the other, so that one after the other they would never end.
        let meet = |mine: &str, other: &str| {
            format!("touch {}; until [ -e {} ]; do sleep 0.01; done", file(mine), file(other))
        };
        let lanes = vec![
            vec![part("one", &meet("a", "b")), part("two", &format!("[ -e {} ]", file("b")))],
            vec![part("three", &meet("b", "a"))],
        ];
        let ended = run(lanes, &Interrupt::default());
        assert_eq!(ended.len(), 3);
        assert!(ended.iter().all(|one| one.outcome.as_ref().unwrap().status.success()));
        let place = |name: &str| ended.iter().position(|one| one.name == name);
        assert!(place("one") < place("two"));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_outcome_and_ends_no_other() {
        let missing = Part { name: "missing".to_owned(), command: Command::new("/nowhere/at-all") };
        let ended = run(vec![vec![missing, part("next", "true")]], &Interrupt::default());
        assert!(ended[0].outcome.is_err());
        assert!(ended[1].outcome.as_ref().unwrap().status.success());
    }

    #[test]
    fn progress_is_counted() {
        let board = Board::default();
        board.begin("cell");
        let lines = [
            "test local+direct/a/b   ... ok",
            "test local+direct/c/d   ... FAILED",
            "test result: ok. 1 passed",
        ];
        lines.iter().for_each(|line| board.hear("cell", line));
        assert_eq!(board.line(), "running: cell 0 s (1 passed, 1 FAILED)");
    }
}
