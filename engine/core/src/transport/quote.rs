//! Quoting for a POSIX shell, in one place.

use std::path::Path;

/// One shell word that stands for `text`, whatever it holds (a NUL can't be said in any shell word).
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

/// [`quote`] for a path. Names that are not UTF-8 are refused before a script is written; here they are
/// replaced by the Unicode replacement character, so they match nothing.
pub fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}
