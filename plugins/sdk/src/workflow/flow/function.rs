//! Workfunctions as process types: their ports, and how a request becomes a future.

use ferry_plugin_proto::{Inputs as Nodes, Kind, Namespace, StepReply, StepRequest, Task, WorkReply};

use super::{
    core::Core,
    cx::FlowCx,
    live::{Body, Returned},
    step as steps,
};
use crate::{
    error::{Error, Result},
    ports::{
        input::{Inputs, PortType, read_inputs, unreadable, validators::judge_inputs},
        node_ref::{Node, Stored},
        output::{OutputField, OutputSet, Outputs},
        output_nodes::{OutputNodes, RESULT},
        problems::Problems,
    },
    process::{
        exit::ExitCodes,
        registry::{About, Entry, Spec, Unable},
    },
};

/// A return type of a workfunction: a [`Node`], a struct that derives [`Outputs`](crate::Outputs) and holds
/// nodes alone, nothing, or a `Result` of these.
///
/// A workflow makes no data: whatever it returns was given to it, or was made by a calculation that it called.
///
/// ```compile_fail
/// use ferry_plugin::prelude::*;
/// #[workfunction]
/// pub async fn invents(cx: Cx) -> Result<i64> { Ok(5) }
/// ```
/// ```compile_fail
/// use ferry_plugin::prelude::*;
/// #[derive(Outputs)]
/// pub struct Invented { pub n: i64 }
/// #[workfunction]
/// pub async fn invents(cx: Cx) -> Result<Invented> { Ok(Invented { n: 5 }) }
/// ```
#[diagnostic::on_unimplemented(
    message = "a workfunction can't return `{Self}`",
    label = "not made of stored nodes",
    note = "a workflow makes no data: return a `Node<T>`, a struct that derives `Outputs` and has only such fields, or \
            a `Result` of either; a value is made by a calcfunction"
)]
pub trait ReturnedNodes: Sized {
    /// The outputs as the workfunction's caller sees them.
    type Nodes: OutputNodes;

    /// Returns the output ports.
    fn namespace() -> Namespace;

    /// Sets the outputs.
    ///
    /// # Errors
    /// Returns the function's error.
    fn hand_on(self, set: &mut NodesOut) -> Result;
}

/// The nodes that a workfunction returns.
#[derive(Debug, Default)]
pub struct NodesOut(OutputSet);

impl<T: PortType + 'static> ReturnedNodes for Node<T> {
    type Nodes = Node<T>;

    fn namespace() -> Namespace {
        Namespace { ports: [(RESULT.to_owned(), <Node<T> as OutputField>::port())].into(), dynamic: None }
    }

    fn hand_on(self, set: &mut NodesOut) -> Result {
        self.emit(RESULT, &mut set.0);
        Ok(())
    }
}

impl<O: Outputs + Stored> ReturnedNodes for O {
    type Nodes = <O as Outputs>::Nodes;

    fn namespace() -> Namespace {
        <O as Outputs>::namespace()
    }

    fn hand_on(self, set: &mut NodesOut) -> Result {
        self.emit_all("", &mut set.0);
        Ok(())
    }
}

impl ReturnedNodes for () {
    type Nodes = ();

    fn namespace() -> Namespace {
        Namespace::default()
    }

    fn hand_on(self, _: &mut NodesOut) -> Result {
        Ok(())
    }
}

impl<T: ReturnedNodes, E: Into<Error>> ReturnedNodes for Result<T, E> {
    type Nodes = T::Nodes;

    fn namespace() -> Namespace {
        T::namespace()
    }

    fn hand_on(self, set: &mut NodesOut) -> Result {
        self.map_err(Into::into)?.hand_on(set)
    }
}

impl OutputNodes for () {
    fn read_all(
        _: &std::collections::BTreeMap<String, ferry_plugin_proto::Node>,
        _: &str,
    ) -> Result<Self, String> {
        Ok(())
    }
}

/// The definition that `#[workfunction]` makes of a function.
#[doc(hidden)]
pub trait WorkFunction: 'static {
    /// A field per argument, except for the first.
    type Inputs: Inputs;
    /// The function's return type.
    type Returned: ReturnedNodes;
    /// Its exit codes.
    type Exit: ExitCodes;

    /// Calls the function.
    fn call(cx: FlowCx, inputs: Self::Inputs) -> impl Future<Output = Self::Returned> + Send;

    /// Validates inputs together, by the attribute's `validate = ..`.
    fn judge(inputs: &Self::Inputs, bad: &mut Problems) {
        let _ = (inputs, bad);
    }
}

impl Entry {
    /// Returns the entry of a workfunction.
    pub const fn workfunction<F: WorkFunction>(about: About) -> Self {
        Entry {
            about,
            kind: Kind::WorkFunction,
            spec: spec::<F>,
            validate: validate::<F>,
            work,
            step: step::<F>,
        }
    }
}

fn spec<F: WorkFunction>() -> Spec {
    Spec {
        inputs: F::Inputs::namespace(),
        outputs: F::Returned::namespace(),
        exit_codes: F::Exit::declared(),
        ..Spec::default()
    }
}

fn validate<F: WorkFunction>(nodes: &Nodes) -> Problems {
    judge_inputs(nodes, F::judge)
}

fn work(_: &Nodes, _: Task) -> Result<WorkReply, Unable> {
    Err(Unable("it is a workfunction, which takes steps and is neither called nor prepared"))
}

pub(super) fn step<F: WorkFunction>(request: &StepRequest) -> Result<StepReply, Unable> {
    Ok(steps::step(request, begin::<F>))
}

fn begin<F: WorkFunction>(request: &StepRequest, core: Core) -> Result<Body, String> {
    let inputs = read_inputs::<F::Inputs>(&request.inputs).map_err(unreadable)?;
    let returned = F::call(FlowCx::new(core), inputs);
    Ok(Box::pin(async move { handed_on(returned.await) }))
}

fn handed_on(returned: impl ReturnedNodes) -> Result<Returned> {
    let mut set = NodesOut::default();
    returned.hand_on(&mut set)?;
    Ok(set.0.into_handed_on()?.into_iter().collect())
}

/// The type of a workfunction's first argument.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the first argument of a workfunction is its context, not `{Self}`",
    label = "expected `Cx`",
    note = "write `async fn name(cx: Cx, ..)`; the other arguments are input ports"
)]
pub trait IsCx {
    /// Returns the context.
    fn of(cx: FlowCx) -> Self;
}

impl IsCx for FlowCx {
    fn of(cx: FlowCx) -> Self {
        cx
    }
}
