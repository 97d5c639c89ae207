//! The shell texts of the file operations, and what their exit codes mean.
//!
//! A text is one line, finds its paths in `$1` and `$2`, all absolute, and sends no name through a command
//! substitution, which would lose newlines at its end. Names are bytes: the locale is C.

use std::path::Path;

use crate::transport::{Error, ErrorKind, Output};

/// The meanings of exit codes of the texts. They begin where those of common programs end.
const CODES: [(i32, ErrorKind); 7] = [
    (60, ErrorKind::NotFound),
    (61, ErrorKind::AlreadyExists),
    (62, ErrorKind::NotADirectory),
    (63, ErrorKind::IsADirectory),
    (64, ErrorKind::NotEmpty),
    (65, ErrorKind::PermissionDenied),
    (66, ErrorKind::Unsupported),
];

/// Defines what the texts share. `is` tests whether a path names anything. `why` ends with the reason why it names
/// nothing: the nearest path above it that does is no directory, or may not be entered. `blame` ends with the reason
/// why a change of a name failed, as far as its directory tells.
macro_rules! text {
    ($($line:expr),* $(,)?) => {
        concat!(
            "LC_ALL=C;export LC_ALL;",
            r#"is(){ [ -e "$1" ]||[ -L "$1" ];};"#,
            r#"why(){ a=$1;while :;do a=${a%/*};[ "$a" ]||a=/;[ -e "$a" ]&&break;[ "$a" = / ]&&break;done;"#,
            r#"[ -d "$a" ]||exit 62;[ -x "$a" ]||exit 65;exit 60;};"#,
            r#"blame(){ p=${1%/*}/;[ -d "$p" ]||why "$1";[ -w "$p" ]&&[ -x "$p" ]||exit 65;exit 70;};"#,
            $($line),*
        )
    };
}

/// Prints the facts about `$1`, following links.
pub(super) const STAT: &str =
    text!("stat -L -c '%f %s %u %g %Y' \"$1\" 2>/dev/null&&exit 0;", r#"[ -e "$1" ]||why "$1";exit 66"#,);
/// Prints the facts about `$1`.
pub(super) const LSTAT: &str =
    text!("stat -c '%f %s %u %g %Y' \"$1\" 2>/dev/null&&exit 0;", r#"is "$1"||why "$1";exit 66"#);
/// Prints the facts about the directory `$1`, then those about each name in it, with `./` and the name behind them.
pub(super) const LIST: &str = text!(
    r#"[ -d "$1" ]||{ [ -e "$1" ]&&exit 62;why "$1";};"#,
    r#"[ -r "$1" ]&&cd "$1"||exit 65;stat -c '%f %s %u %g %Y' .||exit 66;"#,
    // A name that has gone since is left out.
    r#"find . ! -name . -prune -exec sh -c 'stat -c "$0" "$@" 2>/dev/null;:' "#,
    r#"'%f %s %u %g %Y %n' {} + 2>/dev/null&&exit 0;"#,
    r#"echo "the directory changes all the time, or can not be read" >&2;exit 70"#,
);
pub(super) const MKDIR: &str = text!(r#"mkdir "$1"&&exit 0;is "$1"&&exit 61;blame "$1""#);
pub(super) const MKDIRS: &str = text!(
    r#"mkdir -p "$1"&&exit 0;"#,
    r#"a=$1;while ! is "$a";do a=${a%/*};[ "$a" ]||a=/;done;"#,
    r#"[ -d "$a" ]||exit 62;[ -w "$a" ]&&[ -x "$a" ]||exit 65;exit 70"#,
);
pub(super) const REMOVE_FILE: &str = text!(
    r#"is "$1"||why "$1";[ -d "$1" ]&&! [ -L "$1" ]&&exit 63;"#,
    r#"rm -f "$1"&&exit 0;is "$1"||exit 60;blame "$1""#,
);
pub(super) const REMOVE_DIR: &str = text!(
    r#"is "$1"||why "$1";[ -d "$1" ]&&! [ -L "$1" ]||exit 62;rmdir "$1"&&exit 0;"#,
    r#"is "$1"||exit 60;[ "$(ls -A "$1";echo x)" = x ]||exit 64;blame "$1""#,
);
pub(super) const REMOVE_TREE: &str = text!(r#"rm -rf "$1"&&exit 0;is "$1"||exit 0;exit 70"#);
/// Renames `$1` to `$2`. Where `mv` does not know its options, a target that is made in between is replaced.
pub(super) const RENAME: &str = text!(
    r#"is "$1"||why "$1";is "$2"&&exit 61;p=${1%/*}/;q=${2%/*}/;[ -d "$q" ]||why "$2";"#,
    r#"[ "$(stat -L -c %d "$p")" = "$(stat -L -c %d "$q")" ]||exit 66;"#,
    r#"mv -n -T "$1" "$2" 2>/dev/null;is "$1"||exit 0;is "$2"&&exit 61;"#,
    r#"mv "$1" "$2";is "$1"||exit 0;[ -w "$p" ]&&[ -x "$p" ]||exit 65;blame "$2""#,
);
/// Makes the link `$2` to `$1`.
pub(super) const SYMLINK: &str = text!(
    r#"is "$2"&&exit 61;ln -s -T "$1" "$2" 2>/dev/null&&exit 0;"#,
    r#"is "$2"&&exit 61;ln -s "$1" "$2"&&exit 0;blame "$2""#,
);
/// Gives `$1` the permission bits `$2`.
pub(super) const CHMOD: &str = text!(r#"[ -e "$1" ]||why "$1";chmod "$2" "$1"&&exit 0;exit 70"#);
/// Prints a plus, then the bytes of `$1` from the `$2`th on.
pub(super) const READ: &str = text!(
    r#"[ -d "$1" ]&&exit 63;[ -e "$1" ]||why "$1";[ -f "$1" ]||exit 66;[ -r "$1" ]||exit 65;"#,
    r#"exec <"$1"||exit 70;printf +;[ "$2" = 1 ]&&exec cat;"#,
    // Some can't count as far as a caller may ask.
    r#"[ "$2" -gt "$(stat -L -c %s "$1")" ]&&exit 0;exec tail -c "+$2""#,
);
/// Prints a plus, then at most `$3` bytes of `$1` from the `$2`th on.
pub(super) const READ_PIECE: &str = text!(
    r#"[ -d "$1" ]&&exit 63;[ -e "$1" ]||why "$1";[ -f "$1" ]||exit 66;[ -r "$1" ]||exit 65;"#,
    r#"exec <"$1"||exit 70;printf +;[ "$2" = 1 ]&&exec head -c "$3";"#,
    r#"[ "$2" -gt "$(stat -L -c %s "$1")" ]&&exit 0;tail -c "+$2"|head -c "$3""#,
);

/// Defines the two halves of a write: the input goes to the temporary file `$2`, which becomes `$1` if it has `$3`
/// bytes. With a fourth argument it becomes a program.
macro_rules! half {
    (begin) => {
        concat!(
            r#"[ -d "$1" ]&&! [ -L "$1" ]&&exit 63;p=${1%/*}/;[ -d "$p" ]||why "$1";"#,
            r#"trap 'rm -f "$2";exit 70' HUP INT TERM;umask go-w;set -C;"#,
            r#"cat >"$2"||{ rm -f "$2";blame "$1";};"#,
        )
    };
    (commit) => {
        concat!(
            r#"trap 'rm -f "$2";exit 70' HUP INT TERM;"#,
            r#"[ "$(wc -c <"$2")" -eq "$3" ]||{ rm -f "$2";echo 'the input was cut off' >&2;exit 70;};"#,
            r#"[ "$4" ]&&{ umask go-w;chmod +x "$2";};"#,
            r#"mv -f -T "$2" "$1" 2>/dev/null&&exit 0;"#,
            // Without the option, a directory that is there would be entered.
            r#"[ -d "$1" ]&&! [ -L "$1" ]&&{ rm -f "$2";exit 63;};[ -d "$1" ]&&rm -f "$1";"#,
            r#"mv -f "$2" "$1"&&exit 0;rm -f "$2";blame "$1""#,
        )
    };
}

/// Writes a file whose size is known beforehand.
pub(super) const WRITE: &str = text!(half!(begin), half!(commit));
/// Writes the temporary file.
pub(super) const TEMP_FILE: &str = text!(half!(begin), "exit 0");
/// Puts a temporary file in place.
pub(super) const COMMIT: &str = text!(half!(commit));
/// Removes the temporary file `$1`.
pub(super) const DISCARD: &str = r#"rm -f "$1""#;
/// Returns the error for a text that did not end with 0.
pub(super) fn fault(operation: &'static str, path: &Path, output: &Output) -> Error {
    let said = output.error_text();
    let told = CODES.iter().find(|(code, _)| *code == output.status).map(|(_, kind)| *kind);
    let missing = matches!(output.status, 126 | 127).then_some(ErrorKind::Unsupported);
    let kind = told.or(missing).or_else(|| ErrorKind::of_text(&said)).unwrap_or(ErrorKind::Other);
    let error = Error::new(kind, operation).with("path", path.display());
    match (told, said.lines().next()) {
        (None, Some(first)) => error.source(std::io::Error::other(first.to_owned())),
        (None, None) => {
            error.source(std::io::Error::other(format!("the computer's shell ended with {}", output.status)))
        }
        (Some(ErrorKind::Unsupported), _) if matches!(operation, "stat" | "lstat" | "list") => error
            .message("the computer's `stat` does not support `-c`")
            .help("it needs GNU coreutils or busybox"),
        (Some(ErrorKind::Unsupported), _) if operation == "rename" => {
            error.help("copy it, then remove it: it is on another file system")
        }
        (Some(_), _) => error,
    }
}
