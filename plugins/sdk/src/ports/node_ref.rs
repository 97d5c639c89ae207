//! Nodes that are stored already, as workflows hand them on.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use ferry_plugin_proto::{self as proto, CallInput, Port, Range};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    error::{Error, Result},
    ports::{
        input::{PortType, macros::Number},
        lender::Lender,
        output::{OutputField, OutputSet},
    },
};

/// A stored node that holds a `T`. A workflow gets it, passes it to the processes it calls, and returns it.
///
/// It can't be made of a value: data comes from calculations, and a workflow only passes it on.
///
/// ```compile_fail
/// let sum: ferry_plugin::Node<i64> = 5.into();
/// ```
pub struct Node<T> {
    node: proto::Node,
    holds: PhantomData<fn() -> T>,
}

impl<T> Node<T> {
    pub(crate) fn new(node: proto::Node) -> Self {
        Node { node, holds: PhantomData }
    }

    /// Returns its uuid; empty while inputs are validated.
    pub fn uuid(&self) -> &str {
        &self.node.uuid
    }

    /// Returns its data type.
    pub fn data_type(&self) -> &str {
        &self.node.data_type
    }
}

impl<T> Node<T> {
    /// Returns the same node as one that holds a `U`, where its Rust type does not determine this.
    ///
    /// # Errors
    /// Fails if it is of another data type.
    pub fn cast<U: PortType>(&self) -> Result<Node<U>> {
        Node::from_node(&self.node).map_err(Error::from)
    }
}

impl<T: PortType> Node<T> {
    /// Returns the value. Workflows are not lent files, so they can't read a `T` that is made of files.
    ///
    /// # Errors
    /// Fails if the node does not fit the type.
    pub fn value(&self) -> Result<T> {
        T::from_node(&self.node).map_err(Error::from)
    }
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        Node::new(self.node.clone())
    }
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.node).finish()
    }
}

/// Two nodes are equal if they have the same uuid.
impl<T> PartialEq for Node<T> {
    fn eq(&self, other: &Self) -> bool {
        self.node.uuid == other.node.uuid
    }
}

impl<T> Serialize for Node<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.node.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Node<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        proto::Node::deserialize(deserializer).map(Node::new)
    }
}

impl<T: PortType> PortType for Node<T> {
    fn types() -> Vec<String> {
        T::types()
    }

    fn range() -> Option<Range> {
        T::range()
    }

    fn from_node(node: &proto::Node) -> Result<Self, String> {
        let types = T::types();
        if types.is_empty() || types.contains(&node.data_type) {
            return Ok(Node::new(node.clone()));
        }
        Err(format!("expected a node of type {}, found one of type `{}`", types.join(" or "), node.data_type))
    }

    fn lend(&self, _: &mut Lender) -> proto::Node {
        self.node.clone()
    }

    fn given(&self) -> Result<CallInput, String> {
        Ok(CallInput::Node(self.node.uuid.clone()))
    }
}

impl<T: Number> Number for Node<T> {}

impl<T: PortType> OutputField for Node<T> {
    type Nodes = Node<T>;

    fn port() -> Port {
        Port { types: T::types(), required: true, ..Port::default() }
    }

    fn emit(self, name: &str, set: &mut OutputSet) {
        set.hand_on(name, self.node.uuid);
    }

    fn read(nodes: &BTreeMap<String, proto::Node>, name: &str) -> Result<Self, String> {
        node_at(nodes, name)
    }
}

/// Returns the output `name` of a process that ended.
pub(crate) fn node_at<T>(nodes: &BTreeMap<String, proto::Node>, name: &str) -> Result<Node<T>, String> {
    let node = nodes.get(name).ok_or_else(|| format!("it has no output `{name}`"))?;
    Ok(Node::new(node.clone()))
}

/// Output fields that are stored nodes throughout: the only ones that a workflow may have.
#[diagnostic::on_unimplemented(
    message = "a workflow can't make data: `{Self}` is no stored node",
    note = "return `Node<T>`s that it was given or that processes it called have made, or an `Option` or \
            `BTreeMap<String, _>` of them; a value is made by a calcfunction"
)]
pub trait Stored {}

/// [`Stored`] for any lifetime: a bound that may fail to hold without being an error.
#[doc(hidden)]
pub trait StoredFor<'any> {}

impl<T: Stored> StoredFor<'_> for T {}

impl<T> Stored for Node<T> {}
impl<T: Stored> Stored for Option<T> {}
impl<T: Stored> Stored for BTreeMap<String, T> {}
