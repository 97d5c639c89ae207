//! `known_hosts`: the keys that a name may show. It supports all forms that OpenSSH writes or reads: hashed names,
//! patterns, negation, `[host]:port`, `@revoked`, `@cert-authority`, several lines and files for a name. Pure,
//! except for [`read`]. See sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT", OpenSSH 9.9.

use std::{fs, path::Path};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{Algorithm, PublicKey, parse_public_key_base64};
use sha1::Sha1;

/// One line that could be read.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    marker: Marker,
    names: String,
    key: PublicKey,
    /// Its location, as `file:line`.
    place: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

/// The result of looking up a name and a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is listed.
    Known,
    /// It is listed as revoked, at this location.
    Revoked(String),
    /// The name has other keys of this type, or only keys of other types. One of them is at this location.
    Changed(String),
    /// The name is not listed.
    Unknown,
}

/// Reads files. Missing and unreadable files count as empty; invalid lines are skipped.
pub(crate) fn read<'a>(files: impl IntoIterator<Item = &'a Path>) -> Vec<Line> {
    let mut lines = Vec::new();
    for file in files {
        match fs::read(file) {
            Ok(bytes) => lines.extend(parse(&String::from_utf8_lossy(&bytes), &file.display().to_string())),
            Err(error) => tracing::debug!(file = %file.display(), %error, "no known hosts"),
        }
    }
    lines
}

/// Returns the name to look up: a port other than 22 is part of it.
pub(crate) fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Looks up `key` as shown by `name`.
pub(crate) fn check(lines: &[Line], name: &str, key: &PublicKey) -> Verdict {
    if let Some(line) = lines.iter().find(|line| line.revokes(name, key)) {
        return Verdict::Revoked(line.place.clone());
    }
    let of_name = || lines.iter().filter(|line| line.marker == Marker::None && line.is_for(name));
    if of_name().any(|line| line.key.key_data() == key.key_data()) {
        return Verdict::Known;
    }
    let same_type = of_name().find(|line| line.key.algorithm() == key.algorithm());
    match same_type.or_else(|| of_name().next()) {
        Some(line) => Verdict::Changed(line.place.clone()),
        None => Verdict::Unknown,
    }
}

/// Returns the location where a key is revoked for a name, if it is.
pub(crate) fn revoked(lines: &[Line], name: &str, key: &PublicKey) -> Option<String> {
    lines.iter().find(|line| line.revokes(name, key)).map(|line| line.place.clone())
}

/// Returns the authorities whose certificates a name may show.
pub(crate) fn authorities<'a>(lines: &'a [Line], name: &'a str) -> impl Iterator<Item = &'a PublicKey> {
    let is_authority = move |line: &&Line| line.marker == Marker::Authority && line.is_for(name);
    lines.iter().filter(is_authority).map(|line| &line.key)
}

/// Returns the types of the keys that a name is known by. Ask for these first: otherwise a host known by one type
/// shows another and looks unknown.
pub(crate) fn types<'a>(lines: &'a [Line], name: &'a str) -> impl Iterator<Item = Algorithm> {
    lines
        .iter()
        .filter(move |line| line.marker == Marker::None && line.is_for(name))
        .map(|l| l.key.algorithm())
}

/// Returns the line that makes a key known, without its end.
pub(crate) fn line(name: &str, key: &PublicKey, salt: Option<[u8; 20]>) -> Option<String> {
    let text = key.to_openssh().ok()?;
    let mut words = text.split(' ');
    let (kind, data) = (words.next()?, words.next()?);
    let name = match salt {
        None => name.to_owned(),
        Some(salt) => format!("|1|{}|{}", BASE64.encode(&salt), BASE64.encode(&hash(&salt, name)?)),
    };
    Some(format!("{name} {kind} {data}"))
}

/// Returns whether a pattern with `*` and `?` matches a name.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut taken, mut retry) = (0, 0, None);
    while taken < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, taken));
                at += 1;
            }
            Some(byte) if *byte == b'?' || byte.eq_ignore_ascii_case(&name[taken]) => {
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
    pattern[at..].iter().all(|byte| *byte == b'*')
}

impl Line {
    fn revokes(&self, name: &str, key: &PublicKey) -> bool {
        self.marker == Marker::Revoked && self.key.key_data() == key.key_data() && self.is_for(name)
    }

    /// Returns whether the line applies to a name: one pattern must match, and no negated one may.
    fn is_for(&self, name: &str) -> bool {
        if self.names.starts_with('|') {
            return is_hash_of(&self.names, name);
        }
        let mut is_matched = false;
        for pattern in self.names.split(',') {
            match pattern.strip_prefix('!') {
                Some(negated) if matches(negated, name) => return false,
                Some(_) => {}
                None => is_matched |= matches(pattern, name),
            }
        }
        is_matched
    }
}

/// Reads the lines of a text; invalid ones are skipped.
pub(crate) fn parse(text: &str, file: &str) -> Vec<Line> {
    let numbered = text.lines().enumerate();
    numbered.filter_map(|(index, line)| parse_line(line, || format!("{file}:{}", index + 1))).collect()
}

fn parse_line(line: &str, place: impl FnOnce() -> String) -> Option<Line> {
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let first = words.next().filter(|word| !word.starts_with('#'))?;
    let (marker, names) = match first {
        "@revoked" => (Marker::Revoked, words.next()?),
        "@cert-authority" => (Marker::Authority, words.next()?),
        // An unknown marker: the rest of the line can't be understood.
        word if word.starts_with('@') => return None,
        word => (Marker::None, word),
    };
    let kind = words.next()?;
    let key = parse_public_key_base64(words.next()?).ok()?;
    (key.algorithm().as_str() == kind).then(|| Line { marker, names: names.to_owned(), key, place: place() })
}

/// Returns whether `|1|salt|hash` is the hash of a name.
fn is_hash_of(hashed: &str, name: &str) -> bool {
    let mut parts = hashed.split('|').skip(1);
    let (Some("1"), Some(salt), Some(expect)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let decode = |text: &str| BASE64.decode(text.as_bytes()).ok();
    let (Some(salt), Some(expect)) = (decode(salt), decode(expect)) else { return false };
    hash(&salt, name).is_some_and(|hash| hash == expect)
}

fn hash(salt: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM6iPUcFaikktSHClJe/m1PWsTf6zRQBtscNyrZ1k1WK";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEez\
                         OmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    /// Checks key B shown by host `h` on port 22; `A`, `B` and `E` in the file stand for the keys.
    fn check_file(file: &str, expect: Verdict) {
        check_name(file, "h", 22, expect);
    }

    fn check_name(file: &str, host: &str, port: u16, expect: Verdict) {
        let text = file.replace("{A}", A).replace("{B}", B).replace("{E}", ECDSA);
        assert_eq!(check(&parse(&text, "f"), &name(host, port), &key(B)), expect, "{file}");
    }

    fn at(line: usize) -> String {
        format!("f:{line}")
    }

    #[test]
    fn names_and_keys() {
        check_file("h {B}", Verdict::Known);
        check_file("h {A}\nh {B}", Verdict::Known);
        check_file("# a comment\n\nh {B} a comment", Verdict::Known);
        check_file("h\t{B}", Verdict::Known);
        check_file("  h {B}", Verdict::Known);
        check_file("H {B}", Verdict::Known);
        check_file("x,h,y {B}", Verdict::Known);
        check_file("h {A}", Verdict::Changed(at(1)));
        check_file("h {E}\nh {A}", Verdict::Changed(at(2)));
        check_file("h {E}", Verdict::Changed(at(1)));
        check_file("x {B}", Verdict::Unknown);
        check_file("", Verdict::Unknown);
    }

    #[test]
    fn patterns_and_negation() {
        check_file("h*,*.x {B}", Verdict::Known);
        check_file("? {B}", Verdict::Known);
        check_file("* {B}", Verdict::Known);
        check_file("!h,* {B}", Verdict::Unknown);
        check_file("*,!h {B}", Verdict::Unknown);
        check_file("!x,h {B}", Verdict::Known);
        check_name("*.example.org {B}", "login1.example.org", 22, Verdict::Known);
        check_name("*.example.org {B}", "example.org", 22, Verdict::Unknown);
    }

    #[test]
    fn ports_and_addresses() {
        check_name("[h]:2222 {B}", "h", 2222, Verdict::Known);
        check_name("[h]:2222 {B}", "h", 22, Verdict::Unknown);
        check_name("h {B}", "h", 2222, Verdict::Unknown);
        check_name("[*]:2222 {B}", "h", 2222, Verdict::Known);
        check_name("10.0.0.* {B}", "10.0.0.7", 22, Verdict::Known);
        check_name("::1 {B}", "::1", 22, Verdict::Known);
        check_name("[::1]:2222 {B}", "::1", 2222, Verdict::Known);
    }

    #[test]
    fn markers() {
        check_file("@revoked h {B}\nh {B}", Verdict::Revoked(at(1)));
        check_file("h {B}\n@revoked * {B}", Verdict::Revoked(at(2)));
        check_file("@revoked x {B}\nh {B}", Verdict::Known);
        check_file("@cert-authority h {B}", Verdict::Unknown);
        check_file("@future h {B}", Verdict::Unknown);
        let text = format!("@cert-authority *.x {A}\nh {B}");
        let lines = parse(&text, "f");
        assert_eq!(authorities(&lines, "a.x").collect::<Vec<_>>(), [&key(A)]);
        assert_eq!(authorities(&lines, "h").count(), 0);
    }

    #[test]
    fn lines_without_sense_are_passed_over() {
        check_file("h ssh-foo AAAA\nh {B}", Verdict::Known);
        check_file("h ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910\nh {B}", Verdict::Known);
        check_file("h\nh ssh-ed25519\nh {B}", Verdict::Known);
    }

    #[test]
    fn hashed_names_as_ssh_keygen_writes_them() {
        let salt = *b"0123456789abcdefghij";
        for name in ["h", "[h]:2222"] {
            let text = line(name, &key(B), Some(salt)).unwrap();
            assert!(text.starts_with("|1|MDEyMzQ1Njc4OWFiY2RlZmdoaWo=|"), "{text}");
            assert_eq!(check(&parse(&text, "f"), name, &key(B)), Verdict::Known);
            assert_eq!(check(&parse(&text, "f"), "x", &key(B)), Verdict::Unknown);
        }
        check_file("|1|bad|bad {B}\n|2|a|b {B}\n| {B}\nh {B}", Verdict::Known);
    }
}
