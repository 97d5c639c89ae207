//! Output ports: what an author's code sets, and where the bytes of its files are.
//!
//! `#[derive(Outputs)]` makes a *draft* beside the struct, with a setter per port. What was set before an exit
//! code or an error happens is kept: a failed parse still shows how far it came.

use std::collections::BTreeMap;

use ferry_plugin_proto::{self as proto, Namespace, NewNode, Outcome, Port};

use crate::{
    error::{Error, Result},
    host::report,
    ports::{
        array::{Array, Arrays},
        file::{Folder, SingleFile},
        node_ref::{Node, node_at},
        output_nodes::OutputNodes,
        places::Places,
        scalars::Json,
    },
};

/// A value that becomes one data node.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't become a data node",
    note = "use a number, `bool`, `String`, `Vec`, `Json<T>`, `SingleFile`, `Folder` or `Array`, or derive `Data` for it"
)]
pub trait IntoNode: Sized {
    /// Returns the data types that it may become; empty: any.
    fn types() -> Vec<String>;

    /// Makes the node. Big files are left in one of the `places`.
    ///
    /// # Errors
    /// Fails with the reason if there can be no such node. The caller adds the port's name.
    fn into_node(self, places: &mut Places) -> Result<NewNode, String>;
}

/// Whatever may be a field of a struct that derives [`Outputs`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an output port",
    note = "use a type that becomes a node (a number, `bool`, `String`, `Vec`, `Json<T>`, `SingleFile`, `Folder`), an \
            `Option` or a `BTreeMap<String, _>` of one, or a struct that derives `Outputs`"
)]
pub trait OutputField: Sized {
    /// Returns the port, as the manifest describes it.
    fn port() -> Port;

    /// Sets the port `name`, or for a namespace the ports below it.
    fn emit(self, name: &str, set: &mut OutputSet);

    /// The same output of a process that ended: one stored node, or several.
    type Nodes: Clone;

    /// Reads it.
    ///
    /// # Errors
    /// Fails if it is not there.
    fn read(nodes: &BTreeMap<String, proto::Node>, name: &str) -> Result<Self::Nodes, String>;
}

/// A value that a setter of a draft accepts: a field's own type, the inner type of an `Option`, or one
/// `(label, value)` of a dynamic namespace.
#[diagnostic::on_unimplemented(message = "an output of type `{Self}` can't be set to `{V}`")]
pub trait Accept<V> {
    /// Sets the port `name` to `value`.
    fn accept(value: V, name: &str, set: &mut OutputSet);
}

/// The output ports of a process type; made by `#[derive(Outputs)]`.
///
/// ```
/// use ferry_plugin::{AnyOutput, Outputs, SingleFile};
/// use std::collections::BTreeMap;
///
/// #[derive(Outputs)]
/// pub struct PwOutputs {
///     /// Total energy, Ry
///     pub energy: f64,
///     pub steps: Option<u32>,
///     pub files: BTreeMap<String, AnyOutput>,
/// }
///
/// fn parse(out: &mut PwOutputsDraft) {
///     out.energy(-15.8).steps(12);
///     out.files(("charge.dat_1", SingleFile::from_bytes("charge.dat", "1 2 3").unwrap()));
/// }
/// assert!(!PwOutputs::namespace().ports["steps"].required);
/// ```
pub trait Outputs: Sized + 'static {
    /// A setter per port.
    type Draft: OutputsDraft;
    /// All of them as stored nodes, for the process's caller.
    type Nodes: OutputNodes;

    /// Returns the ports, as the manifest describes them.
    fn namespace() -> Namespace;

    /// Sets all ports.
    fn emit_all(self, prefix: &str, set: &mut OutputSet);
}

/// The setters that `#[derive(Outputs)]` makes.
pub trait OutputsDraft: Sized {
    /// Makes a draft over a set that may already have outputs.
    fn over(set: OutputSet) -> Self;

    /// Returns the outputs that were set.
    fn into_set(self) -> OutputSet;
}

/// Outputs as they are set.
#[derive(Debug, Default)]
pub struct OutputSet {
    nodes: BTreeMap<String, NewNode>,
    /// Stored nodes that are handed on, by uuid: the outputs of a workflow.
    handed_on: BTreeMap<String, String>,
    /// Outputs that can't be stored: why.
    refused: Vec<String>,
    places: Places,
}

impl OutputSet {
    pub(crate) fn new(places: Places) -> Self {
        OutputSet { places, ..OutputSet::default() }
    }

    /// Sets the port `name`; a second time replaces the first. What can't be stored is refused: it is left out,
    /// and the work ends as excepted, or with its exit code and a line in the report.
    pub fn set(&mut self, name: &str, value: impl IntoNode) {
        match check_label(name).and_then(|()| value.into_node(&mut self.places)).and_then(check_finite) {
            Ok(node) => drop(self.nodes.insert(name.to_owned(), node)),
            Err(message) => self.refused.push(format!("output `{name}` {message}")),
        }
    }

    /// Returns a stored node as the port `name`, which only a workflow may.
    pub(crate) fn hand_on(&mut self, name: &str, uuid: String) {
        match check_label(name) {
            Ok(()) => drop(self.handed_on.insert(name.to_owned(), uuid)),
            Err(message) => self.refused.push(format!("output `{name}` {message}")),
        }
    }

    /// Returns the outputs of a workflow: uuids of stored nodes, by port.
    ///
    /// # Errors
    /// Fails with a list of all outputs that a workflow can't have.
    pub(crate) fn into_handed_on(mut self) -> Result<BTreeMap<String, String>> {
        let made =
            self.nodes.keys().map(|name| format!("output `{name}` is new data, which a workflow can't make"));
        self.refused.extend(made);
        if self.refused.is_empty() { Ok(self.handed_on) } else { Err(self.refused.join("; ").into()) }
    }

    /// Makes the outcome of the work from its result and the outputs that were set.
    pub(crate) fn settle(mut self, result: Result) -> Outcome {
        let stored = self
            .handed_on
            .keys()
            .map(|name| format!("output `{name}` is a stored node; a calculation makes new ones"));
        self.refused.extend(stored);
        let mut outcome = Outcome { outputs: self.nodes, ..Outcome::default() };
        match result.map_err(Error::into_exit) {
            Ok(()) => outcome.exception = (!self.refused.is_empty()).then(|| self.refused.join("; ")),
            Err(Ok(exit)) => {
                outcome.exit = Some(exit);
                // The exit code is more important than the value that was left out.
                self.refused.into_iter().for_each(|line| report(format!("left out: {line}")));
            }
            Err(Err(text)) => outcome.exception = Some(text),
        }
        outcome
    }
}

fn check_finite(node: NewNode) -> Result<NewNode, String> {
    match node.value.find_non_finite().as_deref() {
        None => Ok(node),
        Some("") => {
            Err("is NaN or infinite, which a node can't hold: leave it out, or finish with an exit code"
                .into())
        }
        Some(at) => Err(format!("holds NaN or an infinity at `{at}`, which a node can't hold: leave it out")),
    }
}

/// Labels of links are names, with dots between.
fn check_label(name: &str) -> Result<(), String> {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if name.split('.').all(is_name) {
        return Ok(());
    }
    Err("has no valid name: use letters, digits and `_`, not a digit first, and dots between parts"
        .to_owned())
}

impl<T: IntoNode> OutputField for T {
    type Nodes = Node<T>;

    fn port() -> Port {
        Port { types: T::types(), required: true, ..Port::default() }
    }

    fn read(nodes: &BTreeMap<String, proto::Node>, name: &str) -> Result<Node<T>, String> {
        node_at(nodes, name)
    }

    fn emit(self, name: &str, set: &mut OutputSet) {
        set.set(name, self);
    }
}

impl<T: OutputField> OutputField for Option<T> {
    type Nodes = Option<T::Nodes>;

    fn port() -> Port {
        Port { required: false, ..T::port() }
    }

    fn read(nodes: &BTreeMap<String, proto::Node>, name: &str) -> Result<Self::Nodes, String> {
        let below = format!("{name}.");
        let is_there = nodes.keys().any(|port| port == name || port.starts_with(&below));
        is_there.then(|| T::read(nodes, name)).transpose()
    }

    fn emit(self, name: &str, set: &mut OutputSet) {
        if let Some(value) = self {
            value.emit(name, set);
        }
    }
}

/// A dynamic namespace.
impl<T: OutputField<Nodes = Node<N>>, N: 'static> OutputField for BTreeMap<String, T> {
    type Nodes = BTreeMap<String, Node<N>>;

    fn port() -> Port {
        let namespace = Namespace { ports: BTreeMap::new(), dynamic: Some(T::port().types) };
        Port { namespace: Some(namespace), ..Port::default() }
    }

    fn read(nodes: &BTreeMap<String, proto::Node>, name: &str) -> Result<Self::Nodes, String> {
        let below = format!("{name}.");
        let labels = nodes.keys().filter_map(|port| Some((port, port.strip_prefix(&below)?)));
        labels.map(|(port, label)| Ok((label.to_owned(), node_at(nodes, port)?))).collect()
    }

    fn emit(self, name: &str, set: &mut OutputSet) {
        for (label, value) in self {
            value.emit(&format!("{name}.{label}"), set);
        }
    }
}

impl<T: OutputField> Accept<T> for T {
    fn accept(value: T, name: &str, set: &mut OutputSet) {
        value.emit(name, set);
    }
}

impl<T: OutputField> Accept<T> for Option<T> {
    fn accept(value: T, name: &str, set: &mut OutputSet) {
        value.emit(name, set);
    }
}

impl<L: AsRef<str>, V: Into<T>, T: OutputField> Accept<(L, V)> for BTreeMap<String, T> {
    fn accept((label, value): (L, V), name: &str, set: &mut OutputSet) {
        value.into().emit(&format!("{name}.{}", label.as_ref()), set);
    }
}

/// A value of any type, for namespaces that hold several.
pub struct AnyOutput(Make);

type Make = Box<dyn FnOnce(&mut Places) -> Result<NewNode, String> + Send>;

impl AnyOutput {
    /// Wraps a value.
    pub fn new(value: impl IntoNode + Send + 'static) -> Self {
        AnyOutput(Box::new(move |places| value.into_node(places)))
    }
}

impl std::fmt::Debug for AnyOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnyOutput")
    }
}

impl IntoNode for AnyOutput {
    fn types() -> Vec<String> {
        Vec::new()
    }

    fn into_node(self, places: &mut Places) -> Result<NewNode, String> {
        (self.0)(places)
    }
}

macro_rules! any_output {
    ($($value:ty)+) => {$(
        impl From<$value> for AnyOutput {
            fn from(value: $value) -> Self {
                AnyOutput::new(value)
            }
        }
    )+};
}
any_output! { i8 i16 i32 i64 isize u8 u16 u32 u64 usize f32 f64 bool String SingleFile Folder Array Arrays }

impl<T> From<Json<T>> for AnyOutput
where
    Json<T>: IntoNode + Send + 'static,
{
    fn from(value: Json<T>) -> Self {
        AnyOutput::new(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::exit::ExitCodes;
    use ferry_plugin_proto::Value;

    #[derive(crate::Outputs)]
    struct Inner {
        n: u8,
    }

    #[derive(crate::Outputs)]
    struct All {
        /// Ry
        energy: f64,
        steps: Option<u32>,
        inner: Inner,
        files: BTreeMap<String, AnyOutput>,
    }

    #[derive(crate::ExitCodes)]
    enum Exit {
        #[exit(400, "diverged")]
        Diverged,
    }

    fn settle(set: impl FnOnce(&mut AllDraft) -> Result) -> (Outcome, Vec<String>) {
        report::collect(|| {
            let mut draft = AllDraft::over(OutputSet::default());
            let result = set(&mut draft);
            draft.into_set().settle(result)
        })
    }

    #[test]
    fn a_draft_has_a_setter_per_port() {
        let (outcome, _) = settle(|out| {
            out.energy(-1.5).steps(3).inner(Inner { n: 2 });
            out.files(("a.b", 5)).files((String::from("c"), "text".to_owned()));
            Ok(())
        });
        assert_eq!(outcome.exception, None);
        let names: Vec<&str> = outcome.outputs.keys().map(String::as_str).collect();
        assert_eq!(names, ["energy", "files.a.b", "files.c", "inner.n", "steps"]);
        assert_eq!(outcome.outputs["files.a.b"].value, Value::Int(5));
    }

    #[test]
    fn a_struct_sets_all_its_ports() {
        let all = All { energy: 1.0, steps: None, inner: Inner { n: 1 }, files: BTreeMap::new() };
        let mut set = OutputSet::default();
        all.emit_all("", &mut set);
        assert_eq!(set.nodes.keys().collect::<Vec<_>>(), ["energy", "inner.n"]);
        let ports = All::namespace().ports;
        assert_eq!((&*ports["energy"].help, &*ports["energy"].types), ("Ry", &["float".to_owned()][..]));
        assert!(
            ports["inner"].namespace.is_some()
                && ports["files"].namespace.as_ref().unwrap().dynamic.is_some()
        );
    }

    #[test]
    fn outputs_survive_an_exit_code_and_an_error() {
        let (exit, _) = settle(|out| {
            out.energy(1.0);
            Err(Exit::Diverged)?
        });
        assert_eq!((exit.exit, exit.exception), (Some(Exit::Diverged.exit()), None));
        assert!(exit.outputs.contains_key("energy"));
        let (error, _) = settle(|out| {
            out.energy(1.0);
            Err("no last line")?
        });
        assert_eq!((error.exit, error.exception.as_deref()), (None, Some("no last line")));
        assert!(error.outputs.contains_key("energy"));
    }

    #[test]
    fn nan_is_refused_by_the_name_of_its_port() {
        let (outcome, _) = settle(|out| {
            out.energy(f64::NAN).files(("ok", Json(vec![1.0, f64::INFINITY])));
            Ok(())
        });
        let text = outcome.exception.unwrap();
        assert!(text.contains("output `energy` is NaN or infinite"), "{text}");
        assert!(text.contains("output `files.ok` holds NaN or an infinity at `1`"), "{text}");
        let (outcome, lines) = settle(|out| {
            out.energy(f64::NAN);
            Err(Exit::Diverged)?
        });
        assert_eq!((outcome.exit.unwrap().status, outcome.exception), (400, None));
        assert!(lines[0].starts_with("left out: output `energy`"), "{lines:?}");
    }

    #[test]
    fn labels_are_names() {
        let (outcome, _) = settle(|out| {
            out.files(("a b", 1)).files(("1", 1)).files(("", 1));
            Ok(())
        });
        assert_eq!(outcome.exception.unwrap().matches("no valid name").count(), 3);
    }
}
