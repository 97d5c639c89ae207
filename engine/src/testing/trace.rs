//! The trace of a simulation: a digest by which two runs are compared, and text for debugging.

use std::{collections::VecDeque, fmt, time::Duration};

/// Lines of text that are kept, the last ones.
const KEPT: usize = 400;
/// Characters that are kept of each line, of the beginning and of the end.
const WIDTH: (usize, usize) = (400, 80);

/// The detail of a simulation's trace. Tracing costs time, and changes nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    /// None.
    #[default]
    Off,
    /// All commits, remote operations and times go into one digest.
    Digest,
    /// The last of them are kept as text too.
    Text,
}

/// A record of the events.
#[derive(Debug)]
pub(super) struct Trace {
    watch: Watch,
    hasher: blake3::Hasher,
    lines: VecDeque<String>,
}

impl Trace {
    pub(super) fn new(watch: Watch) -> Trace {
        Trace { watch, hasher: blake3::Hasher::new(), lines: VecDeque::new() }
    }

    /// Records an event and its time.
    pub(super) fn note(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        if self.watch == Watch::Off {
            return;
        }
        let line = format!("{:>12.3}  {what}", at.as_secs_f64());
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        if self.watch == Watch::Text {
            if self.lines.len() == KEPT {
                self.lines.pop_front();
            }
            self.lines.push_back(shortened(&line));
        }
    }

    pub(super) fn digest(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

/// Returns the beginning and the end of a long line.
fn shortened(line: &str) -> String {
    let count = line.chars().count();
    if count <= WIDTH.0 + WIDTH.1 {
        return line.to_owned();
    }
    let begin: String = line.chars().take(WIDTH.0).collect();
    let end: String = line.chars().skip(count - WIDTH.1).collect();
    format!("{begin} ... {end}")
}
