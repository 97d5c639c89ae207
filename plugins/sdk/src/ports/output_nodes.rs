//! Outputs of a process that ended, as its caller reads them.

use std::collections::BTreeMap;

use ferry_plugin_proto as proto;

use crate::ports::{
    input::macros::join,
    node_ref::{Node, node_at},
};

/// The name of the output port of a function that returns one value.
pub const RESULT: &str = "result";

/// Outputs of a process that ended, as stored nodes; made by `#[derive(Outputs)]`.
pub trait OutputNodes: Sized + Clone {
    /// Reads all of them.
    ///
    /// # Errors
    /// Fails if a required output is missing: a process that failed may lack any.
    fn read_all(nodes: &BTreeMap<String, proto::Node>, prefix: &str) -> Result<Self, String>;
}

/// The one output of a function that returns a value.
impl<T: 'static> OutputNodes for Node<T> {
    fn read_all(nodes: &BTreeMap<String, proto::Node>, prefix: &str) -> Result<Self, String> {
        node_at(nodes, &join(prefix, RESULT))
    }
}
