//! Workchains: processes that call others, as an outline of named steps over a struct that is saved between them.
//!
//! A step is pure and quick, as a machine's is; what it submitted has ended when the next one is taken. Saved are
//! the position in the outline, the author's struct and how the children ended that it holds handles of, so going
//! on costs the same after a thousand steps as after one.
//!
//! Values of large outputs are left out of what is saved. They are fetched again by waiting for a child that has ended.

mod child;
mod cx;
mod outline;
mod program;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use ferry_plugin_proto::{
    Command, Exit, Inputs as Nodes, Kind, StepEvent, StepReply, StepRequest, Task, Then, WorkReply,
};
use serde::{Serialize, de::DeserializeOwned};

pub use child::Child;
pub use cx::StepCx;
pub use outline::{Condition, Outline, Predicate, Step, StepReturn, Truth};

use self::{
    program::{Next, Program, Rounds},
    saved::Saved,
};
use crate::{
    error::{Error, Result},
    host::{doing, report},
    ports::{
        input::{Inputs, validators::judge_inputs},
        node_ref::Stored,
        output::Outputs,
        problems::Problems,
    },
    process::{
        exit::ExitCodes,
        registry::{About, Entry, Spec, Unable},
    },
};

/// A process that calls others, step by step. Implement it under [`#[workchain]`](crate::workchain), which
/// registers it.
///
/// The struct is the workchain's memory: it is the default at the beginning, and saved after each step. A step is
/// taken again after a crash, so it reads no file and no clock and draws no random numbers.
///
/// ```
/// # use ferry_plugin::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// # /// Halves a number.
/// # #[calcfunction(name = "sums.halve")] pub fn halve(n: i64) -> Result<i64> { Ok(n / 2) }
/// #[derive(Inputs)]
/// pub struct HalvingsInputs {
///     pub n: Node<i64>,
///     /// Where it stops
///     #[port(default = 1, range(1..))]
///     pub least: i64,
/// }
/// #[derive(Outputs)]
/// pub struct HalvingsOutputs {
///     pub last: Node<i64>,
/// }
/// #[derive(ExitCodes)]
/// pub enum HalvingsExit {
///     #[exit(300, "{n} can't be halved")]
///     NotHalved { n: i64 },
/// }
///
/// #[derive(Default, Serialize, Deserialize)]
/// pub struct Halvings {
///     last: Option<Node<i64>>,
///     half: Child<halve>,
/// }
///
/// /// Halves a number until it is small.
/// #[workchain(name = "sums.halvings")]
/// impl WorkChain for Halvings {
///     type Inputs = HalvingsInputs;
///     type Outputs = HalvingsOutputs;
///     type Exit = HalvingsExit;
///
///     fn outline() -> Outline<Self> {
///         outline! {
///             begin;
///             while is_large {
///                 divide;
///                 inspect;
///             }
///             results;
///         }
///     }
///
///     fn validate(inputs: &HalvingsInputs, bad: &mut Problems) {
///         if inputs.n.value().is_ok_and(|n| n < inputs.least) {
///             bad.at("n", "is small already");
///         }
///     }
/// }
///
/// impl Halvings {
///     fn begin(&mut self, cx: &mut Cx<Self>) {
///         self.last = Some(cx.inputs().n.clone());
///     }
///
///     fn last(&self) -> Result<&Node<i64>> {
///         Ok(self.last.as_ref().ok_or("nothing has begun")?)
///     }
///
///     fn is_large(&self, cx: &Cx<Self>) -> Result<bool> {
///         Ok(self.last()?.value()? > cx.inputs().least)
///     }
///
///     fn divide(&mut self, cx: &mut Cx<Self>) -> Result {
///         self.half = cx.submit(halve::with(self.last()?));
///         Ok(()) // the next step waits for it
///     }
///
///     fn inspect(&mut self) -> Result {
///         let n = self.last()?.value()?;
///         self.last = Some(self.half.outputs_or(HalvingsExit::NotHalved { n })?);
///         report!("half of {n} is {}", self.last()?.value()?);
///         Ok(())
///     }
///
///     fn results(&mut self, cx: &mut Cx<Self>) -> Result {
///         cx.out().last(self.last()?.clone());
///         Ok(())
///     }
/// }
///
/// let mut draft = Draft::<Halvings>::new();
/// draft.n(20).least(3);
/// let ran = testing::call(draft); // what needs a computer is faked, see `testing::world`
/// assert_eq!(ran.output::<i64>("last"), Ok(2));
/// assert_eq!(ran.positions()[1..3], ["divide (round 1)", "inspect (round 1)"]);
/// ```
///
/// Steps and conditions are methods of the struct. Both are given `cx` if they want it, and may fail: `?` on an exit
/// code ends the workchain with it, on any other error as excepted. In an outline, `if`, `elif`, `else` and `while`
/// take a condition or `!condition`; `return;` ends the workchain, `return SomeExit::X;` with an exit code.
///
/// A workchain hands data on and makes none:
///
/// ```compile_fail
/// # use ferry_plugin::prelude::*;
/// # #[derive(Inputs)] pub struct I {}
/// #[derive(Outputs)]
/// pub struct O { pub sum: i64 }
/// # #[derive(Default, serde::Serialize, serde::Deserialize)] pub struct Chain;
/// #[workchain(name = "test.chain")]
/// impl WorkChain for Chain {
///     type Inputs = I;
///     type Outputs = O;
///     fn outline() -> Outline<Self> { outline! {} }
/// }
/// ```
pub trait WorkChain: Serialize + DeserializeOwned + Default + Sized + 'static {
    /// Its input ports.
    type Inputs: Inputs;
    /// Its output ports: stored nodes, which its children have made or it was given.
    type Outputs: Outputs + Stored;
    /// Its exit codes; `NoExit` if the block has no such type.
    type Exit: ExitCodes;

    /// Returns its steps and their order.
    fn outline() -> Outline<Self>;

    /// Judges inputs together, before the process exists. Types, ranges, choices and missing inputs are
    /// checked before; a child whose ports are exposed judges its own, unless it needs some that are excluded.
    fn validate(inputs: &Self::Inputs, bad: &mut Problems) {
        let _ = (inputs, bad);
    }
}

impl Entry {
    /// Returns the entry of a workchain.
    pub const fn workchain<W: WorkChain>(about: About) -> Self {
        Entry {
            about,
            kind: Kind::WorkChain,
            spec: spec::<W>,
            validate: validate::<W>,
            work,
            step: step::<W>,
        }
    }
}

fn spec<W: WorkChain>() -> Spec {
    Spec {
        inputs: W::Inputs::namespace(),
        outputs: W::Outputs::namespace(),
        exit_codes: W::Exit::declared(),
        ..Spec::default()
    }
}

fn validate<W: WorkChain>(nodes: &Nodes) -> Problems {
    judge_inputs(nodes, W::validate)
}

fn work(_: &Nodes, _: Task) -> Result<WorkReply, Unable> {
    Err(Unable("it is a workchain, which takes steps and is neither called nor prepared"))
}

fn step<W: WorkChain>(request: &StepRequest) -> Result<StepReply, Unable> {
    Ok(turn::<W>(request).unwrap_or_else(|text| except(request, Vec::new(), text, None)))
}

/// The progress of a turn.
enum Went {
    /// It took a step, and there are more.
    On,
    /// It came to the end.
    Ended(Option<Exit>),
}

/// Takes a turn: everything between a request and its reply. It is at most one step of the author's, and the
/// conditions around it.
fn turn<W: WorkChain>(request: &StepRequest) -> Result<StepReply, String> {
    let program = Program::<W>::of(W::outline());
    let mut saved = Saved::read(&request.state, &program)?;
    if let StepEvent::Resumed { children, .. } = &request.event {
        saved.deliver(children);
    }
    let before = saved.clone();
    let mut chain = saved.context::<W>()?;
    let mut cx = StepCx::of(request, saved.steps + 1)?;
    let mut place = None;
    let (went, reports) = report::collect(|| advance(&program, &mut saved, &mut chain, &mut cx, &mut place));
    let wanted = child::wanted();
    if !wanted.is_empty() {
        return Ok(fetch(before, wanted));
    }
    let reports: Vec<Command> = reports.into_iter().map(Command::Report).collect();
    let (then, state, launches) = match went.map_err(Error::into_exit) {
        Ok(Went::On) => (then(cx.calls()), saved.after(&chain, &program)?, true),
        Ok(Went::Ended(exit)) => (Then::Finish(exit), request.state.clone(), false),
        Err(Ok(exit)) => (Then::Finish(Some(exit)), request.state.clone(), false),
        Err(Err(text)) => return Ok(except(request, reports, text, place)),
    };
    match cx.into_commands(launches) {
        Ok(asked) => Ok(StepReply {
            state,
            commands: reports.into_iter().chain(asked).collect(),
            then,
            position: place,
        }),
        Err(error) => Ok(except(request, reports, error.to_string(), place)),
    }
}

fn advance<W: WorkChain>(
    program: &Program<W>,
    saved: &mut Saved,
    chain: &mut W,
    cx: &mut StepCx<W>,
    place: &mut Option<String>,
) -> Result<Went> {
    let (at, name, take) = match program.next(saved.position, &mut saved.rounds, chain, cx)? {
        Next::End(exit) => return Ok(Went::Ended(exit)),
        Next::Step { at, name, take } => (at, name, take),
    };
    let here = place.insert(told(name, &saved.rounds));
    doing(format_args!("step `{here}`"));
    saved.steps += 1;
    saved.position = at + 1;
    let taken = take(chain, cx).and_then(|exit| cx.check().map(|()| exit));
    if let Some(exit) = taken.map_err(|error| in_step(here, error))? {
        return Ok(Went::Ended(Some(exit)));
    }
    if !cx.calls().is_empty() {
        return Ok(Went::On);
    }
    // Nothing is waited for, so the conditions have the same results in the next turn.
    match program.next(saved.position, &mut saved.rounds, chain, cx)? {
        Next::End(exit) => return Ok(Went::Ended(exit)),
        Next::Step { at, .. } => saved.position = at,
    }
    Ok(Went::On)
}

fn in_step(place: &str, error: Error) -> Error {
    match error.into_exit() {
        Ok(exit) => Error::exit(exit),
        Err(text) => format!("step `{place}` failed: {text}").into(),
    }
}

/// Describes a step by its name and the round of its loops.
fn told(name: &str, rounds: &Rounds) -> String {
    let rounds: Vec<String> = rounds.values().map(u64::to_string).collect();
    if rounds.is_empty() { name.to_owned() } else { format!("{name} (round {})", rounds.join(".")) }
}

fn then(calls: Vec<String>) -> Then {
    if calls.is_empty() { Then::Continue } else { Then::Wait { calls, any: false, until: None } }
}

/// Waits for children that have already ended: the engine delivers their ends again, and the turn is taken
/// again.
fn fetch(before: Saved, wanted: BTreeSet<String>) -> StepReply {
    let then = then(wanted.into_iter().collect());
    StepReply { state: before.write(), commands: Vec::new(), then, position: None }
}

fn except(request: &StepRequest, reports: Vec<Command>, text: String, place: Option<String>) -> StepReply {
    StepReply { state: request.state.clone(), commands: reports, then: Then::Except(text), position: place }
}
