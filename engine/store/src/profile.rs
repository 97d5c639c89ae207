//! Where a profile keeps what it has.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The paths of one profile. Nothing of ferry lies elsewhere on this machine.
#[derive(Debug, Clone)]
pub struct Paths {
    /// `FERRY_HOME`.
    pub home: PathBuf,
    /// The profile's name.
    pub profile: String,
    root: PathBuf,
}

impl Paths {
    /// The paths of a profile, without touching the disk.
    pub fn new(home: impl Into<PathBuf>, profile: &str) -> Self {
        let home = home.into();
        let root = home.join("profiles").join(profile);
        Paths { home, profile: profile.to_owned(), root }
    }

    /// Makes the profile's directories, for this user's eyes only.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.root)?;
        builder.create(self.scratch_dir())?;
        fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700))
    }

    /// Directory of the profile.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The store's database.
    pub fn store(&self) -> PathBuf {
        self.root.join("store.db")
    }

    /// The store's large objects.
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// The owner's lock.
    pub fn lock(&self) -> PathBuf {
        self.root.join("owner.lock")
    }

    /// The supervisor's lock.
    pub fn supervisor_lock(&self) -> PathBuf {
        self.root.join("supervisor.lock")
    }

    /// What the supervisor tells of itself.
    pub fn supervision(&self) -> PathBuf {
        self.root.join("supervisor.json")
    }

    /// The owner's socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("ferry.sock")
    }

    /// The daemon's log.
    pub fn log(&self) -> PathBuf {
        self.root.join("daemon.log")
    }

    /// Private copies of plugin files.
    pub fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// Directory for what lives as long as a piece of work.
    pub fn scratch_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// A fresh directory there, removed when dropped.
    ///
    /// # Errors
    /// The disk's.
    pub fn scratch(&self, what: &str) -> io::Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix(&format!("{what}-")).tempdir_in(self.scratch_dir())
    }

    /// The directory in which a process's files are staged between two steps.
    pub fn staging(&self, process: &uuid::Uuid) -> PathBuf {
        self.scratch_dir().join(process.to_string())
    }
}
