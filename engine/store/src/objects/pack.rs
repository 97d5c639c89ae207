//! A pack: many large objects in one file, which never changes once it has its name.
//!
//! ```text
//! ferry pack 1\n
//! <digest> <size in decimal>\n<bytes>\n
//! <digest> <size in decimal>\n<bytes>\n
//! ```
//!
//! The rows say where each object's bytes begin. The lines in between allow recovery if the rows are lost.

use std::{
    fs,
    io::{self, BufWriter, Read, Write},
    path::PathBuf,
};

use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    objects::repository::{Objects, sync_dir},
};

const HEADER: &[u8] = b"ferry pack 1\n";

/// A pack that is being written and has no name yet. A crash leaves no file that is ever read.
#[derive(Debug)]
pub(crate) struct NewPack {
    file: BufWriter<NamedTempFile>,
    size: u64,
    /// Digest and offset of each object in it.
    pub(crate) entries: Vec<(String, u64)>,
    target: PathBuf,
    name: String,
}

/// A pack that is on disk.
#[derive(Debug)]
pub(crate) struct Pack {
    /// Name of its file.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Digest and offset of each object in it.
    pub(crate) entries: Vec<(String, u64)>,
}

impl NewPack {
    /// Begins a pack.
    pub(crate) fn begin(objects: &Objects) -> Result<NewPack> {
        let name = format!("{}.pack", Uuid::now_v7());
        let target = objects.pack(&name);
        let failed = |source| Error::from_io("pack objects", &target, source);
        let dir = target.parent().unwrap_or(objects.dir());
        fs::create_dir_all(dir).map_err(failed)?;
        let file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir).map_err(failed)?;
        let mut pack = NewPack { file: BufWriter::new(file), size: 0, entries: Vec::new(), target, name };
        pack.write(HEADER)?;
        Ok(pack)
    }

    /// Adds an object. Returns false, and leaves it out of the entries, if its bytes do not match its digest.
    pub(crate) fn add(&mut self, digest: &str, size: u64, from: &mut dyn Read) -> Result<bool> {
        self.write(format!("{digest} {size}\n").as_bytes())?;
        let offset = self.size;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    self.write(&buffer[..read])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::from_io("pack objects", &self.target, error)),
            }
        }
        let whole = self.size - offset == size && hasher.finalize().to_string() == digest;
        self.write(b"\n")?;
        if whole {
            self.entries.push((digest.to_owned(), offset));
        }
        Ok(whole)
    }

    /// Syncs the pack and gives it its name, durably.
    pub(crate) fn finish(self) -> Result<Pack> {
        let NewPack { file, size, entries, target, name } = self;
        let failed = |source| Error::from_io("pack objects", &target, source);
        let file = file.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist_noclobber(&target).map_err(|error| failed(error.error))?;
        let dir = target.parent().unwrap_or(&target);
        sync_dir(dir).and_then(|()| dir.parent().map_or(Ok(()), sync_dir)).map_err(failed)?;
        Ok(Pack { name, size, entries })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| Error::from_io("pack objects", &self.target, source))
    }
}
