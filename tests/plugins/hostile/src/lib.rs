//! A plugin that misbehaves on request: its inputs name the deed and the moment.
//!
//! ```text
//! ferry run hostile.job prepare=panic
//! ferry run hostile.job parse=loop
//! ferry run hostile.call deed=segfault
//! ```

mod deed;

use ferry_plugin::{CalcJob, Finished, Inputs, Job, NoExit, Outputs, Result, calcfunction, calcjob};

/// The inputs of `hostile.job`.
#[derive(Inputs)]
pub struct JobInputs {
    /// The deed done in `prepare`
    #[port(default = "nothing")]
    pub prepare: String,
    /// The deed done in `parse`
    #[port(default = "nothing")]
    pub parse: String,
}

/// The outputs of `hostile.job`.
#[derive(Outputs)]
pub struct JobOutputs {
    /// Set before the deed, so that it can be seen what a bad end keeps
    pub before: i64,
}

/// The calcjob `hostile.job`.
pub struct HostileJob;

/// A job that is fine, between a `prepare` and a `parse` that may not be.
#[calcjob(name = "hostile.job")]
impl CalcJob for HostileJob {
    type Inputs = JobInputs;
    type Outputs = JobOutputs;
    type Exit = NoExit;

    fn prepare(inputs: &JobInputs, job: &mut Job) -> Result {
        deed::commit(&inputs.prepare)?;
        job.command("true");
        Ok(())
    }

    fn parse(inputs: &JobInputs, _: &Finished, out: &mut JobOutputsDraft) -> Result {
        out.before(1);
        deed::commit(&inputs.parse)
    }
}

/// Takes nothing.
#[derive(Inputs)]
pub struct NoInputs {}

/// Makes nothing.
#[derive(Outputs)]
pub struct NoOutputs {}

/// The calcjob `hostile.leak`.
pub struct Leak;

/// Leaves links in its sandbox that lead to files of the machine; nothing of those files may travel.
#[calcjob(name = "hostile.leak")]
impl CalcJob for Leak {
    type Inputs = NoInputs;
    type Outputs = NoOutputs;
    type Exit = NoExit;

    fn prepare(_: &NoInputs, job: &mut Job) -> Result {
        std::os::unix::fs::symlink("/etc/passwd", job.sandbox().join("leak"))?;
        std::os::unix::fs::symlink("/etc", job.sandbox().join("leaks"))?;
        job.command("cat").args(["leak"]).stdout("leaked");
        job.retrieve(["leaked"]);
        Ok(())
    }

    fn parse(_: &NoInputs, _: &Finished, _: &mut NoOutputsDraft) -> Result {
        Ok(())
    }
}

/// Commits a deed and answers, if it still can.
#[calcfunction]
pub fn call(deed: String) -> Result<i64> {
    deed::commit(&deed)?;
    Ok(1)
}

/// Returns what no store should take.
#[calcfunction]
pub fn nan() -> f64 {
    f64::NAN
}
