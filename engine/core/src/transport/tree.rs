//! A tree of files to be written, and the check of its names that every transport shares.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{Error, ErrorKind, Result};

/// A tree to be written: relative paths in it never leave it.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// By relative path; parents need not be listed.
    pub entries: BTreeMap<PathBuf, TreeEntry>,
}

/// One entry of a [`Tree`].
#[derive(Debug, Clone)]
pub enum TreeEntry {
    /// An empty directory.
    Dir,
    /// A file with the given bytes.
    Bytes {
        /// The bytes.
        bytes: Arc<[u8]>,
        /// True if it is a program (0755 instead of 0644, less the umask).
        executable: bool,
    },
    /// A file with the contents of a local file.
    File {
        /// Absolute local path.
        from: PathBuf,
        /// True if it is a program, as for `Bytes`.
        executable: bool,
    },
    /// A symbolic link to an absolute path on the remote side.
    Symlink(PathBuf),
}

impl Tree {
    /// Adds a file of these bytes.
    #[must_use]
    pub fn bytes(self, path: impl Into<PathBuf>, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.entry(path, TreeEntry::Bytes { bytes: bytes.into(), executable: false })
    }

    /// Adds an executable file of these bytes.
    #[must_use]
    pub fn program(self, path: impl Into<PathBuf>, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.entry(path, TreeEntry::Bytes { bytes: bytes.into(), executable: true })
    }

    /// Adds a file with the contents of the local file `from`.
    #[must_use]
    pub fn file(self, path: impl Into<PathBuf>, from: impl Into<PathBuf>) -> Self {
        self.entry(path, TreeEntry::File { from: from.into(), executable: false })
    }

    /// Adds a directory.
    #[must_use]
    pub fn dir(self, path: impl Into<PathBuf>) -> Self {
        self.entry(path, TreeEntry::Dir)
    }

    /// Adds a symbolic link to the remote path `target`.
    #[must_use]
    pub fn symlink(self, path: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.entry(path, TreeEntry::Symlink(target.into()))
    }

    fn entry(mut self, path: impl Into<PathBuf>, entry: TreeEntry) -> Self {
        self.entries.insert(path.into(), entry);
        self
    }

    /// Checks every name before anything is written. Each [`super::Transport::put_tree`] begins with it.
    ///
    /// # Errors
    /// `InvalidPath`, effect none, for a name that is empty, absolute, holds `..` or a NUL, or lies below an entry
    /// that is no directory. The same for a link target or a local file that is not absolute.
    ///
    /// ```
    /// use ferry_engine_core::transport::{ErrorKind, Tree};
    /// assert!(Tree::default().bytes("sub/run.sh", *b"date").check().is_ok());
    /// let error = Tree::default().bytes("../run.sh", *b"date").check().unwrap_err();
    /// assert_eq!(*error.kind(), ErrorKind::InvalidPath);
    /// ```
    pub fn check(&self) -> Result<()> {
        for (path, entry) in &self.entries {
            let wrong = name_fault(path).or_else(|| self.parent_fault(path)).or_else(|| entry.fault());
            if let Some(wrong) = wrong {
                let error = Error::new(ErrorKind::InvalidPath, "put_tree").message(wrong);
                return Err(error.with("name", format!("{path:?}")));
            }
        }
        Ok(())
    }

    /// Returns all directories, parents first: those that are entries, and those above an entry.
    pub fn directories(&self) -> BTreeSet<&Path> {
        let own = self.entries.iter().filter(|(_, entry)| matches!(entry, TreeEntry::Dir));
        let own = own.map(|(name, _)| name.as_path());
        let above = self.entries.keys().flat_map(|name| name.ancestors().skip(1));
        own.chain(above).filter(|path| !path.as_os_str().is_empty()).collect()
    }

    fn parent_fault(&self, path: &Path) -> Option<&'static str> {
        let is_file = |above| !matches!(self.entries.get(above), None | Some(TreeEntry::Dir));
        path.ancestors()
            .skip(1)
            .any(is_file)
            .then_some("the name lies below an entry that is not a directory")
    }
}

impl TreeEntry {
    fn fault(&self) -> Option<&'static str> {
        match self {
            TreeEntry::File { from, .. } if !from.is_absolute() => {
                Some("the local file's path is not absolute")
            }
            TreeEntry::Symlink(target) if !target.is_absolute() => Some("the link's target is not absolute"),
            _ => None,
        }
    }
}

/// Returns what is wrong with a tree's relative name, if anything.
fn name_fault(path: &Path) -> Option<&'static str> {
    let leaves = |part| !matches!(part, Component::Normal(_));
    if path.as_os_str().is_empty() {
        Some("the name is empty")
    } else if path.as_os_str().as_encoded_bytes().contains(&0) {
        Some("the name holds a NUL byte")
    } else if path.components().any(leaves) {
        Some("the name is not relative to its directory")
    } else {
        None
    }
}
