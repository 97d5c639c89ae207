//! Inputs as a caller gives them: a new value or a stored node for each port, and the setters that do so.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use ferry_plugin_proto::CallInput;
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    ports::{
        input::{PortType, macros::join},
        node_ref::Node,
    },
};

/// The input for a port of type `T`: a new value, or a stored node.
#[derive(Debug, Clone)]
pub struct Given<T> {
    input: Result<CallInput, String>,
    port: PhantomData<fn() -> T>,
}

impl<T> Given<T> {
    fn new(input: Result<CallInput, String>) -> Self {
        Given { input, port: PhantomData }
    }
}

impl<T: PortType> From<T> for Given<T> {
    fn from(value: T) -> Self {
        Given::new(value.given())
    }
}

impl From<&str> for Given<String> {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<T> From<Node<T>> for Given<T> {
    fn from(node: Node<T>) -> Self {
        Given::from(&node)
    }
}

impl<T> From<&Node<T>> for Given<T> {
    fn from(node: &Node<T>) -> Self {
        Given::new(Ok(CallInput::Node(node.uuid().to_owned())))
    }
}

/// A port that is read as a node is given like one that is read as its value.
impl<T: PortType> From<T> for Given<Node<T>> {
    fn from(value: T) -> Self {
        Given::new(value.given())
    }
}

impl From<&str> for Given<Node<String>> {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<T> From<&Node<T>> for Given<Node<T>> {
    fn from(node: &Node<T>) -> Self {
        Given::new(Ok(CallInput::Node(node.uuid().to_owned())))
    }
}

/// A value that a setter of an inputs' draft accepts: a value of the field's type or a [`Node`] of it, one
/// `(label, value)` of a dynamic namespace, or the draft of a nested one.
#[diagnostic::on_unimplemented(message = "an input of type `{Self}` can't be given `{V}`")]
pub trait Fill<V> {
    /// Gives the port `name`.
    fn fill(value: V, name: &str, ports: &mut Ports);
}

impl<T: PortType, V: Into<Given<T>>> Fill<V> for T {
    fn fill(value: V, name: &str, ports: &mut Ports) {
        ports.give(name, value.into().input);
    }
}

impl<T: PortType, V: Into<Given<T>>> Fill<V> for Option<T> {
    fn fill(value: V, name: &str, ports: &mut Ports) {
        ports.give(name, value.into().input);
    }
}

impl<L: AsRef<str>, V: Into<Given<T>>, T: PortType> Fill<(L, V)> for BTreeMap<String, T> {
    fn fill((label, value): (L, V), name: &str, ports: &mut Ports) {
        ports.give(&join(name, label.as_ref()), value.into().input);
    }
}

/// Ports that were given, by dotted name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ports {
    given: BTreeMap<String, CallInput>,
    /// Ports that could not be given, each with the reason.
    #[serde(default)]
    wrong: BTreeMap<String, String>,
}

impl Ports {
    /// Gives a port; a second time replaces the first.
    pub fn give(&mut self, name: &str, input: Result<CallInput, String>) {
        self.clear(name);
        match input {
            Ok(input) => drop(self.given.insert(name.to_owned(), input)),
            Err(why) => drop(self.wrong.insert(name.to_owned(), why)),
        }
    }

    /// Takes back what a port, or all below it, was given.
    pub fn clear(&mut self, name: &str) {
        let below = format!("{name}.");
        let stays = |given: &String| given != name && !given.starts_with(&below);
        self.given.retain(|given, _| stays(given));
        self.wrong.retain(|given, _| stays(given));
    }

    /// Adds all of another draft's ports below `name`.
    pub fn nest(&mut self, name: &str, inner: Ports) {
        self.given.extend(inner.given.into_iter().map(|(port, input)| (join(name, &port), input)));
        self.wrong.extend(inner.wrong.into_iter().map(|(port, why)| (join(name, &port), why)));
    }

    /// Returns the inputs given so far, by dotted port.
    pub fn given(&self) -> &BTreeMap<String, CallInput> {
        &self.given
    }

    pub(crate) fn into_given(self) -> Result<BTreeMap<String, CallInput>> {
        if self.wrong.is_empty() {
            return Ok(self.given);
        }
        let told: Vec<String> = self.wrong.iter().map(|(port, why)| format!("{port}: {why}")).collect();
        Err(told.join("; ").into())
    }
}

/// The setters that `#[derive(Inputs)]` makes beside the struct.
pub trait InputsDraft: Default + Clone + fmt::Debug {
    /// Makes a draft of these ports.
    fn over(ports: Ports) -> Self;

    /// Returns the inputs given so far.
    fn ports(&self) -> &Ports;

    /// Returns the same ports, for changes.
    fn ports_mut(&mut self) -> &mut Ports;

    /// Returns the inputs that were given.
    fn into_ports(self) -> Ports;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_replaced_and_taken_back() {
        let mut ports = Ports::default();
        let node = |uuid: &str| Ok(CallInput::Node(uuid.to_owned()));
        ports.give("a", Err("no".into()));
        ports.give("a", node("1"));
        ports.give("b.c", node("2"));
        ports.give("bc", node("3"));
        ports.clear("b");
        assert_eq!(ports.into_given().unwrap().into_keys().collect::<Vec<_>>(), ["a", "bc"]);
    }
}
