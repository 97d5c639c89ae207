//! The output of a host: each line goes into the daemon's log, and the last lines are kept for the text of an
//! error. A plugin may print without end or without a newline; neither fills memory or the log.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Lines kept for an error.
const TAIL_LINES: usize = 20;
/// Bytes kept of a line.
const LINE_MAX: usize = 2000;
/// Lines logged of one stream in [`WINDOW`].
const LINES_PER_WINDOW: u32 = 200;
const WINDOW: Duration = Duration::from_secs(1);

/// The last lines of a host's standard error.
#[derive(Debug, Default)]
pub(super) struct Tail {
    lines: Mutex<VecDeque<String>>,
}

impl Tail {
    fn push(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// Returns the lines, indented, for the end of an error's text; `None` if there are none.
    pub(super) fn text(&self) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let text: String = lines.iter().flat_map(|line| ["\n    ", line]).collect();
        if text.is_empty() { None } else { Some(text) }
    }
}

/// Logs the lines of a stream until its end.
pub(super) async fn log_lines(
    mut pipe: impl AsyncRead + Unpin,
    stream: &'static str,
    plugin: Arc<str>,
    tail: Option<Arc<Tail>>,
) {
    let (mut lines, mut meter) = (Lines::default(), Meter::new());
    let mut chunk = vec![0; 8 << 10];
    let mut record = |line: &str| {
        if let Some(tail) = tail.as_ref().filter(|_| !line.is_empty()) {
            tail.push(line);
        }
        if meter.allows(&plugin, stream) {
            tracing::info!(target: "ferry::plugin", %plugin, stream, "{line}");
        }
    };
    while let Ok(len @ 1..) = pipe.read(&mut chunk).await {
        lines.push(&chunk[..len], &mut record);
    }
    lines.finish(&mut record);
    report(meter.left_out(), &plugin, stream);
}

/// Splits a stream of bytes into lines, cutting long ones.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], record: &mut impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            // One byte more than is shown marks a line that was cut.
            let room = LINE_MAX + 1 - self.line.len();
            self.line.extend(&text[..text.len().min(room)]);
            if ends {
                self.emit(record);
            }
        }
    }

    fn finish(&mut self, record: &mut impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.emit(record);
        }
    }

    fn emit(&mut self, record: &mut impl FnMut(&str)) {
        let is_cut = self.line.len() > LINE_MAX;
        self.line.truncate(LINE_MAX);
        let mut text = printable(&String::from_utf8_lossy(&self.line));
        if is_cut {
            text.push_str("...");
        }
        self.line.clear();
        record(&text);
    }
}

/// Returns text without the control characters that could act on a terminal; line breaks and tabs stay.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\t' | '\n')).collect()
}

/// Lets a bounded number of lines through in each window of time.
#[derive(Debug)]
pub(super) struct Meter {
    since: Instant,
    count: u32,
}

impl Meter {
    /// Makes a meter that has counted nothing yet.
    pub(super) fn new() -> Self {
        Meter { since: Instant::now(), count: 0 }
    }

    /// Returns whether one more line of this stream may be logged now. Logs how many were left out before.
    pub(super) fn allows(&mut self, plugin: &str, stream: &'static str) -> bool {
        let (show, left_out) = self.count(Instant::now());
        report(left_out, plugin, stream);
        show
    }

    fn left_out(&self) -> u32 {
        self.count.saturating_sub(LINES_PER_WINDOW)
    }

    /// Returns whether this line may be shown, and how many were left out in the window that has just ended.
    fn count(&mut self, now: Instant) -> (bool, u32) {
        let mut left_out = 0;
        if now.duration_since(self.since) >= WINDOW {
            left_out = self.left_out();
            *self = Meter { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        (self.count <= LINES_PER_WINDOW, left_out)
    }
}

fn report(left_out: u32, plugin: &str, stream: &'static str) {
    if left_out > 0 {
        tracing::warn!(target: "ferry::plugin", plugin, stream, "{left_out} lines left out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        let mut record = |line: &str| out.push(line.to_owned());
        for piece in pieces {
            lines.push(piece, &mut record);
        }
        lines.finish(&mut record);
        out
    }

    #[test]
    fn lines_are_whole_wherever_the_pieces_end() {
        assert_eq!(lines(&[b"a\nb", b"c\n\n", b"d"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&[b"\x1b[31mred\xff\r\n"]), ["[31mred\u{fffd}"]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let long = vec![b'x'; 5 * LINE_MAX];
        let cut = format!("{}...", "x".repeat(LINE_MAX));
        assert_eq!(lines(&[&long, &long, b"\nnext"]), [&cut, "next"]);
    }

    #[test]
    fn a_flood_is_metered_and_counted() {
        let mut meter = Meter::new();
        let start = meter.since;
        let shown = (0..1000).filter(|_| meter.count(start).0).count();
        assert_eq!(shown, LINES_PER_WINDOW as usize);
        assert_eq!(meter.count(start + WINDOW), (true, 1000 - LINES_PER_WINDOW));
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let tail = Tail::default();
        assert_eq!(tail.text(), None);
        (0..100).for_each(|number| tail.push(&format!("line {number}")));
        let text = tail.text().unwrap();
        assert!(text.starts_with("\n    line 80\n") && text.ends_with("line 99"), "{text}");
    }
}
