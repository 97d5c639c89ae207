//! Ports of a child among a workflow's own: its inputs as a ready [`Draft`], its outputs as [`Exposed`].
//!
//! ```
//! # use ferry_plugin::{prelude::*, Exposed};
//! # #[derive(Inputs)] pub struct PwInputs {
//! #     pub structure: String,
//! #     #[port(default = 40.0, range(5.0..))] pub ecut: f64,
//! # }
//! # #[derive(Outputs)] pub struct PwOutputs { pub energy: f64 }
//! # pub struct Pw;
//! # #[calcjob(name = "qe.pw")] impl CalcJob for Pw {
//! #     type Inputs = PwInputs; type Outputs = PwOutputs;
//! #     fn prepare(_: &PwInputs, _: &mut Job) -> Result { Ok(()) }
//! #     fn parse(_: &PwInputs, _: &Finished, _: &mut PwOutputsDraft) -> Result { Ok(()) }
//! # }
//! #[derive(Inputs)]
//! pub struct RelaxInputs {
//!     pub structure: Node<String>,
//!     /// How each step is calculated
//!     #[port(exclude(structure))]
//!     pub pw: Draft<Pw>,
//! }
//!
//! #[derive(Outputs)]
//! pub struct RelaxOutputs {
//!     pub pw: Exposed<Pw>,
//! }
//!
//! let ports = RelaxInputs::namespace().ports;
//! let pw = ports["pw"].namespace.as_ref().unwrap();
//! assert!(pw.ports.contains_key("ecut") && !pw.ports.contains_key("structure"));
//! assert!(!ports["pw"].required); // what is left has a default
//! // Also how the job is to run: `pw.metadata.options.max_wallclock_seconds=3600`
//! assert!(pw.ports["metadata"].namespace.as_ref().unwrap().ports.contains_key("computer"));
//! assert!(RelaxOutputs::namespace().ports["pw"].namespace.as_ref().unwrap().ports["energy"].required);
//! ```

mod metadata;

use std::{collections::BTreeMap, marker::PhantomData};

use ferry_plugin_proto::{self as proto, CallInput, Inputs as Nodes, Kind, Namespace, Node, Port};

use self::metadata::{METADATA, MONITORS};
use crate::{
    error::Result,
    ports::{
        given::{Fill, Ports},
        input::{InputField, Inputs, NoLeaf, check_name, macros::namespace_port},
        lender::Lender,
        node_ref::Stored,
        output::{OutputField, OutputSet, Outputs, OutputsDraft},
        output_nodes::OutputNodes,
        problems::Problems,
    },
    process::{process_type::Process, registry},
    workflow::draft::{CallMetadata, Draft},
};

/// Ports of a child, inputs or outputs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no child's ports",
    note = "`expose` stands on a `Draft<P>` among inputs, or an `Exposed<P>` among outputs"
)]
pub trait ChildPorts {}

/// Does not compile for `expose` on something that is no child's ports.
pub const fn assert_exposed<T: ChildPorts>() {}

impl<P: Process> ChildPorts for Draft<P> {}
impl<P> ChildPorts for Exposed<P> {}
impl<T: ChildPorts> ChildPorts for Option<T> {}

/// A namespace with the input ports of `P`; it reads as a draft that was given them.
impl<P: Process> InputField for Draft<P> {
    type Leaf = NoLeaf;
    type Judged = Self;

    fn judged(&self) -> Option<&Self> {
        Some(self)
    }

    fn port() -> Port {
        let mut namespace = P::Inputs::namespace();
        if P::kind() == Kind::CalcJob {
            namespace.ports.insert(METADATA.to_owned(), metadata::port());
            namespace.ports.insert(MONITORS.to_owned(), metadata::monitors_port());
        }
        namespace_port(namespace)
    }

    fn read(nodes: &Nodes, name: &str, _: &mut Problems) -> Option<Self> {
        let below = format!("{name}.");
        let (mut ports, mut how) = (Ports::default(), CallMetadata::default());
        for (port, node) in nodes.iter().filter_map(|(port, node)| Some((port.strip_prefix(&below)?, node))) {
            match port.strip_prefix(METADATA).and_then(|rest| rest.strip_prefix('.')) {
                Some(port) => metadata::read(&mut how, port, node),
                None => ports.give(port, Ok(CallInput::Node(node.uuid.clone()))),
            }
        }
        let mut draft = Draft::<P>::of(ports);
        draft.set_metadata(how);
        Some(draft)
    }

    /// Runs the validators of the ports. If all required inputs are there, it also runs the process's own
    /// validation. Excluded ports are given later.
    fn judge(nodes: &Nodes, name: &str, bad: &mut Problems) {
        let below = format!("{name}.");
        let given = nodes.iter().filter_map(|(port, node)| Some((port.strip_prefix(&below)?, node)));
        let given: Nodes = given
            .filter(|(port, _)| ![METADATA, MONITORS].contains(&port.split('.').next().unwrap_or_default()))
            .map(|(port, node)| (port.to_owned(), node.clone()))
            .collect();
        let is_whole = P::Inputs::read_all(&given, "", &mut Problems::default()).is_some();
        let said = match registry::entry_of(&P::ABOUT).filter(|_| is_whole) {
            Some(entry) => entry.judge(&given),
            None => {
                let mut said = Problems::default();
                P::Inputs::judge_all(&given, "", &mut said);
                said
            }
        };
        bad.nest(name, said);
    }

    fn lend(&self, name: &str, lender: &mut Lender, nodes: &mut Nodes) {
        for (port, input) in all_ports(self.clone()).given() {
            nodes.insert(format!("{name}.{port}"), lender.lend_input(input));
        }
    }
}

/// Returns the ports, with those for its metadata. The label of the link belongs to the caller alone and is
/// left out.
fn all_ports<P: Process>(draft: Draft<P>) -> Ports {
    let (mut ports, metadata) = draft.into_parts();
    metadata::give(&metadata, &mut ports);
    ports
}

impl<P: Process> Fill<Draft<P>> for Draft<P> {
    fn fill(value: Draft<P>, name: &str, ports: &mut Ports) {
        ports.nest(name, all_ports(value));
    }
}

impl<P: Process> Fill<Draft<P>> for Option<Draft<P>> {
    fn fill(value: Draft<P>, name: &str, ports: &mut Ports) {
        ports.nest(name, all_ports(value));
    }
}

/// All outputs of a process of type `P` that ended, to be handed on: a field of a workflow's outputs, or all of
/// them. Made by [`Child::exposed`](crate::Child::exposed).
#[derive(Debug)]
pub struct Exposed<P> {
    /// Uuids by dotted port.
    nodes: BTreeMap<String, String>,
    process: PhantomData<fn() -> P>,
}

impl<P: Process> Exposed<P> {
    /// Returns the outputs that the type declares.
    pub(crate) fn of(outputs: &BTreeMap<String, Node>) -> Self {
        let declared = P::outputs();
        let outputs = outputs.iter().filter(|(port, _)| check_name(&declared, port).is_ok());
        let nodes = outputs.map(|(port, node)| (port.clone(), node.uuid.clone())).collect();
        Exposed { nodes, process: PhantomData }
    }
}

impl<P: Process> OutputField for Exposed<P> {
    type Nodes = P::Nodes;

    fn port() -> Port {
        namespace_port(P::outputs())
    }

    fn emit(self, name: &str, set: &mut OutputSet) {
        self.emit_all(name, set);
    }

    fn read(nodes: &BTreeMap<String, proto::Node>, name: &str) -> Result<P::Nodes, String> {
        P::Nodes::read_all(nodes, name)
    }
}

impl<P> Stored for Exposed<P> {}

/// A workflow with the very outputs of its child.
impl<P: Process> Outputs for Exposed<P> {
    type Draft = ExposedDraft<P>;
    type Nodes = P::Nodes;

    fn namespace() -> Namespace {
        P::outputs()
    }

    fn emit_all(self, prefix: &str, set: &mut OutputSet) {
        for (port, uuid) in self.nodes {
            set.hand_on(&crate::ports::input::macros::join(prefix, &port), uuid);
        }
    }
}

/// Sets the outputs of a workflow that has those of its child.
#[derive(Debug)]
pub struct ExposedDraft<P>(OutputSet, PhantomData<fn() -> P>);

impl<P: Process> ExposedDraft<P> {
    /// Sets all of them.
    pub fn all(&mut self, outputs: Exposed<P>) -> &mut Self {
        outputs.emit_all("", &mut self.0);
        self
    }
}

impl<P: Process> OutputsDraft for ExposedDraft<P> {
    fn over(set: OutputSet) -> Self {
        ExposedDraft(set, PhantomData)
    }

    fn into_set(self) -> OutputSet {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        process::{calcjob::CalcJob, finished::Finished, job::Job},
        testing,
    };
    use ferry_plugin_macros::calcjob;
    use ferry_plugin_proto::Value;

    #[derive(crate::Inputs)]
    struct CellInputs {
        a: f64,
        b: Option<f64>,
    }

    #[derive(crate::Inputs)]
    struct PwInputs {
        #[port(default = 40.0, range(5.0..))]
        ecut: f64,
        cell: CellInputs,
    }

    #[derive(crate::Outputs)]
    struct PwOutputs {
        energy: f64,
    }

    struct Pw;

    #[calcjob(name = "test.exposed_pw")]
    impl CalcJob for Pw {
        type Inputs = PwInputs;
        type Outputs = PwOutputs;

        fn validate(inputs: &PwInputs, bad: &mut Problems) {
            if inputs.cell.a < 0.0 {
                bad.at("cell.a", "is negative");
            }
            if inputs.ecut > 1e6 {
                bad.together("nobody has so much time");
            }
        }

        fn prepare(_: &PwInputs, _: &mut Job) -> Result {
            Ok(())
        }

        fn parse(_: &PwInputs, _: &Finished, _: &mut PwOutputsDraft) -> Result {
            Ok(())
        }
    }

    #[derive(crate::Inputs)]
    struct Outer {
        pw: Draft<Pw>,
        #[port(exclude(cell.a, metadata, monitors))]
        without: Option<Draft<Pw>>,
        #[port(include(ecut, cell.b))]
        only: Draft<Pw>,
    }

    fn ports<'a>(namespace: &'a Namespace, name: &str) -> &'a Namespace {
        namespace.ports[name].namespace.as_ref().unwrap()
    }

    #[test]
    fn ports_come_with_all_that_is_said_of_them_and_can_be_chosen() {
        let all = Outer::namespace();
        let pw = ports(&all, "pw");
        assert_eq!(ports(pw, "monitors").dynamic, Some(vec!["dict".to_owned()]));
        assert_eq!(
            (pw.ports["ecut"].default.clone(), pw.ports["ecut"].range.unwrap().min),
            (Some(40.0.into()), Some(5.0))
        );
        assert!(all.ports["pw"].required && pw.ports["cell"].required);
        let without = ports(&all, "without");
        assert_eq!(without.ports.keys().collect::<Vec<_>>(), ["cell", "ecut"]);
        // What is left of the cell is optional, and so is the cell.
        assert!(!without.ports["cell"].required && !ports(without, "cell").ports.contains_key("a"));
        let only = ports(&all, "only");
        assert_eq!(ports(only, "cell").ports.keys().collect::<Vec<_>>(), ["b"]);
        assert!(!all.ports["only"].required);
    }

    #[test]
    fn a_draft_goes_through_ports_and_comes_back_with_its_metadata() {
        let mut pw = Draft::<Pw>::new();
        pw.ecut(60.0);
        pw.metadata().computer("daint").label("first").option("max_wallclock_seconds", 60_i64);
        let resources = Value::Map([("num_machines".to_owned(), Value::Int(2))].into());
        pw.metadata().option("resources", resources.clone());
        pw.monitor("m", Value::Map([("entry_point".to_owned(), Value::from("t.m"))].into()));
        let nodes = testing::nodes(&Outer { pw, without: None, only: Draft::new() });
        assert_eq!(nodes["pw.metadata.options.resources"].value, resources);
        let read = Outer::read_all(&nodes, "", &mut Problems::default()).unwrap();
        let call = read.pw.into_call("0").unwrap();
        assert_eq!((call.computer.as_deref(), &*call.label), (Some("daint"), "first"));
        assert_eq!(call.options["max_wallclock_seconds"], Value::Int(60));
        assert_eq!(call.inputs.keys().collect::<Vec<_>>(), ["ecut", "monitors.m"]);
        assert!(read.without.is_none());
    }

    #[test]
    fn the_child_judges_its_own_inputs_if_all_are_there() {
        let judged = |set: fn(&mut Draft<Pw>)| {
            let mut pw = Draft::<Pw>::new();
            set(&mut pw);
            let nodes = testing::nodes(&Outer { pw, without: None, only: Draft::new() });
            let mut bad = Problems::default();
            Outer::judge_all(&nodes, "", &mut bad);
            bad.to_string()
        };
        assert_eq!(
            judged(|pw| {
                let mut cell = CellInputsDraft::default();
                cell.a(-1.0);
                pw.ecut(2e6).cell(cell);
            }),
            "pw.cell.a: is negative; pw: nobody has so much time"
        );
        assert_eq!(
            judged(|pw| {
                pw.ecut(2e6);
            }),
            ""
        );
    }

    #[test]
    fn options_may_be_given_by_dotted_names() {
        let mut how = CallMetadata::default();
        let node = |value: i64| Node { value: value.into(), ..Node::default() };
        metadata::read(&mut how, "options.resources.num_machines", &node(2));
        metadata::read(&mut how, "options.resources.num_cores_per_machine", &node(8));
        assert_eq!(how.options["resources"].get("num_machines"), Some(&Value::Int(2)));
        assert_eq!(how.options["resources"].get("num_cores_per_machine"), Some(&Value::Int(8)));
    }
}
