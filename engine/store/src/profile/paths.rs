//! The files of a profile.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The paths of one profile. ferry keeps no files elsewhere on this machine.
#[derive(Debug, Clone)]
pub struct Paths {
    /// `FERRY_HOME`.
    pub home: PathBuf,
    /// The profile's name.
    pub profile: String,
    root: PathBuf,
}

impl Paths {
    /// Makes the paths of a profile, without touching the disk.
    pub fn new(home: impl Into<PathBuf>, profile: &str) -> Self {
        let home = home.into();
        let root = home.join("profiles").join(profile);
        Paths { home, profile: profile.to_owned(), root }
    }

    /// Makes the profile's directories, readable by this user only.
    ///
    /// # Errors
    /// Returns the errors of the disk.
    pub fn create(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.root)?;
        builder.create(self.scratch_dir())?;
        fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700))
    }

    /// Returns the directory of the profile.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the store's database.
    pub fn store(&self) -> PathBuf {
        self.root.join("store.db")
    }

    /// Returns the directory of the store's large objects.
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// Returns the path of the owner's lock.
    pub fn lock(&self) -> PathBuf {
        self.root.join("owner.lock")
    }

    /// The supervisor's lock.
    pub fn supervisor_lock(&self) -> PathBuf {
        self.root.join("supervisor.lock")
    }

    /// Returns the path of the file in which the supervisor reports its state.
    pub fn supervision(&self) -> PathBuf {
        self.root.join("supervisor.json")
    }

    /// The owner's socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("ferry.sock")
    }

    /// Returns the path of the daemon's log.
    pub fn log(&self) -> PathBuf {
        self.root.join("daemon.log")
    }

    /// Returns the directory of the private copies of plugin files.
    pub fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// Returns the directory for temporary files.
    pub fn scratch_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Makes a fresh directory there, which is removed when dropped.
    ///
    /// # Errors
    /// Returns the errors of the disk.
    pub fn scratch(&self, what: &str) -> io::Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix(&format!("{what}-")).tempdir_in(self.scratch_dir())
    }

    /// Returns the directory in which a process's files are staged between two steps.
    pub fn staging(&self, process: &uuid::Uuid) -> PathBuf {
        self.scratch_dir().join(process.to_string())
    }
}
