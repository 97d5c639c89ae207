//! Data types: the declarations of a plugin, and the requests about their nodes and files.
//!
//! A data type belongs to its name: any plugin that declares it can read and convert its nodes, whatever
//! plugin made them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{NewFile, NewNode, Node, Value};

/// Key, in a body, of the version of its data type. Bodies without it are of version 1.
pub const VERSION_KEY: &str = "_version";

/// One data type, as a plugin declares it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DataType {
    /// Full name, `library.type`.
    pub name: String,
    /// Version of the bodies that the plugin makes.
    pub version: u32,
    /// Its documentation; the first line is the summary.
    #[serde(default)]
    pub doc: String,
    /// JSON schema of a body of this version. A schema never changes within a version.
    #[serde(default)]
    pub schema: Value,
    /// Older versions that the plugin reads too.
    #[serde(default)]
    pub upgrades: Vec<u32>,
    /// File formats that it can be read from; each is also a file name's ending.
    #[serde(default)]
    pub reads: Vec<String>,
    /// File formats that it can be written to.
    #[serde(default)]
    pub writes: Vec<String>,
}

/// Request of `method::READ_DATA`: a file becomes a node. Replies [`DataReply`]: `Node`, or `Refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadData {
    /// Full name of the data type.
    pub data_type: String,
    /// One of the formats that it is read from.
    pub format: String,
    /// Name of the file, for messages.
    pub name: String,
    /// Absolute path at which it can be read for this call.
    pub path: String,
    /// An empty directory of its own; the node may name files in it.
    pub sandbox: String,
}

/// Request of `method::MIGRATE`: something stored takes another form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Migrate {
    /// A data node. Replies [`DataReply`]: `Node` or `File`, or `Refused`.
    Data {
        /// The node, its files lent.
        node: Node,
        /// The file format that is wanted; `None`: a body of the version that the plugin declares.
        #[serde(default)]
        format: Option<String>,
        /// An empty directory of its own; the reply may name files in it.
        sandbox: String,
    },
}

/// Request of `method::CHECK`: is this right? Replies `Validated`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Data nodes of types that the plugin declares, by port, their files lent.
    Data(BTreeMap<String, Node>),
}

/// Reply to `method::READ_DATA` and to `method::MIGRATE` of data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataReply {
    /// The node.
    Node(NewNode),
    /// The file, under a name that fits it.
    File(NewFile),
    /// Something is wrong with what was given: where and what.
    Refused(String),
}
