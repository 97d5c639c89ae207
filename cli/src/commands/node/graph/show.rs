//! `--show`: hands a picture to the program that this desktop opens it with.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::error::{Failure, Result};

/// Knows which program that is.
const OPENER: &str = "xdg-open";

/// Opens a file with the desktop's program. Does not wait for that program to end.
///
/// # Errors
/// Fails if there is no opener. The file stays written.
pub(super) fn open(path: &Path) -> Result {
    let started = Command::new(OPENER)
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    started.map(drop).map_err(|error| {
        let what = format!("{} is written, but `{OPENER}` can't open it: {error}", path.display());
        Failure::new(what).help("install the package xdg-utils, or open the file yourself")
    })
}
