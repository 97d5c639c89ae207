//! Input ports of another plugin's type whose data types have no Rust type here: they are given anything.

use std::{collections::BTreeMap, ops::Deref};

use ferry_plugin_proto::{CallInput, Inputs as Nodes, Namespace, Port};

use crate::ports::{
    given::{Fill, Ports},
    input::{InputField, NoLeaf, PortType, macros::join},
    lender::Lender,
    node::AnyNode,
    node_ref::Node,
    problems::Problems,
};

/// A port of a stub that [`interface!`](crate::interface) made. It takes a value of any port type, or any
/// node. The value is checked when the process is launched.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyInput(pub AnyNode);

impl Deref for AnyInput {
    type Target = AnyNode;

    fn deref(&self) -> &AnyNode {
        &self.0
    }
}

impl InputField for AnyInput {
    type Leaf = NoLeaf;
    type Judged = Self;

    fn port() -> Port {
        Port { required: true, ..Port::default() }
    }

    fn read(nodes: &Nodes, name: &str, bad: &mut Problems) -> Option<Self> {
        AnyNode::read(nodes, name, bad).map(AnyInput)
    }

    fn lend(&self, name: &str, lender: &mut Lender, nodes: &mut Nodes) {
        InputField::lend(&self.0, name, lender, nodes);
    }

    fn judged(&self) -> Option<&Self> {
        Some(self)
    }
}

/// A dynamic namespace of such ports.
impl InputField for BTreeMap<String, AnyInput> {
    type Leaf = NoLeaf;
    type Judged = Self;

    fn port() -> Port {
        let namespace = Namespace { ports: BTreeMap::new(), dynamic: Some(Vec::new()) };
        Port { namespace: Some(namespace), ..Port::default() }
    }

    fn read(nodes: &Nodes, name: &str, _: &mut Problems) -> Option<Self> {
        let below = format!("{name}.");
        let labels = nodes.iter().filter_map(|(port, node)| Some((port.strip_prefix(&below)?, node)));
        Some(labels.map(|(label, node)| (label.to_owned(), AnyInput(node.clone().into()))).collect())
    }

    fn lend(&self, name: &str, lender: &mut Lender, nodes: &mut Nodes) {
        for (label, field) in self {
            InputField::lend(field, &join(name, label), lender, nodes);
        }
    }

    fn judged(&self) -> Option<&Self> {
        Some(self)
    }
}

impl<V: PortType> Fill<V> for AnyInput {
    fn fill(value: V, name: &str, ports: &mut Ports) {
        ports.give(name, value.given());
    }
}

impl<T> Fill<&Node<T>> for AnyInput {
    fn fill(node: &Node<T>, name: &str, ports: &mut Ports) {
        ports.give(name, Ok(CallInput::Node(node.uuid().to_owned())));
    }
}

impl Fill<&str> for AnyInput {
    fn fill(text: &str, name: &str, ports: &mut Ports) {
        ports.give(name, text.to_owned().given());
    }
}

impl<V> Fill<V> for Option<AnyInput>
where
    AnyInput: Fill<V>,
{
    fn fill(value: V, name: &str, ports: &mut Ports) {
        AnyInput::fill(value, name, ports);
    }
}

impl<L: AsRef<str>, V> Fill<(L, V)> for BTreeMap<String, AnyInput>
where
    AnyInput: Fill<V>,
{
    fn fill((label, value): (L, V), name: &str, ports: &mut Ports) {
        AnyInput::fill(value, &join(name, label.as_ref()), ports);
    }
}
