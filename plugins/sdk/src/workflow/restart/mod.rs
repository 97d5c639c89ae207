//! Restart workchains: run a child until it succeeds, and let handlers correct what went wrong. AiiDA's
//! `BaseRestartWorkChain`, with its inputs, exit codes and rules.

mod chain;
mod failure;
mod handler;
mod inputs;
#[cfg(test)]
mod tests;

use serde::{Serialize, de::DeserializeOwned};

pub use chain::{RestartExit, RestartExits, Restarting};
pub use failure::{Escalation, JobFailure, Resource};
pub use handler::{Handler, Next};
pub use inputs::{Override, RestartInputs, RestartInputsDraft, RestartSettings, RestartSettingsDraft};

use crate::{
    error::Result,
    process::{exit::ExitCodes, process_type::Process},
    workflow::draft::Draft,
};

/// A process that runs a child again and again until it is satisfied; made by [`#[restart]`](crate::restart) of an
/// ordinary block of methods.
///
/// ```
/// # use ferry_plugin::{prelude::*, Next};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Inputs)] pub struct PwInputs { pub steps: i64 }
/// # #[derive(Outputs)] pub struct PwOutputs { pub energy: f64 }
/// # #[derive(ExitCodes)] pub enum PwExit {
/// #     #[exit(410, "not converged in {steps} steps")] NotConverged { steps: i64 },
/// #     #[exit(310, "no output")] NoOutput,
/// # }
/// # pub struct Pw;
/// # #[calcjob(name = "doc.restart_pw")] impl CalcJob for Pw {
/// #   type Inputs = PwInputs; type Outputs = PwOutputs; type Exit = PwExit;
/// #   fn prepare(_: &PwInputs, _: &mut Job) -> Result { Ok(()) }
/// #   fn parse(_: &PwInputs, _: &Finished, _: &mut PwOutputsDraft) -> Result { Ok(()) }
/// # }
/// #[derive(Default, Serialize, Deserialize)]
/// pub struct PwBase {
///     next: Draft<Pw>, // what the next iteration is given; at first the inputs of the namespace `pw`
///     steps: i64,
/// }
///
/// /// Runs pw.x until it converges.
/// #[restart(name = "doc.pw_base", child = Pw)]
/// impl PwBase {
///     /// More steps.
///     #[handler(priority = 500, on(PwExit::NotConverged))]
///     fn resume(&mut self, run: &Child<Pw>) -> Result<Next> {
///         self.steps += 100;
///         self.next.steps(self.steps);
///         Ok(Next::Restart)
///     }
/// }
///
/// let mut base = Draft::<PwBase>::new();
/// let mut pw = Draft::<Pw>::new();
/// pw.steps(50);
/// base.child(pw).max_iterations(4);
/// let world = testing::world().fake::<Pw, _>(|pw| -> Result<PwOutputs> {
///     if pw.steps < 200 {
///         Err(PwExit::NotConverged { steps: pw.steps })?;
///     }
///     Ok(PwOutputs { energy: -1.0 })
/// });
/// let ran = world.call(base);
/// assert_eq!((ran.calls().len(), ran.output::<f64>("energy")), (3, Ok(-1.0)));
/// assert_eq!(ran.calls()[2].link_label, "iteration_03");
/// ```
///
/// After each iteration the enabled handlers are asked, those of a higher priority first. Handlers with `on(..)`
/// are asked if the child finished with one of these exit codes, the others always. A handler decides what comes
/// [`Next`]; an exit code that it returns as an error ends the workchain. If no handler decides, a child that
/// succeeded ends the workchain with its outputs. For one that failed, the input `on_unhandled_failure` decides.
///
/// Handlers of failures that ferry itself determines name a [`JobFailure`]: `on(JobFailure::OutOfMemory)`.
/// Mostly none is needed: where no handler decides, the input `escalation` lets the next job ask for more of the
/// resource that ran out, up to a limit. [`Draft::raise`] does so in a handler.
///
/// `#[restart(name = "..", child = Pw, exit = PwBaseExit)]` declares exit codes of its own. A method under `#[setup]`
/// runs once before the first iteration.
pub trait Restart: Serialize + DeserializeOwned + Default + 'static {
    /// The process that it runs.
    type Child: Process;
    /// Exit codes that its handlers may return, beside [`RestartExit`].
    type Exit: ExitCodes;
    /// The namespace of the child's inputs.
    const NAMESPACE: &'static str;

    /// Returns the inputs of the next iteration: the field `next`.
    fn next(&mut self) -> &mut Draft<Self::Child>;

    /// Returns its handlers, in the order of the block.
    fn handlers() -> Vec<Handler<Self>>;

    /// Runs once, before the first iteration.
    ///
    /// # Errors
    /// An exit code or any other error, which end the workchain.
    fn setup(&mut self) -> Result {
        Ok(())
    }
}
