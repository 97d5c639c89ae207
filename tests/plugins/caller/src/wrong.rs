//! Processes that do not keep what their types promise.

use ferry_plugin::{
    Machine, Steps, machine,
    prelude::*,
    proto::{StepEvent, Then},
};

#[derive(Inputs)]
pub struct WrongInputs {
    /// What is returned
    pub x: Node<i64>,
    /// How it goes wrong
    #[port(choices("undeclared", "missing", "type", "twice", "panic"))]
    pub how: String,
}

#[derive(Outputs)]
pub struct WrongOutputs {
    pub number: Node<i64>,
    pub text: Option<Node<String>>,
}

/// The machine.
pub struct Wrong;

/// Returns what it may not, or not what it must.
#[machine(name = "caller.wrong")]
impl Machine for Wrong {
    type Inputs = WrongInputs;
    type Outputs = WrongOutputs;
    type State = ();

    fn step(inputs: &WrongInputs, _: &mut (), _: &StepEvent, cx: &mut Steps) -> Result<Then> {
        let x = inputs.x.uuid();
        if inputs.how != "missing" {
            cx.output("number", x);
        }
        match &*inputs.how {
            "undeclared" => cx.output("numbers.more", x),
            "type" => cx.output("text", x),
            "twice" => cx.output("number", x),
            "panic" => panic!("it lost its head"),
            _ => {}
        }
        Ok(Then::Finish(None))
    }
}

#[derive(Inputs)]
pub struct ForgetsInputs {}

#[derive(Outputs)]
pub struct ForgetsOutputs {
    pub number: i64,
}

/// The calcjob.
pub struct Forgets;

/// Runs, and its parser sets nothing.
#[calcjob(name = "caller.forgets")]
impl CalcJob for Forgets {
    type Inputs = ForgetsInputs;
    type Outputs = ForgetsOutputs;

    fn prepare(_: &ForgetsInputs, job: &mut Job) -> Result {
        job.command("true");
        Ok(())
    }

    fn parse(_: &ForgetsInputs, _: &Finished, _: &mut ForgetsOutputsDraft) -> Result {
        Ok(())
    }
}
