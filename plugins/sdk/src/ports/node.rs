//! Ports of things that live on a computer (codes, remote folders), and of nodes of any type.

use std::{collections::BTreeMap, path::PathBuf};

use ferry_plugin_proto::{Node, Value};

use crate::ports::{input::PortType, lender::Lender};

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A `code` node: a program on a computer.
#[derive(Debug, Clone, PartialEq)]
pub struct Code {
    /// The node.
    pub uuid: String,
    /// Its label, `pw` of `pw@daint`.
    pub label: String,
    /// The computer's label.
    pub computer: String,
    /// Absolute path of the program.
    pub executable: String,
    /// Everything else that is known of it.
    pub value: Value,
}

impl Code {
    /// Makes a code of the label `pw@localhost` that no store knows.
    pub(crate) fn stand_in(label: &str) -> Code {
        let (name, computer) = label.split_once('@').unwrap_or((label, "localhost"));
        let executable = format!("/usr/bin/{name}");
        let body = [("label", name), ("computer", computer), ("filepath_executable", &executable)];
        let value = Value::Map(body.map(|(key, text)| (key.to_owned(), Value::from(text))).into());
        Code {
            uuid: format!("code-{name}"),
            label: name.to_owned(),
            computer: computer.to_owned(),
            executable,
            value,
        }
    }
}

impl PortType for Code {
    fn types() -> Vec<String> {
        vec!["code".to_owned()]
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        if node.data_type != "code" {
            return Err(format!("expected a code, found a node of type `{}`", node.data_type));
        }
        Ok(Code {
            uuid: node.uuid.clone(),
            label: text(&node.value, "label"),
            computer: text(&node.value, "computer"),
            executable: text(&node.value, "filepath_executable"),
            value: node.value.clone(),
        })
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        Node { uuid: self.uuid.clone(), ..lender.lend_as("code", self.value.clone()) }
    }
}

/// A `remote_folder` node: a directory that stays on its computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFolder {
    /// The node.
    pub uuid: String,
    /// The computer's label.
    pub computer: String,
    /// Absolute path there.
    pub path: String,
}

impl RemoteFolder {
    /// Returns a place inside it.
    pub fn join(&self, path: &str) -> RemotePath {
        RemotePath { node: self.uuid.clone(), path: path.to_owned() }
    }
}

impl PortType for RemoteFolder {
    fn types() -> Vec<String> {
        vec!["remote_folder".to_owned()]
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        if node.data_type != "remote_folder" {
            return Err(format!("expected a remote folder, found a node of type `{}`", node.data_type));
        }
        Ok(RemoteFolder {
            uuid: node.uuid.clone(),
            computer: text(&node.value, "computer"),
            path: text(&node.value, "path"),
        })
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        let body = [("computer", &self.computer), ("path", &self.path)];
        let value = body.map(|(key, text)| (key.to_owned(), Value::from(text.clone())));
        Node { uuid: self.uuid.clone(), ..lender.lend_as("remote_folder", Value::Map(value.into())) }
    }
}

/// A `remote_stash` node: what a calculation put aside on its computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteStash {
    /// The node.
    pub uuid: String,
    /// The computer's label.
    pub computer: String,
    /// Absolute path there: of a directory, or of an archive.
    pub path: String,
    /// `copy`, or how the archive is packed: `tar`, `tar.gz`, ...
    pub stash_mode: String,
}

impl RemoteStash {
    /// Returns a place in a stash of copies.
    pub fn join(&self, path: &str) -> RemotePath {
        RemotePath { node: self.uuid.clone(), path: path.to_owned() }
    }
}

impl PortType for RemoteStash {
    fn types() -> Vec<String> {
        vec!["remote_stash".to_owned()]
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        if node.data_type != "remote_stash" {
            return Err(format!("expected a stash, found a node of type `{}`", node.data_type));
        }
        let [computer, path, stash_mode] =
            ["computer", "path", "stash_mode"].map(|key| text(&node.value, key));
        Ok(RemoteStash { uuid: node.uuid.clone(), computer, path, stash_mode })
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        let body = [("computer", &self.computer), ("path", &self.path), ("stash_mode", &self.stash_mode)];
        let value = body.map(|(key, text)| (key.to_owned(), Value::from(text.clone())));
        Node { uuid: self.uuid.clone(), ..lender.lend_as("remote_stash", Value::Map(value.into())) }
    }
}

/// A place inside a remote folder; an empty path is the folder itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePath {
    pub(crate) node: String,
    pub(crate) path: String,
}

impl From<&RemoteFolder> for RemotePath {
    fn from(folder: &RemoteFolder) -> Self {
        folder.join("")
    }
}

/// A node of any data type, as the engine lends it.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyNode {
    /// Its uuid; empty while inputs are validated.
    pub uuid: String,
    /// Its data type.
    pub data_type: String,
    /// Its body.
    pub value: Value,
    /// Its files: path inside the node -> where it can be read during this call.
    pub files: BTreeMap<String, PathBuf>,
}

impl AnyNode {
    /// Reads it as a port type: `node.get::<SingleFile>()`.
    ///
    /// # Errors
    /// Fails if the node does not fit the type, with the reason.
    pub fn get<T: PortType>(&self) -> Result<T, String> {
        T::from_node(&self.to_node())
    }

    fn to_node(&self) -> Node {
        let file = |(path, local): (&String, &PathBuf)| (path.clone(), local.to_string_lossy().into_owned());
        Node {
            uuid: self.uuid.clone(),
            data_type: self.data_type.clone(),
            value: self.value.clone(),
            files: self.files.iter().map(file).collect(),
        }
    }
}

impl From<Node> for AnyNode {
    fn from(node: Node) -> Self {
        let files = node.files.into_iter().map(|(path, local)| (path, local.into())).collect();
        AnyNode { uuid: node.uuid, data_type: node.data_type, value: node.value, files }
    }
}

impl PortType for AnyNode {
    fn types() -> Vec<String> {
        Vec::new()
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        Ok(node.clone().into())
    }

    fn lend(&self, _: &mut Lender) -> Node {
        self.to_node()
    }
}
