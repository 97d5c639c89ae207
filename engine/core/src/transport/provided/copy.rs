//! Copying on the far side, by its own `cp`.

use std::{fmt::Write as _, os::unix::ffi::OsStrExt, path::Path, time::Duration};

use super::{is, remove_tree};
use crate::transport::{
    Command, Error, ErrorKind, FileKind, Output, Result, Transport, check_path, fresh_name,
};

const COPY: &str = "copy";
/// Most time that copying a whole tree may take.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// The copy is removed by its own script if it is ended: by then its caller may have gone.
const SCRIPT: &str = r#"trap 'rm -rf "$2"; exit 1' HUP INT TERM; cp -RPp "$1" "$2""#;

/// Implements [`Transport::copy`]: `cp -RPp` to a temporary name beside the target, then a rename that replaces
/// nothing.
///
/// # Errors
/// Returns those of the method; `Unsupported` where the far side has no `cp`.
///
/// # Cancel safety
/// If it is dropped after the copy and before the rename, the temporary name stays.
pub async fn copy<T: Transport + ?Sized>(via: &T, from: &Path, to: &Path) -> Result<()> {
    check_path(COPY, from)?;
    check_path(COPY, to)?;
    check(via, from, to).await.map_err(|error| error.during(COPY))?;
    let temp = to.with_file_name(fresh_name());
    let copied = match run(via, &[from, &temp]).await {
        Ok(output) if output.status == 0 => via.rename(&temp, to).await,
        Ok(output) => Err(refused(from, &output)),
        Err(error) => Err(error),
    };
    if copied.is_err() {
        // Its own error says less than the one before it.
        let _ = remove_tree(via, &temp).await;
    }
    copied.map_err(|error| error.during(COPY))
}

/// Refuses what `cp` would take for something else, with the reason.
async fn check<T: Transport + ?Sized>(via: &T, from: &Path, to: &Path) -> Result<()> {
    match via.lstat(to).await {
        Ok(_) => return Err(is(ErrorKind::AlreadyExists, COPY, to)),
        Err(error) if *error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    via.lstat(from).await?;
    if to.starts_with(from) {
        let inside =
            Error::new(ErrorKind::InvalidPath, COPY).message("a directory can't be copied into itself");
        return Err(inside.with("path", to.display()));
    }
    let parent = to.parent().unwrap_or(Path::new("/"));
    match via.stat(parent).await?.kind {
        FileKind::Dir => Ok(()),
        _ => Err(is(ErrorKind::NotADirectory, COPY, parent)),
    }
}

async fn run<T: Transport + ?Sized>(via: &T, paths: &[&Path]) -> Result<Output> {
    let script = format!("{}{SCRIPT}", arguments(paths));
    via.exec(&Command::sh(script).no_login_shell().timeout(PATIENCE)).await
}

/// Returns the shell text that makes paths the script's arguments. They need not be text, as words of a
/// [`Command`] must: a path that is none is spelled in octal digits.
fn arguments(paths: &[&Path]) -> String {
    let mut script = String::from("LC_ALL=C; export LC_ALL; set --; ");
    for path in paths {
        match path.to_str() {
            Some(text) => {
                let _ = write!(script, "set -- \"$@\" {}; ", crate::transport::quote(text));
            }
            None => {
                script.push_str("p=$(printf '");
                for byte in path.as_os_str().as_bytes() {
                    let _ = write!(script, "\\{byte:03o}");
                }
                // The letter keeps newlines at the end, which the shell would take away.
                script.push_str("x'); set -- \"$@\" \"${p%x}\"; ");
            }
        }
    }
    script
}

fn refused(path: &Path, output: &Output) -> Error {
    let text = output.error_text();
    let kind = match output.status {
        126 | 127 => ErrorKind::Unsupported,
        _ => ErrorKind::of_text(&text).unwrap_or(ErrorKind::Other),
    };
    let first = text.lines().next().unwrap_or("`cp` did not say why").to_owned();
    Error::new(kind, COPY).with("path", path.display()).source(std::io::Error::other(first))
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, process};

    use super::*;

    #[test]
    fn any_bytes_reach_the_script() {
        let paths: [&[u8]; 4] = [b"/it's", b"/\xff\x80 \n", b"/-n\\t%s\xc3", b"/$(id)\n"];
        let paths = paths.map(|path| Path::new(OsStr::from_bytes(path)));
        let script = format!("{}printf '%s\\0' \"$@\"", arguments(&paths));
        let output = process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let expect: Vec<u8> =
            paths.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
        assert_eq!(output.stdout, expect);
    }
}
