//! Calcjobs: a calculation that the engine runs as a job of a scheduler. The author prepares it and reads its
//! results; everything between is the engine's.

use std::{collections::BTreeMap, path::Path};

use ferry_plugin_proto::{Inputs as Nodes, Kind, Task, Value, WorkReply};

use crate::{
    error::Result,
    host::report,
    ports::{
        input::{Inputs, read_inputs, unreadable, validators::judge_inputs},
        output::{OutputSet, Outputs, OutputsDraft},
        places::Places,
        problems::Problems,
    },
    process::{
        exit::ExitCodes,
        finished::Finished,
        job::Job,
        option::OptionDefaults,
        registry::{About, Entry, Spec, Unable, no_steps},
    },
};

/// A calculation that runs as a job. Implement it under [`#[calcjob]`](crate::calcjob), which registers it; the
/// crate's documentation shows one.
///
/// None of the three functions keeps anything for the next: each may run in another child, and again after a
/// crash.
pub trait CalcJob: 'static {
    /// Its input ports.
    type Inputs: Inputs;
    /// Its output ports.
    type Outputs: Outputs;
    /// Its exit codes; `NoExit` if the block has no such type.
    type Exit: ExitCodes;

    /// Returns the options (`metadata.options`) that apply where the user sets none: names of files,
    /// resources, ...
    fn options() -> OptionDefaults {
        OptionDefaults::default()
    }

    /// Judges inputs together, before the process exists. Types, ranges, choices and missing inputs are
    /// checked before.
    fn validate(inputs: &Self::Inputs, bad: &mut Problems) {
        let _ = (inputs, bad);
    }

    /// Writes the job's files, and describes the commands and the files to retrieve.
    ///
    /// # Errors
    /// An exit code finishes the process with it; any other error excepts it. Nothing was submitted.
    fn prepare(inputs: &Self::Inputs, job: &mut Job) -> Result;

    /// Reads the retrieved files and sets the outputs. Outputs that were set are kept even if it fails.
    ///
    /// # Errors
    /// An exit code finishes the process with it; any other error excepts it.
    fn parse(inputs: &Self::Inputs, run: &Finished, out: &mut <Self::Outputs as Outputs>::Draft) -> Result;
}

impl Entry {
    /// Returns the entry of a calcjob.
    pub const fn calcjob<C: CalcJob>(about: About) -> Self {
        Entry {
            about,
            kind: Kind::CalcJob,
            spec: spec::<C>,
            validate: validate::<C>,
            work: work::<C>,
            step: no_steps,
        }
    }
}

fn spec<C: CalcJob>() -> Spec {
    Spec {
        inputs: C::Inputs::namespace(),
        outputs: C::Outputs::namespace(),
        exit_codes: C::Exit::declared(),
        options: C::options().into_map(),
    }
}

pub(crate) fn validate<C: CalcJob>(nodes: &Nodes) -> Problems {
    judge_inputs(nodes, C::validate)
}

pub(crate) fn work<C: CalcJob>(nodes: &Nodes, task: Task) -> Result<WorkReply, Unable> {
    match task {
        Task::Prepare { sandbox, options } => Ok(prepare::<C>(nodes, &sandbox, options)),
        Task::Parse { retrieved, temporary, sandbox, job, options } => {
            let run = Finished::new(retrieved.into(), temporary.map(Into::into), job).with_options(options);
            Ok(parse::<C>(nodes, &run, Path::new(&sandbox)))
        }
        _ => Err(Unable("it is a calcjob, which is prepared and parsed, not called")),
    }
}

fn prepare<C: CalcJob>(nodes: &Nodes, sandbox: &str, options: BTreeMap<String, Value>) -> WorkReply {
    let (result, reports) = report::collect(|| {
        let inputs = read_inputs::<C::Inputs>(nodes).map_err(unreadable)?;
        let mut job = Job::new(sandbox.into(), options);
        C::prepare(&inputs, &mut job)?;
        Result::Ok(job.into_description()?)
    });
    match result {
        Ok(mut description) => {
            description.reports = reports;
            WorkReply::Job(description)
        }
        Err(error) => {
            let mut outcome = OutputSet::default().settle(Err(error));
            outcome.reports = reports;
            WorkReply::Outcome(outcome)
        }
    }
}

fn parse<C: CalcJob>(nodes: &Nodes, run: &Finished, sandbox: &Path) -> WorkReply {
    let places = Places::new(sandbox).retrieved(run.retrieved(), run.temporary_dir());
    let (mut outcome, reports) = report::collect(|| {
        let mut draft = <C::Outputs as Outputs>::Draft::over(OutputSet::new(places));
        let result = match read_inputs::<C::Inputs>(nodes) {
            Ok(inputs) => C::parse(&inputs, run, &mut draft),
            Err(bad) => Err(unreadable(bad).into()),
        };
        draft.into_set().settle(result)
    });
    outcome.reports = reports;
    WorkReply::Outcome(outcome)
}
