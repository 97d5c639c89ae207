//! Trees of processes in a test: workfunctions, machines and calcfunctions of all linked crates, run in memory.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ferry_plugin_proto::{Call, Ended, Inputs as Nodes, Kind, Namespace, Node, Outcome};

use super::running::{Running, Steps};
use crate::{
    ports::{
        input::{Inputs, PortType, read_inputs},
        output::OutputSet,
        output_nodes::OutputNodes,
        places::Places,
    },
    process::{calcfunction::Returned, process_type::Process, registry},
    workflow::draft::Draft,
};

/// Orders in which things happen that [`call`] tries.
const SEEDS: Range<u64> = 0..8;

/// From inputs, and a directory for files of the outputs, to an end.
type End = dyn Fn(&Nodes, &Path) -> Outcome;

/// The end of processes of some type, which are not run.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) end: Arc<End>,
    /// The type's ports: its crate need not be linked.
    pub(super) inputs: fn() -> Namespace,
}

/// Runs a process and all that it calls, in memory, in virtual time. Workfunctions, machines and
/// calcfunctions run as they are; everything that needs a computer is faked, see [`world`].
///
/// Every step is taken twice, live and from its journal, and the whole is run with several seeds: each ends
/// the called processes in another order. All must have the same result.
///
/// # Panics
/// If a step makes other requests when it is taken again, if two seeds end differently, or if nothing can
/// happen any more.
pub fn call<P: Process>(draft: Draft<P>) -> Ran<P> {
    world().call(draft)
}

/// Makes a world in which to [`call`] processes. It defines how jobs end, how long they take, and the seeds.
///
/// ```
/// # use ferry_plugin::{prelude::*, testing::*};
/// # use std::time::Duration;
/// # #[derive(Inputs)] pub struct PwInputs { pub ecut: f64 }
/// # #[derive(Outputs)] pub struct PwOutputs { pub energy: f64 }
/// # pub struct Pw;
/// # #[calcjob(name = "doc.pw")] impl CalcJob for Pw {
/// #   type Inputs = PwInputs; type Outputs = PwOutputs;
/// #   fn prepare(_: &PwInputs, _: &mut Job) -> Result { Ok(()) }
/// #   fn parse(_: &PwInputs, _: &Finished, _: &mut PwOutputsDraft) -> Result { Ok(()) }
/// # }
/// # #[derive(ExitCodes)] pub enum EnergyExit { #[exit(400, "it took more than a day")] Late }
/// /// An energy, if it comes within a day.
/// #[workfunction(name = "doc.energy", exit = EnergyExit)]
/// pub async fn energy(cx: Cx, ecut: Node<f64>) -> Result<Node<f64>> {
///     let mut pw = Draft::<Pw>::new();
///     pw.ecut(&ecut);
///     select! {
///         done = cx.call(pw) => Ok(done?.energy),
///         _ = cx.sleep(Duration::from_secs(86_400)) => Err(EnergyExit::Late)?,
///     }
/// }
///
/// let world = world().fake::<Pw, _>(|inputs| PwOutputs { energy: -inputs.ecut });
/// assert_eq!(world.call(energy::with(40.0)).value::<f64>(), Ok(-40.0));
/// let slow = world.takes::<Pw>(Duration::from_secs(100_000)).call(energy::with(40.0));
/// assert_eq!((slow.status(), slow.states_of::<Pw>()), (400, vec!["killed"]));
/// ```
pub fn world() -> World {
    World { seeds: SEEDS, fakes: BTreeMap::new(), takes: BTreeMap::new() }
}

/// See [`world`].
#[derive(Clone)]
pub struct World {
    seeds: Range<u64>,
    pub(super) fakes: BTreeMap<String, Fake>,
    pub(super) takes: BTreeMap<String, Duration>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fakes: Vec<&String> = self.fakes.keys().collect();
        f.debug_struct("World").field("seeds", &self.seeds).field("fakes", &fakes).finish_non_exhaustive()
    }
}

/// Returns the inputs that a calcjob's plugin sees: all but the monitors.
fn without_monitors<P: Process>(nodes: &Nodes) -> Nodes {
    let is_job = registry::entry_of(&P::ABOUT).is_some_and(|entry| entry.kind() == Kind::CalcJob);
    let seen = nodes.iter().filter(|(name, _)| !(is_job && name.starts_with("monitors.")));
    seen.map(|(name, node)| (name.clone(), node.clone())).collect()
}

impl World {
    /// Fakes processes of a type. `end` maps their inputs to their end: with outputs, an exit code or an
    /// error.
    #[must_use]
    pub fn fake<P: Process, R: Returned<Nodes = P::Nodes>>(
        mut self,
        end: impl Fn(P::Inputs) -> R + 'static,
    ) -> Self {
        let end = move |nodes: &Nodes, sandbox: &Path| {
            let mut set = OutputSet::new(Places::new(sandbox));
            let inputs = read_inputs::<P::Inputs>(&without_monitors::<P>(nodes));
            let result =
                inputs.map_err(|bad| bad.to_string().into()).and_then(|inputs| end(inputs).emit(&mut set));
            set.settle(result)
        };
        self.fakes.insert(P::type_name(), Fake { end: Arc::new(end), inputs: P::Inputs::namespace });
        self
    }

    /// Lets processes of a type take so long; others take up to a second.
    #[must_use]
    pub fn takes<P: Process>(mut self, duration: Duration) -> Self {
        self.takes.insert(P::type_name(), duration);
        self
    }

    /// Tries these seeds: to find an order that fails, many; to look at that one, it alone.
    #[must_use]
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// Runs a process: see [`call`].
    ///
    /// # Panics
    /// As [`call`] does.
    pub fn call<P: Process>(&self, draft: Draft<P>) -> Ran<P> {
        let root = draft.into_call("root").unwrap_or_else(|error| panic!("it can't be called: {error}"));
        // Processes of all worlds have the same names, so two worlds must not be in memory at once.
        static ONE: Mutex<()> = Mutex::new(());
        let _turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first: Option<(u64, Ran<P>)> = None;
        for seed in self.seeds.clone() {
            let ran = Running::new(self, seed).run(root.clone());
            let ran = Ran { process: PhantomData, ..ran };
            match &first {
                None => first = Some((seed, ran)),
                Some((before, other)) => assert_eq!(
                    other.gist(),
                    ran.gist(),
                    "with seed {before} it ends in one way, with seed {seed} in another"
                ),
            }
        }
        first.map(|(_, ran)| ran).unwrap_or_else(|| panic!("no seed to try: {:?}", self.seeds))
    }
}

/// The result of a process in a [`world`], and the calls that it made.
pub struct Ran<P> {
    pub(super) ended: Ended,
    pub(super) reports: Vec<String>,
    pub(super) steps: Steps,
    /// Type and state of all processes, in the order of their launches.
    pub(super) processes: Vec<(String, String)>,
    pub(super) seconds: f64,
    pub(super) process: PhantomData<fn() -> P>,
}

impl<P> fmt::Debug for Ran<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ran").field("ended", &self.ended).field("processes", &self.processes).finish()
    }
}

impl<P> Ran<P> {
    /// Returns what must be the same in whatever order events happen: the state, the exit status and the
    /// outputs.
    fn gist(&self) -> (&str, Option<u32>, BTreeMap<&str, &ferry_plugin_proto::Value>) {
        let outputs = self.ended.outputs.iter().map(|(port, node)| (port.as_str(), &node.value));
        (&self.ended.state, self.ended.exit_status, outputs.collect())
    }

    /// Returns the number of its exit code; 0 for a success.
    ///
    /// # Panics
    /// If it was excepted or killed, with the reason.
    pub fn status(&self) -> u32 {
        let ended = || panic!("it did not finish: {}", self.ended.in_words());
        self.ended.exit_status.unwrap_or_else(ended)
    }

    /// Returns the text of an error that is no exit code, if it was excepted.
    pub fn exception(&self) -> Option<&str> {
        (self.ended.state == "excepted").then_some(self.ended.message.as_str())
    }

    /// Returns its one output.
    ///
    /// # Errors
    /// Fails if it ended otherwise, or if it returned something else.
    pub fn value<T: PortType>(&self) -> Result<T, String> {
        if !self.ended.is_ok() {
            return Err(self.ended.in_words());
        }
        let nodes: Vec<&Node> = self.ended.outputs.values().collect();
        match nodes.as_slice() {
            [node] => T::from_node(node),
            _ => Err(format!("it has the outputs {:?}", self.ended.outputs.keys().collect::<Vec<_>>())),
        }
    }

    /// Describes the end of the process in words.
    pub fn in_words(&self) -> String {
        self.ended.in_words()
    }

    /// Returns one of its outputs; nested ports are dotted.
    ///
    /// # Errors
    /// Fails if there is none, or if it is no `T`.
    pub fn output<T: PortType>(&self, port: &str) -> Result<T, String> {
        let known = || self.ended.outputs.keys().cloned().collect::<Vec<_>>().join(", ");
        let node =
            self.ended.outputs.get(port).ok_or_else(|| format!("no output `{port}` among: {}", known()))?;
        T::from_node(node)
    }

    /// Returns the calls that it made, in order.
    pub fn calls(&self) -> &[Call] {
        &self.steps.calls
    }

    /// Returns its position after each step.
    pub fn positions(&self) -> &[String] {
        &self.steps.positions
    }

    /// Returns the reasons for its pauses. The test resumed it at once.
    pub fn pauses(&self) -> &[String] {
        &self.steps.pauses
    }

    /// Returns the lines of its report.
    pub fn reports(&self) -> &[String] {
        &self.reports
    }

    /// Returns the final states of all processes of a type, in the order of their launches.
    pub fn states_of<Q: Process>(&self) -> Vec<&str> {
        let name = Q::type_name();
        let of_type = self.processes.iter().filter(|(process_type, _)| *process_type == name);
        of_type.map(|(_, state)| state.as_str()).collect()
    }

    /// Returns the virtual time that it took.
    pub fn took(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

impl<P: Process> Ran<P> {
    /// Returns the outputs.
    ///
    /// # Panics
    /// If it did not succeed, with the reason.
    pub fn outputs(&self) -> P::Nodes {
        assert!(self.ended.is_ok(), "it was no success: {}", self.ended.in_words());
        P::Nodes::read_all(&self.ended.outputs, "").unwrap_or_else(|missing| panic!("{missing}"))
    }
}
