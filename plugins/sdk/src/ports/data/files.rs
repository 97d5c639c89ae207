//! Files of a data type: fields that are no part of the body, by path.

use std::collections::BTreeMap;

use ferry_plugin_proto::Node;

use crate::{path, ports::file::FileRef};

/// A field that is kept as a file of the node, or as several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a file of a data type",
    note = "use `FileRef`, `Array`, or an `Option` or a `BTreeMap<String, _>` of either"
)]
pub trait FileField: Sized {
    /// Adds what it is, under `path` or below it.
    ///
    /// # Errors
    /// Fails if the name can't be a path.
    fn put(&self, path: &str, files: &mut DataFiles) -> Result<(), String>;

    /// Reads what lies there.
    ///
    /// # Errors
    /// Fails if it is not there, or not valid.
    fn take(path: &str, files: &DataFiles) -> Result<Self, String>;

    /// Returns whether there are files at `path`.
    fn is_there(path: &str, files: &DataFiles) -> bool;

    /// Returns the names of the entries below `path`.
    fn names(path: &str, files: &DataFiles) -> Vec<String> {
        files.below(path).map(str::to_owned).collect()
    }
}

/// The files of a node, by path.
#[derive(Debug, Clone, Default)]
pub struct DataFiles(pub(super) BTreeMap<String, FileRef>);

impl DataFiles {
    /// Returns the files of a lent node.
    pub(crate) fn of_node(node: &Node) -> Self {
        let file = |(path, local): (&String, &String)| (path.clone(), FileRef::of_node(node, path, local));
        DataFiles(node.files.iter().map(file).collect())
    }

    /// Adds one.
    ///
    /// # Errors
    /// Fails if the path is absolute or has `..`.
    pub fn add(&mut self, path: &str, file: FileRef) -> Result<(), String> {
        self.0.insert(path::relative(path)?, file);
        Ok(())
    }

    /// Returns the file at `path`.
    ///
    /// # Errors
    /// Fails if there is none. Workflows are not lent files.
    pub fn get(&self, path: &str) -> Result<&FileRef, String> {
        self.0.get(path).ok_or_else(|| format!("it has no file `{path}` here"))
    }

    /// Returns all files.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &FileRef)> {
        self.0.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// Returns the names below `path`.
    pub(crate) fn below(&self, path: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{path}/");
        self.0.keys().filter_map(move |name| name.strip_prefix(&prefix))
    }
}

impl FileField for FileRef {
    fn put(&self, path: &str, files: &mut DataFiles) -> Result<(), String> {
        files.add(path, self.clone())
    }

    fn take(path: &str, files: &DataFiles) -> Result<Self, String> {
        files.get(path).cloned()
    }

    fn is_there(path: &str, files: &DataFiles) -> bool {
        files.get(path).is_ok()
    }
}

impl<T: FileField> FileField for Option<T> {
    fn put(&self, path: &str, files: &mut DataFiles) -> Result<(), String> {
        self.as_ref().map_or(Ok(()), |field| field.put(path, files))
    }

    fn take(path: &str, files: &DataFiles) -> Result<Self, String> {
        T::is_there(path, files).then(|| T::take(path, files)).transpose()
    }

    fn is_there(path: &str, files: &DataFiles) -> bool {
        T::is_there(path, files)
    }
}

impl<T: FileField> FileField for BTreeMap<String, T> {
    fn put(&self, path: &str, files: &mut DataFiles) -> Result<(), String> {
        self.iter().try_for_each(|(name, field)| field.put(&format!("{path}/{name}"), files))
    }

    fn take(path: &str, files: &DataFiles) -> Result<Self, String> {
        let names = T::names(path, files).into_iter();
        names.map(|name| T::take(&format!("{path}/{name}"), files).map(|field| (name, field))).collect()
    }

    fn is_there(path: &str, files: &DataFiles) -> bool {
        files.below(path).next().is_some()
    }
}
