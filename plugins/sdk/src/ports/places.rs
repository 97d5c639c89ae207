//! The folders of one piece of work, where the bytes of new nodes may lie.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ferry_plugin_proto::Source;

use crate::path;

/// The folders of one piece of work, where the bytes of new nodes may lie.
#[derive(Debug, Default)]
pub struct Places {
    sandbox: Option<PathBuf>,
    retrieved: Option<PathBuf>,
    temporary: Option<PathBuf>,
    kept: u32,
}

impl Places {
    pub(crate) fn new(sandbox: &Path) -> Self {
        Places { sandbox: Some(sandbox.to_owned()), ..Places::default() }
    }

    pub(crate) fn retrieved(mut self, retrieved: &Path, temporary: Option<&Path>) -> Self {
        self.retrieved = Some(retrieved.to_owned());
        self.temporary = temporary.map(Path::to_owned);
        self
    }

    /// Returns the source by which a message names a file of this machine; `None` if it lies in none of the
    /// folders.
    pub(crate) fn locate(&self, file: &Path) -> Result<Option<Source>, String> {
        let about =
            fs::symlink_metadata(file).map_err(|error| format!("needs `{}`: {error}", file.display()))?;
        if !about.is_file() {
            return Err(format!("needs `{}`, which is no regular file", file.display()));
        }
        let within = |dir: &Option<PathBuf>| {
            let rest = file.strip_prefix(dir.as_ref()?).ok()?;
            path::relative(rest.to_str()?).ok()
        };
        Ok(None
            .or_else(|| within(&self.retrieved).map(Source::Retrieved))
            .or_else(|| within(&self.temporary).map(Source::Temporary))
            .or_else(|| within(&self.sandbox).map(Source::Sandbox)))
    }

    /// Keeps bytes in the sandbox under a name of its own.
    pub(crate) fn keep(&mut self, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<Source, String> {
        let sandbox = self.sandbox.as_ref().ok_or("needs a folder for its files, and there is none here")?;
        self.kept += 1;
        let name = format!(".ferry-output-{}", self.kept);
        write(&sandbox.join(&name)).map_err(|error| format!("can't be kept in the sandbox: {error}"))?;
        Ok(Source::Sandbox(name))
    }
}
