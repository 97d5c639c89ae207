//! Machines: processes that call others, one step after the other. Workchains and workfunctions are made of
//! them. Authors may also write such a state machine themselves.

use ferry_plugin_proto::{
    Call, Command, Inputs as Nodes, Kind, StepEvent, StepReply, StepRequest, Task, Then, WorkReply, decode,
    encode,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::Result,
    host::report,
    ports::{
        input::{Inputs, read_inputs, unreadable, validators::judge_inputs},
        node_ref::Stored,
        output::{OutputSet, Outputs},
        problems::Problems,
    },
    process::{
        exit::ExitCodes,
        process_type::Process,
        registry::{About, Entry, Spec, Unable},
    },
    workflow::draft::Draft,
};

/// A process that calls others. Implement it under [`#[machine]`](crate::machine), which registers it.
///
/// A step is pure and quick: it reads no file and no clock, and its requests depend on its arguments alone.
/// After a crash it is run again with the same ones; the engine commits one of its answers, whole or not at
/// all.
///
/// ```
/// # use ferry_plugin::{prelude::*, machine, Machine, Node, Process, Steps, proto::{StepEvent, Then}};
/// /// Adds.
/// #[calcfunction]
/// pub fn add(x: i64, y: i64) -> i64 {
///     x + y
/// }
///
/// #[derive(Inputs)]
/// pub struct TwiceInputs {
///     /// What is added to itself
///     pub x: Node<i64>,
/// }
/// #[derive(Outputs)]
/// pub struct TwiceOutputs {
///     /// The sum
///     pub sum: Node<i64>,
/// }
///
/// pub struct Twice;
///
/// /// Adds a number to itself.
/// #[machine(name = "sums.twice")]
/// impl Machine for Twice {
///     type Inputs = TwiceInputs;
///     type Outputs = TwiceOutputs;
///     type State = ();
///
///     fn step(inputs: &TwiceInputs, _: &mut (), event: &StepEvent, cx: &mut Steps) -> Result<Then> {
///         let StepEvent::Resumed { children, .. } = event else {
///             cx.call("add", add::with(&inputs.x, &inputs.x))?;
///             return Ok(Then::Wait { calls: vec!["add".into()], any: false, until: None });
///         };
///         cx.outputs(TwiceOutputs { sum: add::nodes(&children["add"])? })?;
///         Ok(Then::Finish(None))
///     }
/// }
/// ```
pub trait Machine: 'static {
    /// Its input ports.
    type Inputs: Inputs;
    /// Its output ports.
    type Outputs: Outputs;
    /// Its exit codes; `NoExit` if the block has no such type.
    type Exit: ExitCodes;
    /// The state that it keeps between steps; the default at the beginning.
    type State: Serialize + DeserializeOwned + Default;

    /// Judges inputs together, before the process exists. Types, ranges, choices and missing inputs are checked before.
    fn validate(inputs: &Self::Inputs, bad: &mut Problems) {
        let _ = (inputs, bad);
    }

    /// Takes one step.
    ///
    /// # Errors
    /// An exit code finishes the process with it; any other error excepts it. Earlier requests are still
    /// carried out.
    fn step(
        inputs: &Self::Inputs,
        state: &mut Self::State,
        event: &StepEvent,
        cx: &mut Steps,
    ) -> Result<Then>;
}

/// The requests of a step.
#[derive(Debug)]
pub struct Steps {
    process: String,
    time: i64,
    commands: Vec<Command>,
    position: Option<String>,
}

impl Steps {
    /// Returns the process's uuid: the same whenever the step is run.
    pub fn process(&self) -> &str {
        &self.process
    }

    /// Returns the time of the event, in microseconds since 1970: the same whenever the step is run.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// Launches a child.
    pub fn launch(&mut self, call: Call) {
        self.commands.push(Command::Launch(Box::new(call)));
    }

    /// Launches a child of a type whose crate is linked.
    ///
    /// # Errors
    /// Fails if inputs are not valid.
    pub fn call<P: Process>(&mut self, call: &str, draft: Draft<P>) -> Result {
        self.launch(draft.into_call(call)?);
        Ok(())
    }

    /// Kills a child, if it has not ended.
    pub fn kill(&mut self, call: &str) {
        self.commands.push(Command::Kill(call.to_owned()));
    }

    /// Returns a stored node, by uuid, as an output.
    pub fn output(&mut self, label: &str, node: &str) {
        self.commands.push(Command::Output { label: label.to_owned(), node: node.to_owned() });
    }

    /// Returns stored nodes as outputs.
    ///
    /// # Errors
    /// Fails at labels that no link can have.
    pub fn outputs<O: Outputs + Stored>(&mut self, outputs: O) -> Result {
        let mut set = OutputSet::default();
        outputs.emit_all("", &mut set);
        for (label, node) in set.into_handed_on()? {
            self.output(&label, &node);
        }
        Ok(())
    }

    /// Sets the process's position.
    pub fn position(&mut self, name: &str) {
        self.position = Some(name.to_owned());
    }
}

impl Entry {
    /// Returns the entry of a machine of steps.
    pub const fn machine<M: Machine>(about: About) -> Self {
        Entry {
            about,
            kind: Kind::WorkChain,
            spec: spec::<M>,
            validate: validate::<M>,
            work,
            step: step::<M>,
        }
    }
}

fn spec<M: Machine>() -> Spec {
    Spec {
        inputs: M::Inputs::namespace(),
        outputs: M::Outputs::namespace(),
        exit_codes: M::Exit::declared(),
        ..Spec::default()
    }
}

fn validate<M: Machine>(nodes: &Nodes) -> Problems {
    judge_inputs(nodes, M::validate)
}

fn work(_: &Nodes, _: Task) -> Result<WorkReply, Unable> {
    Err(Unable("it is a machine of steps, which is neither called nor prepared"))
}

fn step<M: Machine>(request: &StepRequest) -> Result<StepReply, Unable> {
    let mut cx =
        Steps { process: request.process.clone(), time: request.time, commands: Vec::new(), position: None };
    let (result, reports) = report::collect(|| take::<M>(request, &mut cx));
    let (state, then) = result.unwrap_or_else(|error| (request.state.clone(), ended(error)));
    let mut commands: Vec<Command> = reports.into_iter().map(Command::Report).collect();
    commands.append(&mut cx.commands);
    Ok(StepReply { state, commands, then, position: cx.position })
}

fn take<M: Machine>(request: &StepRequest, cx: &mut Steps) -> Result<(Vec<u8>, Then)> {
    let inputs = read_inputs::<M::Inputs>(&request.inputs).map_err(unreadable)?;
    let mut state = match request.state.as_slice() {
        [] => M::State::default(),
        saved => decode(saved).map_err(|error| format!("the saved state can't be read: {error}"))?,
    };
    let then = M::step(&inputs, &mut state, &request.event, cx)?;
    Ok((encode(&state), then))
}

fn ended(error: crate::error::Error) -> Then {
    match error.into_exit() {
        Ok(exit) => Then::Finish(Some(exit)),
        Err(text) => Then::Except(text),
    }
}
