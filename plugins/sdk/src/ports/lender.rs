//! The engine's part towards a port: it lends nodes. For tests, and for defaults and inputs of calls.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ferry_plugin_proto::{CallInput, Node, Value};

use crate::ports::{file::FileRef, input::PortType, node::Code};

/// Plays the role of the engine that lends nodes: gives them uuids and puts their files somewhere.
#[derive(Debug)]
pub struct Lender {
    dir: Option<PathBuf>,
    lent: u32,
}

impl Lender {
    /// Makes one that has no place for files, for values without any.
    pub(crate) fn nowhere() -> Self {
        Lender { dir: None, lent: 0 }
    }

    pub(crate) fn at(dir: &Path) -> Self {
        Lender { dir: Some(dir.to_owned()), lent: 0 }
    }

    /// Returns whether the lender gave this uuid to its last node. False if the node kept its own.
    pub(crate) fn is_fresh(&self, uuid: &str) -> bool {
        self.lent > 0 && uuid == format!("node-{}", self.lent)
    }

    /// Returns a node without files.
    pub fn lend_as(&mut self, data_type: &str, value: Value) -> Node {
        self.lent += 1;
        Node {
            uuid: format!("node-{}", self.lent),
            data_type: data_type.to_owned(),
            value,
            files: BTreeMap::new(),
        }
    }

    /// Lends the input that a port was given.
    pub(crate) fn lend_input(&mut self, input: &CallInput) -> Node {
        match input {
            CallInput::New(new) => self.lend_as(&new.data_type, new.value.clone()),
            CallInput::Node(uuid) => Node { uuid: uuid.clone(), ..Node::default() },
            CallInput::Code(label) => Code::stand_in(label).lend(self),
        }
    }

    /// Returns a node with files, by path.
    pub fn lend_files<'a>(
        &mut self,
        data_type: &str,
        value: Value,
        files: impl IntoIterator<Item = (&'a str, &'a FileRef)>,
    ) -> Node {
        let mut node = self.lend_as(data_type, value);
        for (path, file) in files {
            let local = self.put(&node.uuid, path, file);
            node.files.insert(path.to_owned(), local.to_string_lossy().into_owned());
        }
        node
    }

    /// Puts a file below the folder. A file that is on disk already stays where it is.
    fn put(&self, uuid: &str, path: &str, file: &FileRef) -> PathBuf {
        if let Some(path) = file.path() {
            return path.to_owned();
        }
        let Some(dir) = &self.dir else { return PathBuf::new() };
        let target = dir.join(uuid).join(path);
        let parent = target.parent().unwrap_or(dir);
        let made = fs::create_dir_all(parent).and_then(|()| fs::write(&target, file.read()?));
        made.unwrap_or_else(|error| panic!("can't lend `{path}` at {}: {error}", target.display()));
        target
    }
}
