//! A tree of files in memory, with the rules of a POSIX one as far as a transport can see them.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    ops::Bound,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::transport::{Entry, ErrorKind, FileKind, Metadata, Tree, TreeEntry};

/// Most links that are followed in one path.
const LINKS_MAX: u32 = 40;
/// Longest name, bytes.
const NAME_MAX: usize = 255;

type Result<T = ()> = std::result::Result<T, ErrorKind>;

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Dir,
    File(Arc<[u8]>),
    Link(PathBuf),
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    kind: Kind,
    mode: u32,
    modified: SystemTime,
}

/// The tree. All paths are absolute.
#[derive(Debug)]
pub(super) struct Files {
    nodes: BTreeMap<PathBuf, Node>,
    /// Modification time of the next change.
    pub(super) now: SystemTime,
}

impl Default for Files {
    fn default() -> Self {
        let now = SystemTime::UNIX_EPOCH;
        let root = Node { kind: Kind::Dir, mode: 0o755, modified: now };
        Files { nodes: BTreeMap::from([(PathBuf::from("/"), root)]), now }
    }
}

impl Files {
    /// Returns the metadata of a path. `follow`: a link in its last name is followed.
    pub(super) fn stat(&self, path: &Path, follow: bool) -> Result<Metadata> {
        let real = self.resolve(path, follow)?;
        self.nodes.get(&real).map(metadata).ok_or(ErrorKind::NotFound)
    }

    pub(super) fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let dir = self.dir(dir)?;
        let entry = |(path, node): (&PathBuf, &Node)| Entry {
            name: path.file_name().unwrap_or_default().to_owned(),
            metadata: metadata(node),
        };
        Ok(self.below(&dir).filter(|(path, _)| path.parent() == Some(&dir)).map(entry).collect())
    }

    pub(super) fn mkdir(&mut self, dir: &Path) -> Result {
        let real = self.free(dir)?;
        self.put(real, Kind::Dir, 0o755);
        Ok(())
    }

    pub(super) fn mkdirs(&mut self, dir: &Path) -> Result {
        let mut ways: Vec<&Path> = dir.ancestors().collect();
        ways.reverse();
        for way in ways {
            match self.stat(way, true) {
                Ok(found) if found.kind == FileKind::Dir => {}
                Ok(_) => return Err(ErrorKind::AlreadyExists),
                Err(ErrorKind::NotFound) => self.mkdir(way)?,
                Err(kind) => return Err(kind),
            }
        }
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> Result {
        let real = self.there(path, false)?;
        if self.nodes[&real].kind == Kind::Dir {
            return Err(ErrorKind::IsADirectory);
        }
        self.nodes.remove(&real);
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, dir: &Path) -> Result {
        let real = self.there(dir, false)?;
        if self.nodes[&real].kind != Kind::Dir {
            return Err(ErrorKind::NotADirectory);
        }
        if self.below(&real).next().is_some() {
            return Err(ErrorKind::NotEmpty);
        }
        self.nodes.remove(&real);
        Ok(())
    }

    pub(super) fn remove_tree(&mut self, path: &Path) -> Result {
        match self.there(path, false) {
            Ok(real) => {
                let inside: Vec<PathBuf> = self.below(&real).map(|(path, _)| path.clone()).collect();
                inside.iter().chain([&real]).for_each(|path| drop(self.nodes.remove(path)));
                Ok(())
            }
            Err(ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
            Err(kind) => Err(kind),
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result {
        let from = self.there(from, false)?;
        let to = self.free(to)?;
        if to.starts_with(&from) {
            return Err(ErrorKind::InvalidPath);
        }
        let moved: Vec<PathBuf> =
            self.below(&from).map(|(path, _)| path.clone()).chain([from.clone()]).collect();
        for path in moved {
            if let Some(node) = self.nodes.remove(&path) {
                self.nodes.insert(moved_path(&path, &from, &to), node);
            }
        }
        Ok(())
    }

    pub(super) fn copy(&mut self, from: &Path, to: &Path) -> Result {
        let from = self.there(from, false)?;
        let to = self.free(to)?;
        if to.starts_with(&from) {
            return Err(ErrorKind::InvalidPath);
        }
        let own = self.nodes.get(&from).map(|node| (from.clone(), node.clone()));
        let below = self.below(&from).map(|(path, node)| (path.clone(), node.clone()));
        let copied: Vec<(PathBuf, Node)> = below.chain(own).collect();
        for (path, node) in copied {
            let node = Node { modified: self.now, ..node };
            self.nodes.insert(moved_path(&path, &from, &to), node);
        }
        Ok(())
    }

    pub(super) fn symlink(&mut self, target: &Path, link: &Path) -> Result {
        let real = self.free(link)?;
        self.put(real, Kind::Link(target.to_owned()), 0o777);
        Ok(())
    }

    pub(super) fn chmod(&mut self, path: &Path, mode: u32) -> Result {
        let real = self.there(path, true)?;
        if let Some(node) = self.nodes.get_mut(&real) {
            node.mode = mode & 0o7777;
        }
        Ok(())
    }

    pub(super) fn read(&self, path: &Path) -> Result<Arc<[u8]>> {
        let real = self.there(path, true)?;
        match &self.nodes[&real].kind {
            Kind::File(bytes) => Ok(bytes.clone()),
            _ => Err(ErrorKind::IsADirectory),
        }
    }

    /// Writes a file; an existing file or link is replaced.
    pub(super) fn write(&mut self, path: &Path, bytes: Arc<[u8]>, executable: bool) -> Result {
        let real = self.resolve(path, false)?;
        if self.nodes.get(&real).is_some_and(|node| node.kind == Kind::Dir) {
            return Err(ErrorKind::IsADirectory);
        }
        self.put(real, Kind::File(bytes), mode(executable));
        Ok(())
    }

    /// Writes a tree whose names were checked; `local` reads this machine's files.
    pub(super) fn put_tree(
        &mut self,
        tree: &Tree,
        to: &Path,
        local: &mut dyn FnMut(&Path) -> Result<Arc<[u8]>>,
    ) -> Result {
        self.mkdirs(to).map_err(|kind| match kind {
            ErrorKind::AlreadyExists => ErrorKind::NotADirectory,
            other => other,
        })?;
        let root = self.dir(to)?;
        for (name, entry) in &tree.entries {
            self.make_inside(&root, name.parent().unwrap_or(Path::new("")))?;
            let place = root.join(name);
            let (kind, mode) = match entry {
                TreeEntry::Dir => {
                    self.make_inside(&root, name)?;
                    continue;
                }
                TreeEntry::Bytes { bytes, executable } => (Kind::File(bytes.clone()), mode(*executable)),
                TreeEntry::File { from, executable } => (Kind::File(local(from)?), mode(*executable)),
                TreeEntry::Symlink(target) => (Kind::Link(target.clone()), 0o777),
            };
            if self.nodes.get(&place).is_some_and(|node| node.kind == Kind::Dir) {
                return Err(ErrorKind::IsADirectory);
            }
            self.put(place, kind, mode);
        }
        Ok(())
    }

    /// Makes directories below a root, following no link.
    fn make_inside(&mut self, root: &Path, relative: &Path) -> Result {
        let mut place = root.to_owned();
        for part in relative.components() {
            place.push(part);
            match self.nodes.get(&place).map(|node| &node.kind) {
                None => self.put(place.clone(), Kind::Dir, 0o755),
                Some(Kind::Dir) => {}
                Some(_) => return Err(ErrorKind::NotADirectory),
            }
        }
        Ok(())
    }

    fn put(&mut self, path: PathBuf, kind: Kind, mode: u32) {
        self.nodes.insert(path, Node { kind, mode, modified: self.now });
    }

    /// Returns the real path of a directory.
    fn dir(&self, path: &Path) -> Result<PathBuf> {
        let real = self.there(path, true)?;
        if self.nodes[&real].kind == Kind::Dir { Ok(real) } else { Err(ErrorKind::NotADirectory) }
    }

    /// Returns the real path of something that exists.
    fn there(&self, path: &Path, follow: bool) -> Result<PathBuf> {
        let real = self.resolve(path, follow)?;
        if self.nodes.contains_key(&real) { Ok(real) } else { Err(ErrorKind::NotFound) }
    }

    /// Returns the real path of something that does not exist yet.
    fn free(&self, path: &Path) -> Result<PathBuf> {
        let real = self.resolve(path, false)?;
        if self.nodes.contains_key(&real) { Err(ErrorKind::AlreadyExists) } else { Ok(real) }
    }

    fn below<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a Node)> {
        self.nodes
            .range::<Path, _>((Bound::Excluded(dir), Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(dir))
    }

    /// Returns the path without links on the way. Its parent must be an existing directory.
    fn resolve(&self, path: &Path, follow: bool) -> Result<PathBuf> {
        let mut todo: Vec<OsString> = names(path);
        let mut real = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                real.pop();
                continue;
            }
            match self.nodes.get(&real).map(|node| &node.kind) {
                Some(Kind::Dir) => {}
                Some(_) => return Err(ErrorKind::NotADirectory),
                None => return Err(ErrorKind::NotFound),
            }
            if name.len() > NAME_MAX {
                return Err(ErrorKind::InvalidPath);
            }
            let place = real.join(&name);
            match self.nodes.get(&place).map(|node| &node.kind) {
                Some(Kind::Link(target)) if follow || !todo.is_empty() => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(ErrorKind::Other);
                    }
                    if target.is_absolute() {
                        real = PathBuf::from("/");
                    }
                    todo.extend(names(target));
                }
                _ => real = place,
            }
        }
        Ok(real)
    }
}

fn mode(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

/// Returns the names of a path, last first.
fn names(path: &Path) -> Vec<OsString> {
    let plain = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    let mut names: Vec<OsString> =
        path.components().filter(plain).map(|part| part.as_os_str().to_owned()).collect();
    names.reverse();
    names
}

fn moved_path(path: &Path, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => path.to_owned(),
    }
}

fn metadata(node: &Node) -> Metadata {
    let (kind, size) = match &node.kind {
        Kind::Dir => (FileKind::Dir, 0),
        Kind::File(bytes) => (FileKind::File, bytes.len() as u64),
        Kind::Link(target) => (FileKind::Symlink, target.as_os_str().len() as u64),
    };
    Metadata { kind, size, mode: node.mode, uid: 1000, gid: 1000, modified: node.modified }
}
