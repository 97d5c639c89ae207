//! Patterns for one name: `*`, `?` and `[..]`. Pure; each transport walks its directories itself.
//!
//! Names are bytes. Where they are UTF-8, `?` and `[..]` take a whole character; any other byte stands for
//! itself, so that every name can be matched.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

/// One name of a [`glob`](super::Transport::glob) pattern.
///
/// ```
/// use ferry_engine_core::transport::Pattern;
/// assert!(Pattern::read("*.out".as_ref()).is_some_and(|pattern| pattern.matches("pw.out".as_ref())));
/// assert!(Pattern::read("pw.out".as_ref()).is_none());
/// ```
#[derive(Debug)]
pub struct Pattern(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Unit(u32),
    Any,
    Many,
    Class { ranges: Vec<(u32, u32)>, is_negated: bool },
}

impl Pattern {
    /// Reads a pattern; `None` if the name is plain and stands for itself.
    pub fn read(name: &OsStr) -> Option<Self> {
        let units = units(name);
        let mut rest = units.as_slice();
        let mut pieces = Vec::new();
        while let Some((piece, after)) = piece(rest) {
            pieces.push(piece);
            rest = after;
        }
        let is_plain = pieces.iter().all(|piece| matches!(piece, Piece::Unit(_)));
        (!is_plain).then_some(Pattern(pieces))
    }

    /// Returns whether a name matches. A leading dot is matched only by a leading dot.
    pub fn matches(&self, name: &OsStr) -> bool {
        let name = units(name);
        let dot = u32::from('.');
        let is_hidden = name.first() == Some(&dot);
        let asks_hidden = matches!(self.0.first(), Some(Piece::Unit(unit)) if *unit == dot);
        (!is_hidden || asks_hidden) && matches(&self.0, &name)
    }
}

impl Piece {
    fn takes(&self, unit: u32) -> bool {
        match self {
            Piece::Unit(own) => *own == unit,
            Piece::Any | Piece::Many => true,
            Piece::Class { ranges, is_negated } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&unit)) != *is_negated
            }
        }
    }
}

/// Splits a name into characters, and stray bytes as numbers that no character has.
fn units(name: &OsStr) -> Vec<u32> {
    const STRAY: u32 = 0x11_0000;
    let chunks = name.as_bytes().utf8_chunks();
    chunks
        .flat_map(|chunk| {
            let stray = chunk.invalid().iter().map(|byte| STRAY + u32::from(*byte));
            chunk.valid().chars().map(u32::from).chain(stray)
        })
        .collect()
}

/// Returns the first piece and the units after it.
fn piece(units: &[u32]) -> Option<(Piece, &[u32])> {
    let (first, rest) = units.split_first()?;
    let single = match char::from_u32(*first) {
        Some('*') => Piece::Many,
        Some('?') => Piece::Any,
        Some('[') => return Some(class(rest).unwrap_or((Piece::Unit(*first), rest))),
        _ => Piece::Unit(*first),
    };
    Some((single, rest))
}

/// Returns the class that follows a `[`, and the units after it; `None` if nothing closes it. A `]` that comes
/// first is a member of the class.
fn class(units: &[u32]) -> Option<(Piece, &[u32])> {
    let is = |unit: &u32, wanted: char| *unit == u32::from(wanted);
    let is_negated = units.first().is_some_and(|first| is(first, '!') || is(first, '^'));
    let body = &units[usize::from(is_negated)..];
    let end = 1 + body.get(1..)?.iter().position(|unit| is(unit, ']'))?;
    let (mut members, mut ranges) = (&body[..end], Vec::new());
    while let Some(low) = members.first() {
        let (high, taken) = match members {
            [_, dash, high, ..] if is(dash, '-') => (high, 3),
            _ => (low, 1),
        };
        ranges.push((*low, *high));
        members = &members[taken..];
    }
    Some((Piece::Class { ranges, is_negated }, &body[end + 1..]))
}

/// Matches with a single point to go back to, the last `*`. So it takes at most the product of both lengths in
/// steps.
fn matches(pieces: &[Piece], name: &[u32]) -> bool {
    let (mut at, mut taken) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while taken < name.len() {
        match pieces.get(at) {
            Some(Piece::Many) => {
                retry = Some((at + 1, taken));
                at += 1;
            }
            Some(piece) if piece.takes(name[taken]) => {
                at += 1;
                taken += 1;
            }
            _ => {
                let Some((after, from)) = retry else { return false };
                retry = Some((after, from + 1));
                (at, taken) = (after, from + 1);
            }
        }
    }
    pieces[at..].iter().all(|piece| matches!(piece, Piece::Many))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &[u8], name: &[u8], expect: bool) {
        let name = OsStr::from_bytes(name);
        let pattern = OsStr::from_bytes(pattern);
        let does = Pattern::read(pattern).map_or(name == pattern, |pattern| pattern.matches(name));
        assert_eq!(does, expect, "{pattern:?} on {name:?}");
    }

    #[test]
    fn table() {
        check(b"*", b"a", true);
        check(b"*", b".a", false);
        check(b".*", b".a", true);
        check(b"?a", b".a", false);
        check(b"[.]a", b".a", false);
        check(b"a*b*c", b"a-b-b-c", true);
        check(b"a*b*c", b"a-c-b", false);
        check(b"**", b"ab", true);
        check(b"a?", "a\u{e9}".as_bytes(), true);
        check(b"a?", b"a\xff", true);
        check(b"a??", b"a\xff\xfe", true);
        check(b"a\xff*", b"a\xffb", true);
        check(b"[0-9]x", b"7x", true);
        check(b"[!0-9]x", b"7x", false);
        check(b"[^0-9]x", b"ax", true);
        check(b"[]a]", b"]", true);
        check(b"[a-]", b"-", true);
        check(b"[*]", b"*", true);
        check(b"[*]", b"a", false);
        check(b"[[]1]", b"[1]", true);
        check(b"[ab", b"[ab", true);
        check(b"*[ab", b"x[ab", true);
        check(b"[]", b"[]", true);
        check(b"[!]", b"[!]", true);
        check("[\u{e0}-\u{ff}]".as_bytes(), "\u{e9}".as_bytes(), true);
        check(b"line\n*", b"line\nbreak", true);
        check(b"*", b"", true);
    }

    #[test]
    fn many_stars_take_no_time() {
        check("*a".repeat(40).as_bytes(), "a".repeat(240).as_bytes(), true);
        check(format!("{}b", "*a".repeat(40)).as_bytes(), "a".repeat(240).as_bytes(), false);
    }
}
