//! Powers: a plugin outside of ferry's workspace, with other versions of the crates that both use.
//!
//! ```text
//! ferry run outside.square x=7
//! ferry run outside.power base=2 exponent=10
//! ```

use ferry_plugin::{
    calcfunction, calcjob, CalcJob, ExitCodes, Finished, Inputs, Job, Json, Outputs, Problems, Result,
};
use serde::{Deserialize, Serialize};

/// The origin of the result; a serde type of this crate as a node.
#[derive(Debug, Serialize, Deserialize)]
pub struct Origin {
    /// The text that the job printed.
    pub printed: String,
    /// Version of the serde_json that read it.
    pub read_as: serde_json::Value,
}

/// The inputs of a power.
#[derive(Inputs)]
pub struct PowerInputs {
    /// What is multiplied
    pub base: i64,
    /// How often
    pub exponent: i64,
}

/// The output of a power.
#[derive(Outputs)]
pub struct PowerOutputs {
    /// base to the power of exponent
    pub power: i64,
    /// How it came about
    pub origin: Json<Origin>,
}

/// The exit codes of a power.
#[derive(ExitCodes)]
pub enum PowerExit {
    /// The job left no result.
    #[exit(310, "the job printed nothing")]
    NoOutput,
    /// The job left something else.
    #[exit(311, "the job printed '{text}', which is no number")]
    NoNumber {
        /// The job's text.
        text: String,
    },
}

/// The calcjob `outside.power`.
pub struct Power;

/// Raises a number to a power, in the shell of the computer.
#[calcjob(name = "outside.power")]
impl CalcJob for Power {
    type Inputs = PowerInputs;
    type Outputs = PowerOutputs;
    type Exit = PowerExit;

    fn validate(inputs: &PowerInputs, bad: &mut Problems) {
        if inputs.exponent < 0 {
            bad.at("exponent", "must not be negative: a shell computes with whole numbers");
        }
    }

    fn prepare(inputs: &PowerInputs, job: &mut Job) -> Result {
        let script = "p=1; i=0; while [ $i -lt \"$2\" ]; do p=$((p * $1)); i=$((i + 1)); done; echo $p\n";
        job.write("power.sh", script)?;
        let (base, exponent) = (inputs.base.to_string(), inputs.exponent.to_string());
        job.command("sh").args(["power.sh", &base, &exponent]).stdout("power.txt");
        job.retrieve(["power.txt"]);
        Ok(())
    }

    fn parse(_: &PowerInputs, run: &Finished, out: &mut PowerOutputsDraft) -> Result {
        let text = run.read("power.txt")?.ok_or(PowerExit::NoOutput)?;
        let printed = text.trim().to_owned();
        let read_as =
            serde_json::from_str(&printed).map_err(|_| PowerExit::NoNumber { text: printed.clone() })?;
        out.power(printed.parse().map_err(|_| PowerExit::NoNumber { text: printed.clone() })?);
        out.origin(Json(Origin { printed, read_as }));
        Ok(())
    }
}

/// Squares a number.
#[calcfunction]
pub fn square(x: i64) -> Result<i64> {
    x.checked_mul(x).ok_or_else(|| format!("{x} squared is more than 64 bits hold").into())
}
