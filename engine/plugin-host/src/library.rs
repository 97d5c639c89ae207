//! The private copies of plugin files, named by their digest. Only these are ever loaded. A user's file may be
//! rebuilt or cut at any time, which would end a process that has it mapped.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{fs as unix, process::geteuid};

use super::{Digest, Error, ErrorKind, Facts, Result, elf};

/// Largest plugin file.
const FILE_MAX: u64 = 256 << 20;

/// A directory of private copies, `<digest>.so` each.
#[derive(Debug, Clone)]
pub struct Library {
    dir: PathBuf,
}

/// A plugin file that was checked and copied. None of its code has run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Its digest, by which it is identified from now on.
    pub digest: Digest,
    /// The private copy.
    pub path: PathBuf,
    /// Its facts.
    pub facts: Facts,
}

impl Library {
    /// Opens the library in `dir`, which is made if need be and belongs to this user alone.
    ///
    /// # Errors
    /// `Unsafe` when the directory belongs to another user, `Io`.
    pub fn new(dir: &Path) -> Result<Self> {
        let failed = |error| super::io_error("plugin library", dir, error);
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        let metadata = fs::metadata(&dir).map_err(failed)?;
        if metadata.uid() != geteuid().as_raw() {
            return Err(unsafe_path("plugin library", &dir, "it belongs to another user"));
        }
        if metadata.mode() & 0o777 != 0o700 {
            fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(failed)?;
        }
        Ok(Library { dir })
    }

    /// Checks a plugin file and copies it. A file that was admitted before changes nothing. Blocks while it reads
    /// and writes.
    ///
    /// # Errors
    /// `Unsafe`, `Io`, and those of [`elf::inspect`]; each names the file.
    pub fn admit(&self, file: &Path) -> Result<Admitted> {
        let failed = |error| super::io_error("plugin file", file, error);
        let file = file.canonicalize().map_err(failed)?;
        check_directory(&file)?;
        let bytes = read_plugin(&file)?;
        let facts = elf::inspect(&bytes).map_err(|error| error.with("path", file.display()))?;
        let digest = Digest::of(&bytes);
        let path = self.path(&digest);
        if self.verify(&digest).is_err() {
            self.keep(&path, &bytes).map_err(|error| super::io_error("copy plugin", &path, error))?;
        }
        Ok(Admitted { digest, path, facts })
    }

    /// Returns the path of the private copy of a digest, even if there is none yet.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{digest}.so"))
    }

    /// Reads a private copy again and compares it with its digest. Blocks while it reads. [`Hosts`] does this
    /// before a digest's first host.
    ///
    /// [`Hosts`]: super::Hosts
    ///
    /// # Errors
    /// `Changed` when it is missing or differs.
    pub fn verify(&self, digest: &Digest) -> Result<Facts> {
        let path = self.path(digest);
        let changed = |what: &str| {
            Error::new(ErrorKind::Changed, "plugin copy")
                .message(format!("ferry's private copy of the plugin {what}"))
                .with("path", path.display())
                .help("install the plugin's file again")
        };
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => changed("is gone"),
            _ => changed("can't be read").source(error),
        })?;
        if Digest::of(&bytes) != *digest {
            return Err(changed("has changed"));
        }
        elf::inspect(&bytes)
    }

    /// Removes a private copy; a missing one is fine. Hosts that run it keep running.
    ///
    /// # Errors
    /// `Io`.
    pub fn remove(&self, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(super::io_error("remove plugin", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Writes under a temporary name, so that the file at `path` is always complete.
    fn keep(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(Permissions::from_mode(0o444))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(&self.dir)?.sync_all()
    }
}

/// Refuses a directory that all users may write: they could swap the file. A group's directory is accepted, since
/// groups share plugins.
fn check_directory(file: &Path) -> Result<()> {
    let Some(dir) = file.parent() else { return Ok(()) };
    let mode = fs::metadata(dir).map_err(|error| super::io_error("plugin file", dir, error))?.mode();
    if mode & 0o002 != 0 && mode & 0o1000 == 0 {
        let error = unsafe_path("plugin file", dir, "anyone can replace files in its directory");
        return Err(error.help(format!("move it elsewhere, or: chmod o-w {}", dir.display())));
    }
    Ok(())
}

/// Opens, checks and reads through one handle, so that the checked file is the one that is read.
fn read_plugin(path: &Path) -> Result<Vec<u8>> {
    let failed = |error: io::Error| super::io_error("plugin file", path, error);
    // Without NONBLOCK, opening a pipe would wait for a writer.
    let flags = unix::OFlags::RDONLY | unix::OFlags::CLOEXEC | unix::OFlags::NONBLOCK;
    let file = unix::open(path, flags, unix::Mode::empty()).map_err(|error| failed(error.into()))?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(failed)?;
    check_metadata(path, &metadata)?;
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_MAX { Err(too_large(path)) } else { Ok(bytes) }
}

fn check_metadata(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    if !metadata.is_file() {
        let error = Error::new(ErrorKind::NotElf, "plugin file").message("not a regular file");
        return Err(error.with("path", path.display()).help("give the `.so` file that cargo built"));
    }
    if metadata.len() > FILE_MAX {
        return Err(too_large(path));
    }
    if metadata.uid() != geteuid().as_raw() && metadata.uid() != 0 {
        let error = unsafe_path("plugin file", path, "it belongs to another user");
        return Err(error.help("copy it, if you trust its owner, and install the copy"));
    }
    if metadata.mode() & 0o022 != 0 {
        let error = unsafe_path("plugin file", path, "other users can write to it");
        return Err(error.help(format!("chmod go-w {}", path.display())));
    }
    Ok(())
}

fn unsafe_path(operation: &'static str, path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Unsafe, operation)
        .message(format!("not safe to use: {why}"))
        .with("path", path.display())
}

fn too_large(path: &Path) -> Error {
    Error::new(ErrorKind::NotAPlugin, "plugin file")
        .message(format!("larger than {} MiB", FILE_MAX >> 20))
        .with("path", path.display())
        .help("build it in release mode, or strip it")
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::elf::tests::sample;

    fn library() -> (TempDir, Library) {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::new(&dir.path().join("library")).unwrap();
        (dir, library)
    }

    fn put(dir: &TempDir, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn refused(library: &Library, file: &Path) -> ErrorKind {
        *library.admit(file).unwrap_err().kind()
    }

    #[test]
    fn a_copy_is_kept_under_its_digest_and_outlives_its_file() {
        let (dir, library) = library();
        let file = put(&dir, "sample.so", &sample(1), 0o755);
        let admitted = library.admit(&file).unwrap();
        assert_eq!(admitted.digest, Digest::of(&sample(1)));
        assert_eq!(fs::metadata(&admitted.path).unwrap().mode() & 0o777, 0o444);
        fs::write(&file, b"rebuilt").unwrap();
        assert_eq!(library.verify(&admitted.digest).unwrap(), admitted.facts);

        let second = library.admit(&put(&dir, "sample2.so", &sample(2), 0o755)).unwrap();
        assert_ne!(second.digest, admitted.digest);
        assert_eq!(fs::read_dir(&library.dir).unwrap().count(), 2);
        library.remove(&second.digest).unwrap();
        library.remove(&second.digest).unwrap();
    }

    #[test]
    fn a_changed_copy_is_noticed_and_mended() {
        let (dir, library) = library();
        let file = put(&dir, "sample.so", &sample(1), 0o755);
        let Admitted { digest, path, .. } = library.admit(&file).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(*library.verify(&digest).unwrap_err().kind(), ErrorKind::Changed);
        fs::write(&path, sample(2)).unwrap();
        assert_eq!(*library.verify(&digest).unwrap_err().kind(), ErrorKind::Changed);
        library.admit(&file).unwrap();
        library.verify(&digest).unwrap();
    }

    #[test]
    fn what_others_may_change_is_refused() {
        let (dir, library) = library();
        for mode in [0o775, 0o757] {
            assert_eq!(refused(&library, &put(&dir, "a.so", &sample(1), mode)), ErrorKind::Unsafe);
        }
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        let file = open.join("a.so");
        fs::write(&file, sample(1)).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        for (mode, fine) in [(0o777, false), (0o1777, true), (0o775, true)] {
            fs::set_permissions(&open, Permissions::from_mode(mode)).unwrap();
            assert_eq!(library.admit(&file).is_ok(), fine, "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_file_or_no_plugin_is_refused_by_name() {
        let (dir, library) = library();
        assert_eq!(refused(&library, &dir.path().join("none.so")), ErrorKind::Io);
        assert_eq!(refused(&library, dir.path()), ErrorKind::NotElf);
        let text = put(&dir, "text.so", b"hello", 0o644);
        let error = library.admit(&text).unwrap_err();
        assert!(error.to_string().contains("text.so"), "{error}");
        assert_eq!(*error.kind(), ErrorKind::NotElf);
    }
}
