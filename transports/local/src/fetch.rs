//! Fetching files: each into a temporary name, then renamed over a file that is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ferry_engine_core::transport::Result;

use crate::{
    errors::At,
    files,
    temp_file::{TempFile, mode},
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
    let temp = TempFile::of(local);
    let file = temp.create(mode(false)).at(GET_FILES, local)?;
    files::copy_bytes(&source, &file, line).at(GET_FILES, far)?;
    temp.replace(local).at(GET_FILES, local)
}
