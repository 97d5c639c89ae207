//! `script.count`: a workchain that does nothing often, or calls itself often, so that steps and calls can be counted.

use ferry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Inputs)]
pub struct CountInputs {
    /// Steps
    #[port(default = 0, range(0..))]
    pub steps: i64,
    /// Calls, one after the other, of a workchain that does nothing
    #[port(default = 0, range(0..))]
    pub calls: i64,
}

#[derive(Outputs)]
pub struct CountOutputs {}

/// The state that it keeps.
#[derive(Default, Serialize, Deserialize)]
pub struct Count {
    at: i64,
    child: Child<Count>,
}

/// Counts its steps and its calls.
#[workchain(name = "script.count")]
impl WorkChain for Count {
    type Inputs = CountInputs;
    type Outputs = CountOutputs;

    fn outline() -> Outline<Self> {
        outline! {
            while has_steps { step; }
            again;
            while has_calls { call; }
        }
    }
}

impl Count {
    fn has_steps(&self, cx: &Cx<Self>) -> bool {
        self.at < cx.inputs().steps
    }

    fn step(&mut self) {
        self.at += 1;
    }

    fn again(&mut self) {
        self.at = 0;
    }

    fn has_calls(&self, cx: &Cx<Self>) -> bool {
        self.at < cx.inputs().calls
    }

    fn call(&mut self, cx: &mut Cx<Self>) {
        self.at += 1;
        self.child = cx.submit(Draft::new());
    }
}
