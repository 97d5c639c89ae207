//! The marks that frame a command's output, printed by its script and read from its streams. Pure.
//!
//! A mark is `RS token:word RS`, where RS is the byte 0x1e and the token is new for each command. So no output of
//! a login file or a command is taken for one.

use crate::transport::Output;

/// Most bytes that are kept of a stream.
pub const BOUND: usize = 64 << 20;
/// Most bytes that are kept of the output before the first mark.
const NOISE: usize = 64 << 10;
const RS: u8 = 0x1e;
/// A length that no mark reaches.
const LONGEST: usize = 64;

/// The token that distinguishes one command's marks from everything else.
#[derive(Debug, Clone)]
pub struct Token(String);

impl Token {
    /// Makes a fresh one.
    #[expect(clippy::new_without_default, reason = "no token is a default: each is fresh")]
    pub fn new() -> Self {
        let (head, tail) = uuid::Uuid::new_v4().as_u64_pair();
        Token(format!("{:016x}", head ^ tail))
    }

    /// Returns the shell command that prints the mark of the process group; `value` is shell text.
    pub fn print_group(&self, value: &str) -> String {
        self.print("p", value)
    }

    /// Returns the shell command that prints the mark before the output.
    pub fn print_begin(&self) -> String {
        self.print("b", "")
    }

    /// Returns the shell command that prints the mark behind the output.
    pub fn print_end(&self, value: &str) -> String {
        self.print("e", value)
    }

    fn print(&self, kind: &str, value: &str) -> String {
        format!(r#"printf "\036{}:{kind}%s\036" "{value}""#, self.0)
    }
}

/// The end of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The command ran, and this is its exit status.
    Status(i32),
    /// The working directory does not exist.
    MissingDir,
    /// The working directory is a file.
    FileForDir,
    /// The working directory may not be entered.
    DeniedDir,
}

/// One stream of a command: its own output, without noise and marks, up to a bound.
#[derive(Debug)]
pub struct Stream {
    token: Token,
    /// Bytes that may still contain a mark.
    pending: Vec<u8>,
    kept: Vec<u8>,
    dropped: u64,
    has_begun: bool,
    group: Option<u32>,
    ending: Option<Ending>,
}

impl Stream {
    /// Makes one that has received nothing yet.
    pub fn new(token: Token) -> Self {
        let (pending, kept) = (Vec::new(), Vec::new());
        Stream { token, pending, kept, dropped: 0, has_begun: false, group: None, ending: None }
    }

    /// Takes bytes that were received.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.ending.is_some() {
            return;
        }
        self.pending.extend_from_slice(bytes);
        while let Some((start, end)) = next_mark(&self.pending, &self.token) {
            let word = String::from_utf8_lossy(&self.pending[start + LEAD..end - 1]).into_owned();
            self.settle(start);
            self.pending.drain(..end - start);
            self.mark(&word);
            if self.ending.is_some() {
                return;
            }
        }
        let safe = safe_length(&self.pending);
        if self.has_begun {
            self.settle(safe);
        } else {
            // Endless noise is not worth its memory.
            let excess = self.pending.len().saturating_sub(NOISE).min(safe);
            self.pending.drain(..excess);
        }
    }

    /// Returns the process group, once it is known.
    pub fn group(&self) -> Option<u32> {
        self.group
    }

    /// Returns the end, once it is known.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Takes the bytes that are kept so far; later ones are kept after them.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }

    /// Returns the kept bytes, and the number of dropped ones.
    pub(super) fn finish(mut self) -> (Vec<u8>, u64) {
        let rest = self.pending.len();
        if self.ending.is_none() {
            self.settle(rest);
        }
        (self.kept, self.dropped)
    }

    /// Returns the last part of it as text, for error messages.
    pub fn tail(&self) -> String {
        let bytes = if self.kept.is_empty() { &self.pending } else { &self.kept };
        let start = bytes.len().saturating_sub(400);
        String::from_utf8_lossy(&bytes[start..]).trim().to_owned()
    }

    /// Moves bytes from the pending to the kept ones.
    fn settle(&mut self, length: usize) {
        let room = BOUND.saturating_sub(self.kept.len()).min(length);
        self.kept.extend_from_slice(&self.pending[..room]);
        self.dropped += (length - room) as u64;
        self.pending.drain(..length);
    }

    fn mark(&mut self, word: &str) {
        match word.split_at_checked(1) {
            Some(("p", group)) => self.group = group.parse().ok(),
            Some(("b", _)) => {
                self.kept.clear();
                self.has_begun = true;
            }
            Some(("e", status)) => self.ending = ending(status),
            _ => {}
        }
    }
}

fn ending(word: &str) -> Option<Ending> {
    match word {
        "missing" => Some(Ending::MissingDir),
        "file" => Some(Ending::FileForDir),
        "denied" => Some(Ending::DeniedDir),
        status => status.parse().ok().map(Ending::Status),
    }
}

/// Length of RS, the token and a colon.
const LEAD: usize = 18;

/// Returns the range of the first whole mark: its first byte, and the end behind its last.
fn next_mark(bytes: &[u8], token: &Token) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = position(&bytes[from..]) {
        let start = from + found;
        let inner = &bytes[start + 1..];
        if inner.starts_with(token.0.as_bytes()) && inner.get(token.0.len()) == Some(&b':') {
            let end = position(inner)?;
            return Some((start, start + 1 + end + 1));
        }
        from = start + 1;
    }
    None
}

/// Returns the number of bytes that can't be the beginning of an incomplete mark.
fn safe_length(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(LONGEST);
    position(&bytes[from..]).map_or(bytes.len(), |found| from + found)
}

fn position(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == RS)
}

/// Returns the output of a command from its two streams. The last lines on stderr say how much was dropped.
pub fn output(status: i32, stdout: Stream, stderr: Stream) -> Output {
    let (stdout, lost_out) = stdout.finish();
    let (mut stderr, lost_err) = stderr.finish();
    for (name, lost) in [("stdout", lost_out), ("stderr", lost_err)] {
        if lost > 0 {
            stderr.extend(format!("\nferry: {lost} more bytes of {name} were dropped\n").bytes());
        }
    }
    Output { status, stdout, stderr }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(token: &Token, word: &str) -> String {
        format!("\x1e{}:{word}\x1e", token.0)
    }

    /// Feeds the bytes in pieces of every size up to the whole.
    fn check(make: impl Fn(&Token) -> String, expect: &[u8], ending: Option<Ending>) {
        let token = Token::new();
        let bytes = make(&token).into_bytes();
        for size in 1..=bytes.len() {
            let mut stream = Stream::new(token.clone());
            bytes.chunks(size).for_each(|chunk| stream.push(chunk));
            assert_eq!(stream.ending(), ending);
            assert_eq!(stream.finish().0, expect, "in pieces of {size}");
        }
    }

    #[test]
    fn noise_and_marks_are_left_out() {
        let end = Some(Ending::Status(7));
        check(|t| format!("noise{}{}out{}", mark(t, "p12"), mark(t, "b"), mark(t, "e7")), b"out", end);
        check(|t| format!("{}{}", mark(t, "b"), mark(t, "e7")), b"", end);
        check(
            |t| format!("{}\x1e\x1eout\x1e:b\x1e{}later", mark(t, "b"), mark(t, "e7")),
            b"\x1e\x1eout\x1e:b\x1e",
            end,
        );
        check(|t| format!("a{}b", mark(&Token("x".repeat(16)), "b")) + &mark(t, "b") + "c", b"c", None);
    }

    #[test]
    fn what_a_shell_says_instead_is_kept() {
        check(|_| "This account is not available\n".into(), b"This account is not available\n", None);
        check(|t| format!("profile: exit\n{}", mark(t, "e1")), b"profile: exit\n", Some(Ending::Status(1)));
    }

    #[test]
    fn output_beyond_the_bound_is_counted() {
        let token = Token::new();
        let mut stream = Stream::new(token.clone());
        stream.push(mark(&token, "b").as_bytes());
        for _ in 0..=BOUND >> 20 {
            stream.push(&vec![0; 1 << 20]);
        }
        stream.push(mark(&token, "e0").as_bytes());
        assert_eq!(stream.ending(), Some(Ending::Status(0)));
        let (kept, dropped) = stream.finish();
        assert_eq!((kept.len(), dropped), (BOUND, 1 << 20));
    }
}
