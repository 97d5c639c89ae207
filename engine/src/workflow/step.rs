//! One step of a workflow: from the event to the commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ferry_plugin_proto::{
    Ended, Exit, Inputs, Node as PluginNode, ProcessType, StepEvent, StepReply, StepRequest, Then,
};
use tokio::sync::Notify;

use super::{
    checkpoint::{Checkpoint, Waiting},
    commands::{Effects, gather},
};
use crate::{
    clock, crash,
    owner::Context,
    process::State,
    spec::flatten,
    step::{StepError, StepResult, find_type},
    store::{Change, Child, ErrorKind, Level, LinkType, NodeId, Process},
};

/// AiiDA's exit code for a required output that was not returned.
const MISSING_OUTPUT: u32 = 11;

/// The result of advancing a workflow.
#[derive(Debug)]
pub(crate) enum Advance {
    /// It took a step. The step launched some processes and asked for the end of others; a last step may do so,
    /// too.
    Stepped {
        /// Processes that it launched.
        born: Vec<NodeId>,
        /// Processes whose end it asked for.
        killed: Vec<NodeId>,
        /// True if it was the last step.
        ended: bool,
    },
    /// It waits; a timer wakes it after this time.
    Rests(Option<Duration>),
    /// It was interrupted before it had any effect.
    Interrupted,
}

/// A plugin's answer to an event, and the effects of its commands: a whole step except its commit.
struct Worked {
    process_type: ProcessType,
    effects: Effects,
    state: Vec<u8>,
    position: Option<String>,
    then: Then,
}

/// A workflow that is being worked on: its row, and its saved state.
pub(crate) struct Workflow<'a> {
    pub(super) cx: &'a Arc<Context>,
    pub(super) process: Process,
    pub(super) state: Checkpoint,
}

impl<'a> Workflow<'a> {
    /// Starts work on a process.
    ///
    /// # Errors
    /// `Except` for a saved state that can't be read.
    pub(crate) fn new(cx: &'a Arc<Context>, process: Process) -> StepResult<Self> {
        let state = Checkpoint::read(process.checkpoint()).map_err(StepError::Except)?;
        Ok(Workflow { cx, process, state })
    }

    /// Takes one step, if one is due. An interrupt is noticed while the plugin works, not during the commit.
    /// Otherwise a commit could succeed unnoticed, and the processes that the step launched would never be woken.
    ///
    /// # Errors
    /// Returns the errors of a step; nothing is committed then.
    ///
    /// # Cancel safety
    /// Dropping it is like a crash. Either the step is taken again, or its commit has succeeded and the processes
    /// that it launched wait for the next start of an engine.
    pub(crate) async fn advance(&mut self, interrupt: &Notify) -> StepResult<Advance> {
        let Some(event) = self.event()? else { return Ok(Advance::Rests(self.until_timer())) };
        let worked = tokio::select! {
            biased;
            worked = self.work(event) => worked?,
            () = interrupt.notified() => return Ok(Advance::Interrupted),
        };
        crash::point("step.worked");
        let advance = self.settle(worked).await?;
        crash::point("step.stored");
        Ok(advance)
    }

    async fn work(&self, event: StepEvent) -> StepResult<Worked> {
        let request = StepRequest {
            process_type: self.process.process_type.clone(),
            process: self.process.uuid.to_string(),
            inputs: inputs(self.cx, self.process.id)?,
            state: self.state.state.clone(),
            event,
            time: clock::steady().as_microsecond(),
        };
        let StepReply { state, position, commands, then, .. } =
            self.cx.step(&self.process.plugin, &request).await?;
        let process_type = find_type(&self.cx.store, &self.process.plugin, &self.process.process_type)?;
        let effects = match then {
            // A step that excepts has no effects, so that the process can be resumed from before it.
            Then::Except(_) => Effects::reports_of(self, &commands),
            _ => gather(self, &process_type, commands, &then).await?,
        };
        Ok(Worked { process_type, effects, state, position, then })
    }

    fn event(&self) -> StepResult<Option<StepEvent>> {
        let Some(waiting) = &self.state.waiting else {
            return Ok(Some(if self.state.steps == 0 { StepEvent::Start } else { StepEvent::Continue }));
        };
        let timer = waiting.until.is_some_and(|until| until <= clock::steady());
        let may_be_complete =
            waiting.any || self.process.flow().is_some_and(|flow| flow.woken >= waiting.calls.len() as i64);
        if !timer && !may_be_complete {
            return Ok(None);
        }
        let wanted: BTreeSet<&str> = waiting.calls.iter().map(String::as_str).collect();
        let ended: Vec<Child> =
            self.children(&wanted)?.into_iter().filter(|child| child.state.is_terminal()).collect();
        let complete = if waiting.any { !ended.is_empty() } else { ended.len() == wanted.len() };
        if !timer && (!complete || wanted.is_empty()) {
            return Ok(None);
        }
        let children = ended.into_iter().map(|child| Ok((child.call.clone(), told(self.cx, child)?)));
        Ok(Some(StepEvent::Resumed { children: children.collect::<StepResult<_>>()?, timer }))
    }

    /// Returns the children under these calls. A process that calls thousands one after the other waits for few of
    /// them.
    fn children(&self, calls: &BTreeSet<&str>) -> StepResult<Vec<Child>> {
        const FEW: usize = 16;
        let (store, process) = (&self.cx.store, self.process.id);
        if calls.len() > FEW {
            let all = store.children(process)?.into_iter();
            return Ok(all.filter(|child| calls.contains(child.call.as_str())).collect());
        }
        let found = calls.iter().map(|call| store.child(process, call));
        Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Returns whether an earlier step has made this call.
    pub(super) fn has_called(&self, call: &str) -> StepResult<bool> {
        Ok(self.state.steps > 0 && self.cx.store.child(self.process.id, call)?.is_some())
    }

    fn until_timer(&self) -> Option<Duration> {
        let until = self.state.waiting.as_ref()?.until?;
        Some(Duration::try_from(until.duration_since(clock::steady())).unwrap_or_default())
    }

    async fn settle(&mut self, worked: Worked) -> StepResult<Advance> {
        let Worked { process_type, effects, state, position, then } = worked;
        let mut changes = effects.changes;
        if let Some(started) = self.process.start() {
            changes.insert(0, started);
        }
        self.state.steps += 1;
        self.state.state = state;
        self.state.cleans |= effects.cleans;
        let waited = self.state.waiting.take();
        if let Some(flow) = self.process.flow_mut() {
            (flow.wake, flow.since) = (None, None);
        }
        self.process.progress();
        match (effects.wrong_output, then) {
            (Some(exit), _) => changes.extend(self.process.finish(Some(&exit))),
            (None, Then::Continue) => self.process.run(position),
            (None, Then::Wait { calls, any, until }) => {
                self.check_calls(&calls, waited, &effects.launched)?;
                self.wait(position, Waiting::new(calls, any, until)?);
            }
            (None, Then::Finish(exit)) => {
                let missing = missing_output(&process_type, &effects.outputs);
                changes.extend(self.process.finish(exit.or(missing).as_ref()));
            }
            (None, Then::Except(text)) => {
                self.state = Checkpoint::read(self.process.checkpoint()).unwrap_or_default();
                changes.extend(self.process.except(text));
            }
        }
        if self.process.state == State::Finished {
            changes
                .extend(self.state.cleans.then_some(Change::Clean { process: self.process.id, below: true }));
        }
        if let Some(reason) = effects.pause.filter(|_| !self.process.state.is_terminal()) {
            changes.push(self.process.pause(Level::Report, reason));
        }
        let killed = changes.iter().filter_map(|change| match change {
            Change::RequestKill { process, .. } => Some(*process),
            _ => None,
        });
        let killed = killed.collect();
        let born = self.commit_step(changes).await?;
        if self.process.state.is_terminal() && self.state.cleans {
            self.cx.hurry_cleaner();
        }
        Ok(Advance::Stepped { born, killed, ended: self.process.state.is_terminal() })
    }

    /// Refuses to wait for a call that was never made. Calls that were waited for before were made, and are not
    /// looked up.
    fn check_calls(
        &self,
        calls: &[String],
        before: Option<Waiting>,
        launched: &BTreeSet<String>,
    ) -> StepResult {
        let before: BTreeSet<String> = before.into_iter().flat_map(|waiting| waiting.calls).collect();
        for call in calls.iter().filter(|call| !launched.contains(*call) && !before.contains(*call)) {
            if !self.has_called(call)? {
                return Err(StepError::Except(format!("it waits for `{call}`, which it never launched")));
            }
        }
        Ok(())
    }

    fn wait(&mut self, position: Option<String>, waiting: Waiting) {
        let position = position.map(|name| format!("{name}: ")).unwrap_or_default();
        self.process.wait(format!("{position}{}", waiting.in_words()));
        if let Some(flow) = self.process.flow_mut() {
            (flow.wake, flow.since) = (waiting.until, waiting.until.map(|_| clock::steady()));
        }
        self.state.waiting = Some(waiting);
    }

    /// Commits a step; returns the processes that it launched. A violation of the store's rules is the plugin's
    /// error.
    async fn commit_step(&mut self, changes: Vec<Change>) -> StepResult<Vec<NodeId>> {
        let makes = changes.iter().filter_map(|change| match change {
            Change::Process(_) => Some(true),
            Change::Data(_) => Some(false),
            _ => None,
        });
        let is_process: Vec<bool> = makes.collect();
        match self.commit(changes).await {
            Ok(made) => {
                let born = made.into_iter().zip(is_process);
                Ok(born.filter_map(|(id, is_process)| is_process.then_some(id)).collect())
            }
            Err(StepError::Store(error))
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Rule | ErrorKind::Exists) =>
            {
                Err(StepError::Except(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    async fn commit(&mut self, mut changes: Vec<Change>) -> StepResult<Vec<NodeId>> {
        let json =
            serde_json::to_string(&self.state).map_err(|error| StepError::Except(error.to_string()))?;
        // If the event that it waits for has come already, one of the known ends is not counted. So the row is not at
        // rest if this owner dies before the next step.
        let is_early = self.process.state == State::Waiting && self.event()?.is_some();
        let is_over = self.process.is_over();
        if let Some(flow) = self.process.flow_mut() {
            flow.woken -= i64::from(is_early);
            flow.checkpoint = (!is_over).then_some(json);
        }
        changes.push(self.process.update());
        let made = self.cx.store.commit(changes).await?;
        self.process.version += 1;
        Ok(made)
    }

    pub(super) fn log(&self, level: Level, message: impl Into<String>) -> Change {
        self.process.log(level, message)
    }
}

/// Returns the inputs of a workflow as values; a step reads no files.
fn inputs(cx: &Context, process: NodeId) -> StepResult<Inputs> {
    let mut inputs = Inputs::new();
    for link in cx.store.incoming(process)? {
        if matches!(link.link_type, LinkType::InputCalc | LinkType::InputWork) {
            inputs.insert(link.label, lent(cx, link.source)?);
        }
    }
    Ok(inputs)
}

fn lent(cx: &Context, node: NodeId) -> StepResult<PluginNode> {
    let node = cx.store.node(node)?;
    Ok(PluginNode {
        uuid: node.uuid.to_string(),
        data_type: node.node_type,
        value: node.body,
        files: BTreeMap::new(),
    })
}

/// Returns the end of a child, in the form that its caller gets.
fn told(cx: &Context, child: Child) -> StepResult<Ended> {
    let mut outputs = BTreeMap::new();
    for link in cx.store.outgoing(child.id)? {
        if matches!(link.link_type, LinkType::Create | LinkType::Return) {
            outputs.insert(link.label, lent(cx, link.target)?);
        }
    }
    Ok(Ended {
        uuid: child.uuid.to_string(),
        state: child.state.as_str().to_owned(),
        exit_status: child.exit_status,
        message: child.exit_message.unwrap_or_default(),
        outputs,
    })
}

fn missing_output(process_type: &ProcessType, given: &BTreeSet<String>) -> Option<Exit> {
    let ports = flatten(&process_type.outputs);
    let missing: Vec<&str> = ports
        .values()
        .filter(|port| port.required && !port.dynamic && !given.contains(&port.name))
        .map(|port| port.name.as_str())
        .collect();
    (!missing.is_empty()).then(|| Exit {
        status: MISSING_OUTPUT,
        label: "ERROR_MISSING_OUTPUT".into(),
        message: format!("the required output {} was not returned", missing.join(", ")),
    })
}
