//! The object repository: the bytes of files, named by their BLAKE3 digest.
//!
//! Objects up to [`INLINE_MAX`] bytes are rows of the transaction that names them. Larger ones are files: written
//! under a temporary name, synced, and renamed, and their directory synced, *before* that transaction. So a row
//! never names bytes that a crash could lose. A crash leaves at worst an unnamed object.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Largest object that is stored as a row, bytes.
pub const INLINE_MAX: u64 = 16 * 1024;

/// The bytes of one file, to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A small object, to become a row.
    Inline(#[serde(with = "bytes_as_list_or_bytes")] Vec<u8>),
    /// A large object, already in the repository.
    Object {
        /// Its digest.
        digest: String,
        /// Its size in bytes.
        size: u64,
    },
}

impl Content {
    /// Returns digest and size.
    pub fn digest_and_size(&self) -> (String, u64) {
        match self {
            Content::Inline(bytes) => (blake3::hash(bytes).to_string(), bytes.len() as u64),
            Content::Object { digest, size } => (digest.clone(), *size),
        }
    }
}

mod bytes_as_list_or_bytes {
    //! Bytes as MessagePack's own kind of bytes, without another dependency.
    use serde::{Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> de::Visitor<'de> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// Name of the subdirectory for packs, in the directory of objects.
pub(crate) const PACKS: &str = "packs";

/// The directory of large objects. Most are a file each; the rows say which are together in a pack.
#[derive(Debug, Clone)]
pub struct Objects {
    dir: PathBuf,
}

impl Objects {
    /// Creates a repository in `dir`. The directory is created with the first object.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Objects { dir: dir.into() }
    }

    /// Returns the path of an object that is a file of its own.
    pub fn path(&self, digest: &str) -> PathBuf {
        let (head, tail) = digest.split_at(digest.len().min(2));
        self.dir.join(head).join(tail)
    }

    /// Returns the directory itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of a pack.
    pub(crate) fn pack(&self, name: &str) -> PathBuf {
        self.dir.join(PACKS).join(name)
    }

    /// Stores bytes.
    ///
    /// # Errors
    /// Fails with `Full`, `ReadOnly` or `Other`; no named object is left behind.
    pub fn put_bytes(&self, bytes: Vec<u8>) -> Result<Content> {
        if bytes.len() as u64 <= INLINE_MAX {
            return Ok(Content::Inline(bytes));
        }
        self.put_reader(&mut bytes.as_slice())
    }

    /// Stores a local file, which must not be a symbolic link.
    ///
    /// # Errors
    /// Fails with `NotFound` if it does not exist, else as [`Objects::put_bytes`].
    pub fn put_file(&self, path: &Path) -> Result<Content> {
        let failed = |source| Error::from_io("store file", path, source);
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(path)
            .map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if size <= INLINE_MAX {
            let mut bytes = Vec::with_capacity(size as usize);
            (&mut file).take(INLINE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
            if bytes.len() as u64 <= INLINE_MAX {
                return Ok(Content::Inline(bytes));
            }
            return self.put_reader(&mut bytes.as_slice().chain(file));
        }
        self.put_reader(&mut file)
    }

    pub(crate) fn put_reader(&self, from: &mut dyn Read) -> Result<Content> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::from_io("store object", &path, source)
        };
        fs::create_dir_all(&self.dir).map_err(failed(&self.dir))?;
        let mut temporary =
            tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir).map_err(failed(&self.dir))?;
        let (digest, size) = copy_hashing(from, temporary.as_file_mut()).map_err(failed(temporary.path()))?;
        let target = self.path(&digest);
        // An existing object is used again: its time is renewed, so that collection spares it.
        if !freshen(&target) {
            let parent = target.parent().unwrap_or(&self.dir).to_owned();
            temporary
                .as_file()
                .set_permissions(fs::Permissions::from_mode(0o444))
                .and_then(|()| temporary.as_file().sync_all())
                .and_then(|()| fs::create_dir_all(&parent))
                .map_err(failed(&target))?;
            temporary.persist(&target).map_err(|error| error.error).map_err(failed(&target))?;
            sync_dir(&parent).and_then(|()| sync_dir(&self.dir)).map_err(failed(&target))?;
        }
        Ok(Content::Object { digest, size })
    }

    /// Returns whether a large object exists as a file with this size.
    pub fn has(&self, digest: &str, size: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|found| found.len() == size)
    }
}

fn copy_hashing(from: &mut dyn Read, to: &mut File) -> io::Result<(String, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
        size += n as u64;
    }
    Ok((hasher.finalize().to_string(), size))
}

/// Renews the modification time of an object. Returns whether it exists.
pub(crate) fn freshen(path: &Path) -> bool {
    let now = SystemTime::from(ferry_engine_core::clock::now());
    // A file of another user keeps its age.
    File::open(path).map(|file| file.set_modified(now)).is_ok()
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_ones_stay_inline_and_large_ones_become_read_only_files() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::new(dir.path().join("objects"));
        assert_eq!(objects.put_bytes(b"x".to_vec()).unwrap(), Content::Inline(b"x".to_vec()));

        let big = vec![7; INLINE_MAX as usize + 1];
        let content = objects.put_bytes(big.clone()).unwrap();
        let (digest, size) = content.digest_and_size();
        assert_eq!(digest, blake3::hash(&big).to_string());
        assert!(objects.has(&digest, size) && !objects.has(&digest, size + 1));
        assert_eq!(fs::metadata(objects.path(&digest)).unwrap().permissions().mode() & 0o777, 0o444);
        assert_eq!(objects.put_bytes(big).unwrap(), content);
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::new(dir.path());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(objects.put_file(&link).is_err());
    }
}
