//! Quoting for a POSIX shell, in one place.

use std::{ffi::OsStr, fmt::Write as _, os::unix::ffi::OsStrExt, path::Path};

/// Returns one shell word that stands for `text`, whatever characters it holds. A NUL can't be written in any
/// shell word.
///
/// ```
/// use ferry_engine_core::transport::quote;
/// assert_eq!(quote("pw.in"), "pw.in");
/// assert_eq!(quote("it's"), r"'it'\''s'");
/// assert_eq!(quote(""), "''");
/// ```
pub fn quote(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:,+@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Quotes a word as [`quote`] does, whatever bytes it holds. Bytes that are not UTF-8 can't stand in a script that is
/// text: the shell gets them from `printf`.
///
/// ```
/// use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
///
/// use ferry_engine_core::transport::quote_os;
/// assert_eq!(quote_os(OsStr::new("pw.in")), "pw.in");
/// assert_eq!(quote_os(OsStr::from_bytes(b"M\xfc.log")), r#"M"$(printf '\374')".log"#);
/// ```
pub fn quote_os(word: &OsStr) -> String {
    if let Some(text) = word.to_str() {
        return quote(text);
    }
    let mut quoted = String::new();
    for chunk in word.as_bytes().utf8_chunks() {
        if !chunk.valid().is_empty() {
            quoted += &quote(chunk.valid());
        }
        if !chunk.invalid().is_empty() {
            quoted += "\"$(printf '";
            for byte in chunk.invalid() {
                let _ = write!(quoted, "\\{byte:03o}");
            }
            quoted += "')\"";
        }
    }
    quoted
}

/// Quotes a path as [`quote_os`] does.
pub fn quote_path(path: &Path) -> String {
    quote_os(path.as_os_str())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_gives_every_byte_back() {
        let all: Vec<u8> = (1..=255).collect();
        for word in [&all[..], b"M\xfc\n", b"\xff", b"-\xfe'$(x)\"", b"\xc3"] {
            let script = format!("printf %s {}", quote_os(OsStr::from_bytes(word)));
            for shell in ["sh", "bash"] {
                let output = Command::new(shell).args(["-c", &script]).output().unwrap();
                assert_eq!(output.stdout, word, "{shell}: {script}");
            }
        }
    }
}
