//! Files and folders as ports. A file is a reference: its bytes are read on demand, and a big file travels as
//! a path, never in a message.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use ferry_plugin_proto::{CallInput, NewFile, NewNode, Node, Source, Value};

use crate::{
    path,
    ports::{input::PortType, lender::Lender, output::IntoNode, places::Places},
};

/// Largest file that travels inside a message, see `Source::Inline`.
const INLINE_MAX: usize = 64 * 1024;

/// A file of an input node, a file on disk, or bytes that will become a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRef(Origin);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In a stored node; `local` is where it can be read during this call.
    Node { uuid: String, path: String, local: PathBuf },
    /// Here.
    Bytes(Vec<u8>),
    /// At an absolute path on this machine.
    Path(PathBuf),
}

impl FileRef {
    /// Bytes that will be a file.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        FileRef(Origin::Bytes(bytes.into()))
    }

    /// Refers to a file that exists for the length of this call, such as one from
    /// [`Finished::path`](crate::Finished::path). A file outside the folders of this call is copied.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        FileRef(Origin::Path(path.into()))
    }

    /// Returns the file's bytes.
    ///
    /// # Errors
    /// Fails if the file can't be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match &self.0 {
            Origin::Bytes(bytes) => Ok(bytes.clone()),
            Origin::Node { local: path, .. } | Origin::Path(path) => fs::read(path),
        }
    }

    /// Returns the file's text.
    ///
    /// # Errors
    /// Fails if the file can't be read; `InvalidData` if it is not UTF-8.
    pub fn read_to_string(&self) -> io::Result<String> {
        String::from_utf8(self.read()?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Returns the path by which the file can be read during this call; `None` for bytes that are not in a
    /// file yet.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Origin::Bytes(_) => None,
            Origin::Node { local: path, .. } | Origin::Path(path) => Some(path),
        }
    }

    pub(crate) fn of_node(node: &Node, path: &str, local: &str) -> Self {
        FileRef(Origin::Node { uuid: node.uuid.clone(), path: path.to_owned(), local: local.into() })
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.0
    }

    /// Returns the source of the bytes, as a message names it.
    pub(crate) fn into_source(self, places: &mut Places) -> Result<Source, String> {
        match self.0 {
            Origin::Node { uuid, path, .. } => Ok(Source::Node { uuid, path }),
            Origin::Bytes(bytes) if bytes.len() <= INLINE_MAX => Ok(Source::Inline(bytes)),
            Origin::Bytes(bytes) => places.keep(|target| fs::write(target, &bytes)),
            Origin::Path(path) => match places.locate(&path)? {
                Some(source) => Ok(source),
                None => places.keep(|target| fs::copy(&path, target).map(drop)),
            },
        }
    }
}

/// An empty one.
impl Default for FileRef {
    fn default() -> Self {
        FileRef::from_bytes([])
    }
}

impl From<&FileRef> for FileRef {
    fn from(file: &FileRef) -> Self {
        file.clone()
    }
}

impl From<&SingleFile> for FileRef {
    fn from(file: &SingleFile) -> Self {
        file.file.clone()
    }
}

/// A `file` node: one file with a name.
///
/// ```
/// use ferry_plugin::SingleFile;
/// let file = SingleFile::from_bytes("in.xyz", "2\n\nH 0 0 0\nH 0 0 0.74\n")?;
/// assert_eq!(file.name(), "in.xyz");
/// assert!(file.read_to_string()?.starts_with("2\n"));
/// # Ok::<(), ferry_plugin::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleFile {
    name: String,
    file: FileRef,
}

impl SingleFile {
    /// Makes a file of these bytes. `name` may have parts (`out/a.txt`).
    ///
    /// # Errors
    /// Fails if the name is absolute or has `..`.
    pub fn from_bytes(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Self, String> {
        Ok(SingleFile { name: path::relative(name)?, file: FileRef::from_bytes(bytes) })
    }

    /// Refers to an existing file, under its own name; see [`FileRef::from_path`].
    ///
    /// # Errors
    /// Fails if the path has no file name.
    pub fn from_path(path: impl Into<PathBuf>) -> Result<Self, String> {
        let path = path.into();
        let name = path.file_name().ok_or_else(|| format!("`{}` names no file", path.display()))?;
        Ok(SingleFile { name: name.to_string_lossy().into_owned(), file: FileRef::from_path(path) })
    }

    /// Makes a file under another name. `name` may have parts (`out/a.txt`).
    ///
    /// # Errors
    /// Fails if the name is absolute or has `..`.
    pub fn named(name: &str, file: impl Into<FileRef>) -> Result<Self, String> {
        Ok(SingleFile { name: path::relative(name)?, file: file.into() })
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the file itself.
    pub fn file(&self) -> &FileRef {
        &self.file
    }

    /// Returns the file's bytes.
    ///
    /// # Errors
    /// Fails if the file can't be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        self.file.read()
    }

    /// Returns the file's text.
    ///
    /// # Errors
    /// Fails if the file can't be read; `InvalidData` if it is not UTF-8.
    pub fn read_to_string(&self) -> io::Result<String> {
        self.file.read_to_string()
    }

    fn body(name: &str) -> Value {
        Value::Map([("filename".to_owned(), Value::from(name))].into())
    }
}

impl PortType for SingleFile {
    fn types() -> Vec<String> {
        vec!["file".to_owned()]
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        let name = node.value.get("filename").and_then(Value::as_str);
        let (path, local) = match (name, node.files.iter().next()) {
            (Some(name), _) => node.files.get_key_value(name),
            (None, only) => only.filter(|_| node.files.len() == 1),
        }
        .ok_or_else(|| format!("expected one file, found a node of type `{}` without it", node.data_type))?;
        Ok(SingleFile { name: path.clone(), file: FileRef::of_node(node, path, local) })
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        lender.lend_files("file", Self::body(&self.name), [(&*self.name, &self.file)])
    }

    fn given(&self) -> Result<CallInput, String> {
        self.clone().into_node(&mut Places::default()).map(CallInput::New)
    }
}

impl IntoNode for SingleFile {
    fn types() -> Vec<String> {
        <Self as PortType>::types()
    }

    fn into_node(self, places: &mut Places) -> Result<NewNode, String> {
        let value = Self::body(&self.name);
        let file = NewFile { path: self.name, source: self.file.into_source(places)? };
        Ok(NewNode { data_type: "file".to_owned(), value, files: vec![file] })
    }
}

/// A `folder` node: files by relative path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folder {
    files: BTreeMap<String, FileRef>,
}

impl Folder {
    /// Refers to all files below a directory that exists for the length of this call. Links are left out.
    ///
    /// # Errors
    /// Fails if a directory can't be read.
    pub fn from_dir(dir: impl AsRef<Path>) -> io::Result<Self> {
        let dir = dir.as_ref();
        let entry = |path: String| {
            let file = FileRef::from_path(dir.join(&path));
            (path, file)
        };
        Ok(Folder { files: path::files_below(dir)?.into_iter().map(entry).collect() })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// Fails if the path is absolute or has `..`.
    pub fn add(&mut self, path: &str, file: impl Into<FileRef>) -> Result<(), String> {
        self.files.insert(path::relative(path)?, file.into());
        Ok(())
    }

    /// Returns the file at `path`.
    pub fn file(&self, path: &str) -> Option<&FileRef> {
        self.files.get(path)
    }

    /// Returns all files, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &FileRef)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file))
    }
}

impl PortType for Folder {
    fn types() -> Vec<String> {
        vec!["folder".to_owned()]
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        let file = |(path, local): (&String, &String)| (path.clone(), FileRef::of_node(node, path, local));
        Ok(Folder { files: node.files.iter().map(file).collect() })
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        lender.lend_files("folder", Value::Map(BTreeMap::new()), self.files())
    }
}

impl IntoNode for Folder {
    fn types() -> Vec<String> {
        <Self as PortType>::types()
    }

    fn into_node(self, places: &mut Places) -> Result<NewNode, String> {
        let mut files = Vec::new();
        for (path, file) in self.files {
            files.push(NewFile { path, source: file.into_source(places)? });
        }
        Ok(NewNode { data_type: "folder".to_owned(), value: Value::Map(BTreeMap::new()), files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn emit(file: impl IntoNode, places: &mut Places) -> Source {
        file.into_node(places).unwrap().files.remove(0).source
    }

    #[test]
    fn a_file_is_named_where_it_lies() {
        let (retrieved, sandbox, elsewhere) = (Scratch::new(), Scratch::new(), Scratch::new());
        let mut places = Places::new(sandbox.path()).retrieved(retrieved.path(), None);
        for dir in [&retrieved, &sandbox, &elsewhere] {
            fs::create_dir(dir.path().join("out")).unwrap();
            fs::write(dir.path().join("out/x"), "big").unwrap();
        }
        let file = |dir: &Scratch| SingleFile::from_path(dir.path().join("out/x")).unwrap();
        assert_eq!(emit(file(&retrieved), &mut places), Source::Retrieved("out/x".into()));
        assert_eq!(emit(file(&sandbox), &mut places), Source::Sandbox("out/x".into()));
        let Source::Sandbox(copy) = emit(file(&elsewhere), &mut places) else { panic!("not copied") };
        assert_eq!(fs::read(sandbox.path().join(copy)).unwrap(), b"big");
        let gone = SingleFile::from_path(retrieved.path().join("out/y")).unwrap().into_node(&mut places);
        assert!(gone.unwrap_err().contains("out/y"));
    }

    #[test]
    fn small_bytes_travel_and_big_ones_become_files() {
        let sandbox = Scratch::new();
        let mut places = Places::new(sandbox.path());
        let small = SingleFile::from_bytes("a", vec![1; INLINE_MAX]).unwrap();
        assert_eq!(emit(small, &mut places), Source::Inline(vec![1; INLINE_MAX]));
        let big = SingleFile::from_bytes("a", vec![1; INLINE_MAX + 1]).unwrap();
        let Source::Sandbox(path) = emit(big, &mut places) else { panic!("not kept") };
        assert_eq!(fs::metadata(sandbox.path().join(path)).unwrap().len() as usize, INLINE_MAX + 1);
    }

    #[test]
    fn an_input_file_goes_out_by_reference() {
        let node = Node {
            uuid: "u1".into(),
            data_type: "file".into(),
            value: SingleFile::body("a.txt"),
            files: [("a.txt".to_owned(), "/store/ab/cd".to_owned())].into(),
        };
        let file = SingleFile::from_node(&node).unwrap();
        assert_eq!(file.file().path(), Some(Path::new("/store/ab/cd")));
        let source = emit(file, &mut Places::default());
        assert_eq!(source, Source::Node { uuid: "u1".into(), path: "a.txt".into() });
        let empty = Node { files: BTreeMap::new(), ..node };
        assert!(SingleFile::from_node(&empty).unwrap_err().contains("expected one file"));
    }

    #[test]
    fn a_folder_holds_what_lies_below_a_directory() {
        let dir = Scratch::new();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/2"), "two").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let mut folder = Folder::from_dir(dir.path()).unwrap();
        folder.add("a/1", FileRef::from_bytes("one")).unwrap();
        assert!(folder.add("../x", FileRef::from_bytes("")).is_err());
        assert_eq!(folder.files().map(|(path, _)| path).collect::<Vec<_>>(), ["a/1", "b/2"]);
        assert_eq!(folder.file("b/2").unwrap().read().unwrap(), b"two");
    }
}
