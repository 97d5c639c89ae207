//! Makes text printable. Labels, file names, and the output of jobs and plugins may hold terminal escapes, which
//! would act on the terminal that shows them, or marks that reverse what is read.

use std::{borrow::Cow, fmt::Write as _};

/// Returns text that a terminal shows and does not obey: line breaks and tabs stay, all other control characters
/// and the marks for the direction of text become `\u{1b}`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |out, c| {
        let _ = write!(out, "{}", c.escape_unicode());
    })
}

/// As [`printable`], for JSON: `\u001b`, as JSON has it. Such characters occur in its strings alone.
pub(crate) fn printable_json(text: &str) -> Cow<'_, str> {
    escaped(text, |out, c| {
        let _ = write!(out, "\\u{:04x}", u32::from(c));
    })
}

/// Returns text as one line of at most `most` characters: line breaks are `\n`, and a longer text ends in `...`.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    // What is cut off anyway is not made printable: a value may have megabytes.
    let begin: String = text.chars().take(most + 1).collect();
    let line = printable(&begin).replace('\n', "\\n").replace('\t', "\\t");
    if line.chars().count() > most {
        line.chars().take(most.saturating_sub(3)).chain("...".chars()).collect()
    } else {
        line
    }
}

/// Makes a stream of bytes printable, piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// The first bytes of a character whose rest comes with the next piece.
    begun: Vec<u8>,
}

impl Stream {
    /// Returns the printable text of the next piece.
    pub(crate) fn next(&mut self, piece: &[u8]) -> String {
        self.begun.extend_from_slice(piece);
        let whole = match std::str::from_utf8(&self.begun) {
            // Without a length, the character at the end is not whole.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.begun.len() - begun_at_end(&self.begun),
        };
        let rest = self.begun.split_off(whole);
        let bytes = std::mem::replace(&mut self.begun, rest);
        printable(&String::from_utf8_lossy(&bytes)).into_owned()
    }

    /// Returns what is left when the stream has ended.
    pub(crate) fn end(&mut self) -> String {
        printable(&String::from_utf8_lossy(&std::mem::take(&mut self.begun))).into_owned()
    }
}

/// Returns the number of bytes at the end that begin a character.
fn begun_at_end(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map(|chunk| chunk.invalid());
    last.map_or(0, |bad| match std::str::from_utf8(bad) {
        Err(error) if error.error_len().is_none() => bad.len(),
        _ => 0,
    })
}

fn escaped(text: &str, write: impl Fn(&mut String, char)) -> Cow<'_, str> {
    let Some(first) = text.find(acts) else { return Cow::Borrowed(text) };
    let mut out = text[..first].to_owned();
    for c in text[first..].chars() {
        if acts(c) {
            write(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Returns whether a terminal may do something else than show this character: C0 and C1 controls, line and
/// paragraph separators, and the marks of Unicode's bidirectional algorithm (UAX #9, section 2).
fn acts(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_escaped_and_the_rest_stays() {
        let text = "a\u{1b}]0;X\u{7}\r\u{9b}2J\u{202e}b\n\tÄ…";
        assert_eq!(printable(text), "a\\u{1b}]0;X\\u{7}\\u{d}\\u{9b}2J\\u{202e}b\n\tÄ…");
        assert!(matches!(printable("as it is"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_json_with_the_same_value() {
        let value = serde_json::json!({ "a": "\u{9b}2J\u{7f}\u{2069}\u{1b}" });
        let text = printable_json(&value.to_string()).into_owned();
        assert!(!text.chars().any(acts), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_line_is_cut() {
        assert_eq!(one_line("a\nb\u{1b}", 60), "a\\nb\\u{1b}");
        assert_eq!(one_line("abcdefgh", 6), "abc...");
        assert_eq!(one_line("abcdef", 6), "abcdef");
    }

    #[test]
    fn a_character_in_two_pieces_stays_whole() {
        let mut stream = Stream::default();
        let text = "ä\u{9b}€";
        let told: String = text.bytes().map(|byte| stream.next(&[byte])).collect();
        assert_eq!(told + &stream.end(), "ä\\u{9b}€");
        assert_eq!(stream.next(b"a\xffb\xe2") + &stream.end(), "a\u{fffd}b\u{fffd}");
    }
}
