//! Quoting for a POSIX shell, in one place.

use std::path::Path;

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

/// Quotes a path as [`quote`] does. Names that are not UTF-8 are refused before a script is written. Here their
/// invalid bytes become the Unicode replacement character, so they match nothing.
pub fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}
