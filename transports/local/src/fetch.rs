//! Fetching files: each into a temporary name, then renamed over a file that is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ferry_engine_core::transport::Result;

use crate::{
    draft::{Draft, mode},
    fault::At,
    files,
    work::Line,
};

const GET_FILES: &str = "get_files";

/// Fetches (remote, local) pairs in order.
pub(crate) fn get_files(pairs: &[(PathBuf, PathBuf)], line: &Line) -> Result<()> {
    pairs.iter().try_for_each(|(far, local)| get(far, local, line))
}

fn get(far: &Path, local: &Path, line: &Line) -> Result<()> {
    line.check().at(GET_FILES, far)?;
    let source = files::open(far).at(GET_FILES, far)?;
    if let Some(parent) = local.parent() {
        fs::create_dir_all(parent).at(GET_FILES, parent)?;
    }
    let draft = Draft::of(local);
    let file = draft.create(mode(false)).at(GET_FILES, local)?;
    files::copy_bytes(&source, &file, line).at(GET_FILES, far)?;
    draft.replace(local).at(GET_FILES, local)
}
