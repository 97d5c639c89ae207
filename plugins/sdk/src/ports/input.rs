//! Input ports: the conversion of fields of an author's struct into ports, and of nodes into fields.
//!
//! Three traits, so that the macros never look at the name of a type:
//! - [`PortType`]: a value that one node holds (`i64`, [`SingleFile`](crate::SingleFile), an author's own);
//! - [`InputField`]: any type of a field: a port type, an `Option` of a field, a map of port types, or a
//!   struct that derives `Inputs`;
//! - [`Inputs`]: such a struct.

pub(crate) mod validators;

use std::collections::BTreeMap;

use ferry_plugin_proto::{CallInput, Inputs as Nodes, Namespace, NewNode, Node, Port, Range, Value};

use crate::ports::{given::InputsDraft, lender::Lender, problems::Problems};

/// A value that one data node holds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type that a data node can hold",
    note = "use a number, `bool`, `String`, `Vec`, `Json<T>`, `SingleFile`, `Folder`, `RemoteFolder`, `Code` or `AnyNode`, \
            `Array`, or derive `Data` for it"
)]
pub trait PortType: Sized {
    /// Returns the data types it can be read from; empty: any.
    fn types() -> Vec<String>;

    /// Bounds that the type itself sets.
    fn range() -> Option<Range> {
        None
    }

    /// Reads it from a node.
    ///
    /// # Errors
    /// Fails with the problem of the node. The caller adds the port's name.
    fn from_node(node: &Node) -> Result<Self, String>;

    /// Makes the node as the engine would lend it, for tests and for the defaults of ports.
    fn lend(&self, lender: &mut Lender) -> Node;

    /// Returns the input for a call of a process: a stored node, or a new one.
    ///
    /// # Errors
    /// Fails with the reason if it can't be given. The caller adds the port's name.
    fn given(&self) -> Result<CallInput, String> {
        let mut lender = Lender::nowhere();
        let Node { uuid, data_type, value, files } = self.lend(&mut lender);
        match lender.is_fresh(&uuid) {
            false => Ok(CallInput::Node(uuid)),
            true if files.is_empty() => Ok(CallInput::New(NewNode { data_type, value, files: Vec::new() })),
            true => Err("has files, which a step can't read: give a stored node".to_owned()),
        }
    }
}

/// Whatever may be a field of a struct that derives [`Inputs`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an input port",
    note = "use a port type (a number, `bool`, `String`, `Vec`, `Json<T>`, `SingleFile`, ...), an `Option` or a \
            `BTreeMap<String, _>` of one, or a struct that derives `Inputs`"
)]
pub trait InputField: Sized {
    /// The type of a default or a choice of this port.
    type Leaf;
    /// The type that a validator of this port is given. For an optional port, it is the inner type.
    type Judged;

    /// Returns the port, as the manifest describes it.
    fn port() -> Port;

    /// Reads the field from the nodes at `name` and, for a namespace, below it.
    /// `None` after a problem was noted.
    fn read(nodes: &Nodes, name: &str, bad: &mut Problems) -> Option<Self>;

    /// Adds the field's nodes: the inverse of `read`, for tests.
    fn lend(&self, name: &str, lender: &mut Lender, nodes: &mut Nodes);

    /// Returns the value for a validator; `None` if nothing was given.
    fn judged(&self) -> Option<&Self::Judged>;

    /// Runs the validators below this port. For exposed ports, it also runs their own process's validators.
    fn judge(nodes: &Nodes, name: &str, bad: &mut Problems) {
        let _ = (nodes, name, bad);
    }
}

/// The input ports of a process type; made by `#[derive(Inputs)]`.
///
/// ```
/// use ferry_plugin::{Code, Inputs, Json, SingleFile};
/// use std::collections::BTreeMap;
///
/// #[derive(Inputs)]
/// pub struct Mesh { pub n: u32 }
///
/// #[derive(Inputs)]
/// pub struct PwInputs {
///     pub code: Code,
///     /// Plane-wave cut-off, Ry
///     #[port(default = 40.0, range(5.0..))]
///     pub ecut: f64,
///     #[port(choices("cg", "davidson"), help = "How the eigenstates are found")]
///     pub solver: Option<String>,
///     pub mesh: Mesh,
///     pub pseudos: BTreeMap<String, SingleFile>,
///     pub settings: Option<Json<BTreeMap<String, f64>>>,
/// }
///
/// let ports = PwInputs::namespace().ports;
/// assert_eq!(ports["ecut"].help, "Plane-wave cut-off, Ry");
/// assert!(!ports["ecut"].required && ports["code"].required);
/// assert_eq!(ports["settings"].types, ["dict"]);
/// assert!(ports["mesh"].namespace.is_some());
/// ```
///
/// A range belongs to a number, and a default to the port's type:
///
/// ```compile_fail
/// #[derive(ferry_plugin::Inputs)]
/// pub struct I { #[port(range(0..))] pub name: String }
/// ```
/// ```compile_fail
/// #[derive(ferry_plugin::Inputs)]
/// pub struct I { #[port(default = "forty")] pub ecut: f64 }
/// ```
pub trait Inputs: Sized + 'static {
    /// The draft, with a setter per port, for the process's callers.
    type Draft: InputsDraft;

    /// Returns the ports, as the manifest describes them.
    fn namespace() -> Namespace;

    /// Reads all fields. `None` after at least one problem was noted.
    fn read_all(nodes: &Nodes, prefix: &str, bad: &mut Problems) -> Option<Self>;

    /// Adds all nodes: the inverse of reading, for tests.
    fn lend_all(&self, prefix: &str, lender: &mut Lender, nodes: &mut Nodes);

    /// Calls [`InputField::judge`] of all fields, and their validators. Each field that can be read is
    /// checked, even if others are wrong.
    fn judge_all(nodes: &Nodes, prefix: &str, bad: &mut Problems) {
        let _ = (nodes, prefix, bad);
    }
}

impl<T: PortType> InputField for T {
    type Leaf = T;
    type Judged = T;

    fn judged(&self) -> Option<&T> {
        Some(self)
    }

    fn port() -> Port {
        Port { types: T::types(), required: true, range: T::range(), ..Port::default() }
    }

    fn read(nodes: &Nodes, name: &str, bad: &mut Problems) -> Option<Self> {
        let Some(node) = nodes.get(name) else {
            bad.at(name, "is required");
            return None;
        };
        T::from_node(node).map_err(|message| bad.at(name, message)).ok()
    }

    fn lend(&self, name: &str, lender: &mut Lender, nodes: &mut Nodes) {
        nodes.insert(name.to_owned(), PortType::lend(self, lender));
    }
}

impl<T: InputField> InputField for Option<T> {
    type Leaf = T::Leaf;
    type Judged = T::Judged;

    fn judged(&self) -> Option<&T::Judged> {
        self.as_ref().and_then(T::judged)
    }

    fn port() -> Port {
        Port { required: false, ..T::port() }
    }

    fn read(nodes: &Nodes, name: &str, bad: &mut Problems) -> Option<Self> {
        if is_given(nodes, name) { T::read(nodes, name, bad).map(Some) } else { Some(None) }
    }

    fn lend(&self, name: &str, lender: &mut Lender, nodes: &mut Nodes) {
        if let Some(field) = self {
            field.lend(name, lender, nodes);
        }
    }

    fn judge(nodes: &Nodes, name: &str, bad: &mut Problems) {
        if is_given(nodes, name) {
            T::judge(nodes, name, bad);
        }
    }
}

/// A dynamic namespace: any names, dotted ones too.
impl<T: PortType> InputField for BTreeMap<String, T> {
    type Leaf = NoLeaf;
    type Judged = Self;

    fn judged(&self) -> Option<&Self> {
        Some(self)
    }

    fn port() -> Port {
        let namespace = Namespace { ports: BTreeMap::new(), dynamic: Some(T::types()) };
        Port { namespace: Some(namespace), ..Port::default() }
    }

    fn read(nodes: &Nodes, name: &str, bad: &mut Problems) -> Option<Self> {
        let mut fields = BTreeMap::new();
        let mut fine = true;
        for (full, label) in below(nodes, name) {
            match T::read(nodes, full, bad) {
                Some(field) => drop(fields.insert(label.to_owned(), field)),
                None => fine = false,
            }
        }
        fine.then_some(fields)
    }

    fn lend(&self, name: &str, lender: &mut Lender, nodes: &mut Nodes) {
        for (label, field) in self {
            InputField::lend(field, &format!("{name}.{label}"), lender, nodes);
        }
    }
}

/// Stands where a namespace would need one value: a namespace has no default and no choices.
#[derive(Debug)]
pub enum NoLeaf {}

/// Returns the names below the namespace `name`, in full and without its prefix.
fn below<'a>(nodes: &'a Nodes, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let prefix = format!("{name}.");
    nodes.keys().filter_map(move |full| Some((full.as_str(), full.strip_prefix(&prefix)?)))
}

fn is_given(nodes: &Nodes, name: &str) -> bool {
    nodes.contains_key(name) || below(nodes, name).next().is_some()
}

/// Reads the inputs of a process.
///
/// # Errors
/// Fails with all problems: unknown names, missing ones, values of a wrong type.
pub(crate) fn read_inputs<I: Inputs>(nodes: &Nodes) -> Result<I, Problems> {
    let mut bad = Problems::default();
    let namespace = I::namespace();
    for name in nodes.keys() {
        if let Err(message) = check_name(&namespace, name) {
            bad.at(name, message);
        }
    }
    match I::read_all(nodes, "", &mut bad) {
        Some(inputs) if bad.is_empty() => Ok(inputs),
        _ => Err(bad),
    }
}

/// Makes the error text for inputs that should have been refused before.
pub(crate) fn unreadable(bad: Problems) -> String {
    format!("the inputs can't be read: {bad}")
}

/// Checks that a namespace has a port with the dotted `name`.
pub(crate) fn check_name(namespace: &Namespace, name: &str) -> Result<(), String> {
    let (first, rest) = name.split_once('.').unwrap_or((name, ""));
    match namespace.ports.get(first) {
        Some(Port { namespace: Some(inner), .. }) if !rest.is_empty() => check_name(inner, rest),
        Some(Port { namespace: Some(_), .. }) => Err("is a namespace: give the ports inside it".to_owned()),
        Some(_) if rest.is_empty() => Ok(()),
        _ if namespace.dynamic.is_some() => Ok(()),
        _ => {
            let known: Vec<&str> = namespace.ports.keys().map(String::as_str).collect();
            Err(format!("there is no such port; the ports are: {}", known.join(", ")))
        }
    }
}

/// Functions that the macros' output calls.
pub(crate) mod macros {
    use super::*;

    /// Port types that a range makes sense for.
    #[diagnostic::on_unimplemented(message = "a range needs a number, and `{Self}` is none")]
    pub trait Number {}

    /// Does not compile for a range on something that is no number.
    pub const fn assert_number<T: InputField>()
    where
        T::Leaf: Number,
    {
    }

    /// Joins the name of a namespace and of a port in it.
    pub fn join(prefix: &str, name: &str) -> String {
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
    }

    /// Returns the body of a default or a choice.
    pub fn body<T: PortType>(leaf: T) -> Value {
        leaf.lend(&mut Lender::nowhere()).value
    }

    /// Makes a namespace without some of its ports, by dotted names. If `include` names any, only these stay.
    ///
    /// # Panics
    /// When the manifest is made, if there is no port of such a name.
    pub fn choose(port: Port, include: &[&str], exclude: &[&str]) -> Port {
        let Some(mut namespace) = port.namespace else {
            panic!("`include` and `exclude` choose ports of a namespace, and this is none");
        };
        if !include.is_empty() {
            let mut kept = Namespace { dynamic: namespace.dynamic.clone(), ..Namespace::default() };
            include.iter().for_each(|name| move_port(&mut namespace, &mut kept, name));
            namespace = kept;
        }
        let mut dropped = Namespace::default();
        exclude.iter().for_each(|name| move_port(&mut namespace, &mut dropped, name));
        Port { help: port.help, ..namespace_port(namespace) }
    }

    fn move_port(from: &mut Namespace, to: &mut Namespace, name: &str) {
        match name.split_once('.') {
            None => {
                let port = from.ports.remove(name);
                let port = port.unwrap_or_else(|| panic!("there is no port `{name}` to include or exclude"));
                to.ports.insert(name.to_owned(), port);
            }
            Some((first, rest)) => {
                let Some(Port { namespace: Some(inner), required, .. }) = from.ports.get_mut(first) else {
                    panic!("there is no namespace `{first}` to choose ports of");
                };
                let outer =
                    to.ports.entry(first.to_owned()).or_insert_with(|| namespace_port(Namespace::default()));
                move_port(inner, outer.namespace.get_or_insert_default(), rest);
                *required = any_required(inner);
                outer.required = outer.namespace.as_ref().is_some_and(any_required);
            }
        }
    }

    fn any_required(namespace: &Namespace) -> bool {
        namespace.ports.values().any(|port| port.required)
    }

    /// Makes a namespace as a port: required if anything in it is.
    pub fn namespace_port(namespace: Namespace) -> Port {
        Port { required: any_required(&namespace), namespace: Some(namespace), ..Port::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ports::{node::AnyNode, scalars::Json},
        testing,
    };

    #[derive(crate::Inputs, Debug, PartialEq)]
    struct Mesh {
        n: u32,
        shift: Option<f64>,
    }

    /// Everything that a field can be.
    #[derive(crate::Inputs, Debug, PartialEq)]
    struct All {
        /// How many;
        /// at least one.
        #[port(range(1..=9), default = 3)]
        count: i64,
        #[port(choices("a", "b"), help = "A or B")]
        word: Option<String>,
        mesh: Mesh,
        other: Option<Mesh>,
        weights: BTreeMap<String, f64>,
        any: Option<AnyNode>,
        rows: Vec<i64>,
        table: Json<BTreeMap<String, bool>>,
        r#type: bool,
    }

    fn all() -> All {
        All {
            count: 5,
            word: Some("a".into()),
            mesh: Mesh { n: 4, shift: None },
            other: None,
            weights: [("x.y".to_owned(), 0.5)].into(),
            any: None,
            rows: vec![1, 2],
            table: Json([("yes".to_owned(), true)].into()),
            r#type: false,
        }
    }

    fn read(change: impl FnOnce(&mut Nodes)) -> Result<All, String> {
        let mut nodes = testing::nodes(&all());
        change(&mut nodes);
        read_inputs::<All>(&nodes).map_err(|bad| bad.to_string())
    }

    #[test]
    fn fields_become_nodes_and_nodes_fields() {
        assert_eq!(read(|_| ()), Ok(all()));
        let nodes = testing::nodes(&all());
        let names: Vec<&str> = nodes.keys().map(String::as_str).collect();
        assert_eq!(names, ["count", "mesh.n", "rows", "table", "type", "weights.x.y", "word"]);
        assert_eq!((&*nodes["table"].data_type, &*nodes["rows"].data_type), ("dict", "list"));
    }

    #[test]
    fn the_manifest_tells_types_help_ranges_choices_and_defaults() {
        let ports = All::namespace().ports;
        let count = &ports["count"];
        assert_eq!(count.help, "How many;\nat least one.");
        assert_eq!(count.range, Some(Range { min: Some(1.0), max: Some(9.0), max_exclusive: false }));
        assert_eq!((count.default.clone(), count.required), (Some(Value::Int(3)), false));
        assert_eq!(ports["word"].choices, [Value::from("a"), Value::from("b")]);
        assert_eq!((&*ports["word"].help, ports["word"].required), ("A or B", false));
        assert!(ports["mesh"].required && !ports["other"].required && !ports["weights"].required);
        let weights = ports["weights"].namespace.as_ref().unwrap();
        assert_eq!(weights.dynamic.as_deref(), Some(&["float".to_owned()][..]));
        assert_eq!(ports["mesh"].namespace.as_ref().unwrap().ports["n"].range.unwrap().min, Some(0.0));
        assert!(ports["any"].types.is_empty());
    }

    #[test]
    fn all_problems_are_told_at_once_with_their_ports() {
        let error = read(|nodes| {
            nodes.remove("count");
            nodes.get_mut("mesh.n").unwrap().value = Value::Int(-1);
            nodes.insert("zeta".into(), Node::default());
            nodes.get_mut("rows").unwrap().value = Value::from("no");
        })
        .unwrap_err();
        for part in [
            "count: is required",
            "mesh.n: -1 does not fit into u32",
            "zeta: there is no such port; the ports are: any, count, mesh, other, rows",
            "rows: ",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn an_optional_namespace_is_read_when_any_of_it_is_given() {
        let with = read(|nodes| {
            let n = nodes["mesh.n"].clone();
            nodes.insert("other.n".into(), n);
        });
        assert_eq!(with.unwrap().other, Some(Mesh { n: 4, shift: None }));
        let half = read(|nodes| {
            let mut shift = nodes["weights.x.y"].clone();
            shift.value = Value::Float(0.5);
            nodes.insert("other.shift".into(), shift);
        });
        assert_eq!(half.unwrap_err(), "other.n: is required");
        let whole = read(|nodes| drop(nodes.insert("mesh".into(), Node::default())));
        assert!(whole.unwrap_err().contains("mesh: is a namespace"));
    }
}
