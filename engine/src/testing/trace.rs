//! What happened in a simulation, as one number to compare two runs by, and as text for whoever looks for a cause.

use std::{collections::VecDeque, fmt, time::Duration};

/// Lines of text that are kept, the last ones.
const KEPT: usize = 400;
/// Characters of each, of the beginning and of the end.
const WIDTH: (usize, usize) = (400, 80);

/// How closely a simulation is watched. Watching costs time, and changes nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    /// Not at all.
    #[default]
    Off,
    /// All commits, remote operations and times go into one digest.
    Digest,
    /// The last of them are kept as text too.
    Text,
}

/// A record of what happened.
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

    /// Notes what happened at a time.
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

/// The beginning and the end of a long line.
fn shortened(line: &str) -> String {
    let count = line.chars().count();
    if count <= WIDTH.0 + WIDTH.1 {
        return line.to_owned();
    }
    let begin: String = line.chars().take(WIDTH.0).collect();
    let end: String = line.chars().skip(count - WIDTH.1).collect();
    format!("{begin} ... {end}")
}
