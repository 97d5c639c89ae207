//! One run of a [`World`]: an engine of a few lines, in virtual time, with everything that may happen in one order or
//! another drawn from a seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    marker::PhantomData,
    path::PathBuf,
};

use ferry_plugin_proto::{
    Call, CallInput, Command, Ended, Exit, Inputs as Nodes, Kind, Namespace, NewFile, NewNode, Node, Outcome,
    Source, StepEvent, StepReply, StepRequest, Task, Then, WorkReply,
};

use super::{Lender, Ran, Scratch, World, code, remote_folder, through_codec};
use crate::{
    ports::input::{PortType as _, macros::join},
    process::registry::{Entry, all_entries},
    workflow::flow,
};

/// Steps of one run, after which it is held to be endless.
const STEPS_MAX: usize = 1_000_000;
/// When a run begins: in September 2020.
const BEGINNING: i64 = 1_600_000_000_000_000;

/// A workflow looks within this time, in microseconds. It need not look at once.
const SOON: i64 = 1_000_000;

/// A run.
pub(super) struct Running<'a> {
    world: &'a World,
    random: u64,
    now: i64,
    nodes: BTreeMap<String, Node>,
    processes: Vec<Member>,
    scratch: Scratch,
}

/// A process of a run.
struct Member {
    uuid: String,
    process_type: String,
    /// `None` for a faked process whose crate is not linked.
    entry: Option<&'static Entry>,
    inputs: Nodes,
    caller: Option<(usize, String)>,
    /// Its calls.
    called: BTreeMap<String, usize>,
    at: At,
    outputs: BTreeMap<String, Node>,
    reports: Vec<String>,
    steps: Steps,
    ended: Option<Ended>,
}

/// The requests that the steps of a workflow made.
#[derive(Debug, Default, Clone)]
pub(super) struct Steps {
    pub(super) calls: Vec<Call>,
    pub(super) positions: Vec<String>,
    pub(super) pauses: Vec<String>,
}

/// The position of a process.
enum At {
    /// A workflow between two steps.
    Steps { state: Vec<u8>, waiting: Option<Waiting> },
    /// A calculation that ends at a time.
    Work { ends: i64 },
}

struct Waiting {
    calls: BTreeSet<String>,
    any: bool,
    until: Option<i64>,
}

impl<'a> Running<'a> {
    pub(super) fn new(world: &'a World, seed: u64) -> Self {
        Running {
            world,
            random: seed,
            now: BEGINNING,
            nodes: BTreeMap::new(),
            processes: Vec::new(),
            scratch: Scratch::new(),
        }
    }

    /// Runs a process to its end, and all others to theirs.
    pub(super) fn run<P>(mut self, root: Call) -> Ran<P> {
        self.launch(root, None).unwrap_or_else(|problems| panic!("it can't be called: {problems}"));
        for _ in 0..STEPS_MAX {
            if !self.move_on() {
                break;
            }
        }
        for process in &self.processes {
            flow::forget(&process.uuid);
        }
        let states = |process: &Member| process.ended.as_ref().map(|ended| ended.state.clone());
        let processes = self.processes.iter().map(|process| {
            (process.process_type.clone(), states(process).unwrap_or_else(|| "running".to_owned()))
        });
        let processes = processes.collect();
        let root = &self.processes[0];
        let ended = root.ended.clone();
        let ended =
            ended.unwrap_or_else(|| panic!("`{}` waits for nothing that will come", root.process_type));
        let seconds = (self.now - BEGINNING) as f64 / 1e6;
        let (reports, steps) = (root.reports.clone(), root.steps.clone());
        Ran { ended, reports, steps, processes, seconds, process: PhantomData }
    }

    /// Takes one step, or ends one calculation; whether there was any.
    fn move_on(&mut self) -> bool {
        let ready: Vec<(usize, StepEvent)> =
            (0..self.processes.len()).filter_map(|index| Some((index, self.event(index)?))).collect();
        let next = match ready.is_empty() {
            true => match self.next_moment() {
                Some(next) => Some(next),
                None => return false,
            },
            // Now and then a calculation ends before a workflow looks. Several ends are then delivered at
            // once.
            false => self.next_end().filter(|ends| *ends < self.now + SOON).filter(|_| self.draw(4) == 0),
        };
        if let Some(next) = next {
            self.now = self.now.max(next);
            self.end_one_that_is_due();
            return true;
        }
        let (index, event) = ready[self.draw(ready.len() as u64) as usize].clone();
        self.step(index, event);
        true
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn live(&self) -> impl Iterator<Item = &Member> {
        self.processes.iter().filter(|process| process.ended.is_none())
    }

    /// Returns the next time at which a calculation ends.
    fn next_end(&self) -> Option<i64> {
        let ends = self.live().filter_map(|process| match &process.at {
            At::Work { ends } => Some(*ends),
            At::Steps { .. } => None,
        });
        ends.min()
    }

    /// Returns the next time at which something happens by itself.
    fn next_moment(&self) -> Option<i64> {
        let timers = self.live().filter_map(|process| match &process.at {
            At::Work { .. } => None,
            At::Steps { waiting, .. } => waiting.as_ref()?.until,
        });
        timers.chain(self.next_end()).min()
    }

    fn end_one_that_is_due(&mut self) {
        let due = self.processes.iter().position(|process| {
            process.ended.is_none() && matches!(process.at, At::Work { ends } if ends <= self.now)
        });
        if let Some(index) = due {
            self.work(index);
        }
    }

    /// Returns the event that a workflow would receive now; `None` if it is not its turn.
    fn event(&self, index: usize) -> Option<StepEvent> {
        let process = &self.processes[index];
        let At::Steps { state, waiting } = &process.at else { return None };
        if process.ended.is_some() {
            return None;
        }
        let Some(waiting) = waiting else {
            return Some(if state.is_empty() { StepEvent::Start } else { StepEvent::Continue });
        };
        let ended = waiting.calls.iter().filter_map(|call| {
            Some((call.clone(), self.processes[*process.called.get(call)?].ended.clone()?))
        });
        let children: BTreeMap<String, Ended> = ended.collect();
        let enough = if waiting.any { 1 } else { waiting.calls.len() };
        let timer = waiting.until.is_some_and(|until| until <= self.now);
        let is_due = timer || (!waiting.calls.is_empty() && children.len() >= enough);
        is_due.then_some(StepEvent::Resumed { children, timer })
    }

    /// Takes a step as the engine does: twice, as after a crash before its commit.
    fn step(&mut self, index: usize, event: StepEvent) {
        let process = &self.processes[index];
        let At::Steps { state, .. } = &process.at else { return };
        let request = through_codec(&StepRequest {
            process_type: process.process_type.clone(),
            process: process.uuid.clone(),
            inputs: process.inputs.clone(),
            state: state.clone(),
            event,
            time: self.now,
        });
        let reply = self.take(index, request.clone());
        let again = self.take(index, request.clone());
        assert_eq!(
            reply.then, again.then,
            "a step of `{}` that was taken twice comes to another end: it goes by something hidden",
            request.process_type
        );
        assert_eq!(reply, again, "a step of `{}` that was taken twice differs", request.process_type);
        let uuid = request.process;
        if self.draw(2) == 0 {
            flow::forget(&uuid);
        }
        self.settle(index, reply);
    }

    /// Takes a step and returns its reply. If the step asks how processes ended, it is taken again with that.
    fn take(&self, index: usize, mut request: StepRequest) -> StepReply {
        let Member { entry, called, .. } = &self.processes[index];
        let entry = entry.expect("what is faked takes no steps");
        loop {
            let reply = entry.take_step(&request).unwrap_or_else(|unable| panic!("{}", unable.0));
            let reply: StepReply = through_codec(&reply);
            let asked = match (&reply.then, entry.kind()) {
                (Then::Wait { calls, any: false, .. }, Kind::WorkFunction) => calls,
                _ => return reply,
            };
            let ended = asked
                .iter()
                .filter_map(|call| Some((call.clone(), self.processes[*called.get(call)?].ended.clone()?)));
            request.event = StepEvent::Resumed { children: ended.collect(), timer: false };
        }
    }

    fn settle(&mut self, index: usize, reply: StepReply) {
        self.processes[index].steps.positions.extend(reply.position);
        if let Then::Except(text) = reply.then {
            return self.end(index, "excepted", None, text);
        }
        for command in reply.commands {
            if let Err(text) = self.obey(index, command) {
                return self.end(index, "excepted", None, text);
            }
        }
        let waiting = match reply.then {
            Then::Continue => None,
            Then::Wait { calls, any, until } => {
                Some(Waiting { calls: calls.into_iter().collect(), any, until })
            }
            Then::Finish(exit) => return self.finish(index, exit),
            Then::Except(_) => None,
        };
        self.processes[index].at = At::Steps { state: reply.state, waiting };
    }

    fn obey(&mut self, index: usize, command: Command) -> Result<(), String> {
        match command {
            Command::Launch(call) => {
                let name = call.call.clone();
                let process_type = call.process_type.clone();
                self.processes[index].steps.calls.push((*call).clone());
                self.launch(*call, Some(index))
                    .map_err(|problems| format!("`{process_type}` can't be launched as `{name}`: {problems}"))
            }
            Command::Kill(call) => {
                let child = self.processes[index].called.get(&call).copied();
                self.kill(child.ok_or_else(|| format!("it kills `{call}`, which it has not launched"))?);
                Ok(())
            }
            Command::Output { label, node } => {
                let node =
                    self.nodes.get(&node).ok_or_else(|| format!("output `{label}`: no node `{node}`"))?;
                self.processes[index].outputs.insert(label, node.clone());
                Ok(())
            }
            Command::Report(line) => {
                self.processes[index].reports.push(line);
                Ok(())
            }
            // There are no work directories.
            Command::CleanWorkDirs => Ok(()),
            // The test resumes it at once.
            Command::Pause(reason) => {
                self.processes[index].steps.pauses.push(reason);
                Ok(())
            }
        }
    }

    fn launch(&mut self, call: Call, caller: Option<usize>) -> Result<(), String> {
        let entry = all_entries().find(|entry| entry.answers_to(&call.process_type));
        let fake = self.world.fakes.get(&call.process_type);
        let ports = match (entry, fake) {
            (Some(entry), None) if entry.kind() == Kind::CalcJob => panic!(
                "`{0}` is a calcjob, which no test runs: say how it ends, `testing::world().fake::<..>(..)`",
                call.process_type
            ),
            (Some(entry), _) => entry.spec().inputs,
            (None, Some(fake)) => (fake.inputs)(),
            (None, None) => {
                let message = "no linked crate has a process type `{}`; one of another plugin is faked, \
                               `testing::world().fake::<..>(..)`";
                return Err(message.replace("{}", &call.process_type));
            }
        };
        let fake = fake.is_some();
        let index = self.processes.len();
        if let Some(caller) = caller
            && self.processes[caller].called.insert(call.call.clone(), index).is_some()
        {
            return Err(format!("it launches `{}` twice", call.call));
        }
        let inputs = self.inputs(&ports, call.inputs)?;
        let problems = entry.map(|entry| entry.judge(&inputs)).unwrap_or_default();
        if !problems.is_empty() {
            return Err(problems.to_string());
        }
        let is_work = fake || entry.is_some_and(|entry| entry.kind() == Kind::CalcFunction);
        let at = if is_work {
            At::Work { ends: self.now + self.takes(&call.process_type) }
        } else {
            At::Steps { state: Vec::new(), waiting: None }
        };
        self.processes.push(Member {
            uuid: format!("00000000-0000-4000-8000-{index:012x}"),
            process_type: entry.map_or(call.process_type, Entry::name),
            entry,
            inputs,
            caller: caller.map(|caller| (caller, call.call)),
            called: BTreeMap::new(),
            at,
            outputs: BTreeMap::new(),
            reports: Vec::new(),
            steps: Steps::default(),
            ended: None,
        });
        Ok(())
    }

    fn takes(&mut self, process_type: &str) -> i64 {
        let drawn = self.draw(1_000_000) as i64;
        let said = self.world.takes.get(process_type);
        said.map_or(drawn, |duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4))
    }

    fn inputs(&mut self, ports: &Namespace, given: BTreeMap<String, CallInput>) -> Result<Nodes, String> {
        let mut inputs = Nodes::new();
        for (port, input) in given {
            let node = match input {
                CallInput::Node(uuid) => {
                    let node = self.nodes.get(&uuid).cloned().or_else(|| made_by_tests(&uuid));
                    node.ok_or_else(|| format!("{port}: no node `{uuid}`"))?
                }
                CallInput::Code(label) => code_node(&label),
                CallInput::New(new) => self.store(new, None),
            };
            inputs.insert(port, node);
        }
        self.add_defaults("", ports, &mut inputs);
        Ok(inputs)
    }

    fn add_defaults(&mut self, prefix: &str, ports: &Namespace, inputs: &mut Nodes) {
        for (name, port) in &ports.ports {
            let name = join(prefix, name);
            if let Some(inner) = &port.namespace {
                self.add_defaults(&name, inner, inputs);
            } else if let (Some(value), false) = (&port.default, inputs.contains_key(&name)) {
                let data_type = port.types.first().cloned().unwrap_or_default();
                let node = self.store(NewNode { data_type, value: value.clone(), files: Vec::new() }, None);
                inputs.insert(name, node);
            }
        }
    }

    fn store(&mut self, new: NewNode, sandbox: Option<&PathBuf>) -> Node {
        let uuid = format!("10000000-0000-4000-8000-{:012x}", self.nodes.len());
        let NewNode { data_type, value, files } = new;
        let files = files.into_iter().map(|NewFile { path, source }| {
            let local = self.scratch.path().join(&uuid).join(&path);
            let bytes = match source {
                Source::Inline(bytes) => bytes,
                Source::Sandbox(name) => fs::read(sandbox.map(|dir| dir.join(name)).unwrap_or_default())
                    .expect("it is in the sandbox"),
                Source::Node { uuid, path } => {
                    fs::read(&self.nodes[&uuid].files[&path]).expect("a stored file can be read")
                }
                Source::Retrieved(_) | Source::Temporary(_) => panic!("nothing was retrieved here"),
            };
            fs::create_dir_all(local.parent().unwrap_or(&local)).expect("a directory can be made");
            fs::write(&local, bytes).expect("a file can be written");
            (path, local.to_string_lossy().into_owned())
        });
        let node = Node { files: files.collect(), uuid: uuid.clone(), data_type, value };
        self.nodes.insert(uuid, node.clone());
        node
    }

    /// Ends a calculation.
    fn work(&mut self, index: usize) {
        let process = &self.processes[index];
        let sandbox = self.scratch.path().join(format!("sandbox-{index}"));
        fs::create_dir(&sandbox).expect("a directory can be made");
        let inputs = through_codec(&process.inputs);
        let outcome = match self.world.fakes.get(&process.process_type) {
            Some(fake) => (fake.end)(&inputs, &sandbox),
            None => worked(process.entry.expect("it has no fake"), &inputs, &sandbox),
        };
        let Outcome { outputs, exit, exception, reports } = through_codec(&outcome);
        for (port, new) in outputs {
            let node = self.store(new, Some(&sandbox));
            self.processes[index].outputs.insert(port, node);
        }
        self.processes[index].reports = reports;
        match exception {
            Some(text) => self.end(index, "excepted", None, text),
            None => self.finish(index, exit),
        }
    }

    fn finish(&mut self, index: usize, exit: Option<Exit>) {
        let (status, message) = match exit {
            None => (0, String::new()),
            Some(exit) if exit.label.is_empty() => (exit.status, exit.message),
            Some(exit) => (exit.status, format!("{}: {}", exit.label, exit.message)),
        };
        self.end(index, "finished", Some(status), message);
    }

    /// Ends a process, after those that it called.
    fn kill(&mut self, index: usize) {
        if self.processes[index].ended.is_some() {
            return;
        }
        let called: Vec<usize> = self.processes[index].called.values().copied().collect();
        called.into_iter().for_each(|child| self.kill(child));
        self.end(index, "killed", None, String::new());
    }

    fn end(&mut self, index: usize, state: &str, exit_status: Option<u32>, message: String) {
        let process = &mut self.processes[index];
        let mut outputs = process.outputs.clone();
        if process.caller.is_some() {
            // Steps are lent no files.
            outputs.values_mut().for_each(|node| node.files.clear());
        }
        let uuid = process.uuid.clone();
        process.ended = Some(Ended { uuid, state: state.to_owned(), exit_status, message, outputs });
    }
}

fn worked(entry: &Entry, inputs: &Nodes, sandbox: &std::path::Path) -> Outcome {
    let task = Task::Call { sandbox: sandbox.to_string_lossy().into_owned() };
    match entry.do_work(inputs, task) {
        Ok(WorkReply::Outcome(outcome)) => outcome,
        Ok(_) => panic!("a call ends in an outcome"),
        Err(unable) => panic!("{}", unable.0),
    }
}

/// Returns the node that `testing::code` or `testing::remote_folder` names.
fn made_by_tests(uuid: &str) -> Option<Node> {
    let code = uuid.strip_prefix("code-").map(code_node);
    code.or_else(|| Some(remote_folder(uuid.strip_prefix("remote-")?).lend(&mut Lender::nowhere())))
}

fn code_node(label: &str) -> Node {
    let code = code(label);
    Node { uuid: code.uuid, data_type: "code".to_owned(), value: code.value, files: BTreeMap::new() }
}
