//! The context of a step of a workchain: its inputs, and its requests.

use std::fmt;

use ferry_plugin_proto::{Call, Command, StepRequest};

use super::Child;
use crate::{
    error::Result,
    ports::{
        input::{read_inputs, unreadable},
        output::{OutputSet, Outputs, OutputsDraft},
    },
    process::process_type::Process,
    workflow::{draft::Draft, workchain::WorkChain},
};

/// The context of a step of the workchain `W`.
pub struct StepCx<W: WorkChain> {
    inputs: W::Inputs,
    process: String,
    time: i64,
    step: u64,
    launches: Vec<Call>,
    /// Calls that can't be made, and why.
    refused: Vec<String>,
    returned: <W::Outputs as Outputs>::Draft,
    pause: Option<String>,
    cleans: bool,
}

impl<W: WorkChain> StepCx<W> {
    pub(super) fn of(request: &StepRequest, step: u64) -> Result<Self, String> {
        Ok(StepCx {
            inputs: read_inputs::<W::Inputs>(&request.inputs).map_err(unreadable)?,
            process: request.process.clone(),
            time: request.time,
            step,
            launches: Vec::new(),
            refused: Vec::new(),
            returned: OutputsDraft::over(OutputSet::default()),
            pause: None,
            cleans: false,
        })
    }

    /// Returns the inputs.
    pub fn inputs(&self) -> &W::Inputs {
        &self.inputs
    }

    /// Returns the process's uuid: the same whenever the step is taken.
    pub fn process(&self) -> &str {
        &self.process
    }

    /// Returns the time at which the step was due, in microseconds since 1970: the same whenever it is taken.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// Adds a line to the process's report; [`report!`](crate::report!) does too.
    pub fn report(&self, line: impl Into<String>) {
        crate::host::report(line.into());
    }

    /// Launches a process. It has ended when the next step is taken; keep the handle in the workchain's struct. A
    /// draft that can't be launched fails the step.
    pub fn submit<P: Process>(&mut self, draft: Draft<P>) -> Child<P> {
        match draft.into_call("") {
            Ok(call) => self.launch(call),
            Err(error) => {
                self.refused.push(format!("`{}` can't be launched: {error}", P::type_name()));
                Child::default()
            }
        }
    }

    /// Launches a process whose type is known by its name alone. Its name among the calls is given here.
    pub fn call(&mut self, call: Call) -> Child<()> {
        self.launch(call)
    }

    /// Returns stored nodes as outputs, one by one: `cx.out().energy(node)`.
    pub fn out(&mut self) -> &mut <W::Outputs as Outputs>::Draft {
        &mut self.returned
    }

    /// Pauses the process after this step until a user plays it, so that a person can look at it.
    pub fn pause(&mut self, reason: impl Into<String>) {
        self.pause = Some(reason.into());
    }

    /// Allows the removal of the work directories of all calculations below this process, once it has
    /// finished or was killed.
    pub fn clean_work_dirs(&mut self) {
        self.cleans = true;
    }

    fn launch<P>(&mut self, call: Call) -> Child<P> {
        // The names are the same whenever the step is taken, and differ from those of other steps.
        let name = format!("{}.{}", self.step, self.launches.len());
        self.launches.push(Call { call: name.clone(), ..call });
        Child::new(name)
    }

    /// Returns the calls of this step.
    pub(super) fn calls(&self) -> Vec<String> {
        self.launches.iter().map(|call| call.call.clone()).collect()
    }

    /// Fails with the calls that can't be made.
    pub(super) fn check(&self) -> Result {
        if self.refused.is_empty() { Ok(()) } else { Err(self.refused.join("; ").into()) }
    }

    /// Returns the commands that were asked for. Without `launches`, it leaves out the launches, because no
    /// step will wait for them.
    ///
    /// # Errors
    /// Fails if an output can't be set.
    pub(super) fn into_commands(self, launches: bool) -> Result<Vec<Command>> {
        let launch = |call| Command::Launch(Box::new(call));
        let launched = self.launches.into_iter().filter(|_| launches).map(launch);
        let returned = self.returned.into_set().into_handed_on()?;
        let output = |(label, node)| Command::Output { label, node };
        let pause = self.pause.map(Command::Pause);
        let clean = self.cleans.then_some(Command::CleanWorkDirs);
        Ok(launched.chain(returned.into_iter().map(output)).chain(pause).chain(clean).collect())
    }
}

impl<W: WorkChain> fmt::Debug for StepCx<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepCx")
            .field("step", &self.step)
            .field("launches", &self.launches)
            .finish_non_exhaustive()
    }
}
