//! `script.rounds`: a workchain with everything that one may have: a loop, children of each kind, exposed ports of a
//! child, a dynamic namespace of outputs, and ways to go wrong.

use std::collections::BTreeMap;

use arithmetic::{AddJob, MultiplyAdd, add};
use ferry_plugin::{Exposed, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Inputs)]
pub struct RoundsInputs {
    /// How often the loop goes round
    #[port(default = 2, range(1..))]
    pub rounds: i64,
    /// Jobs of each round
    #[port(default = 2, range(1..))]
    pub width: i64,
    /// How the jobs are run
    #[port(exclude(x, y))]
    pub job: Draft<AddJob>,
    /// Where it goes wrong: `step`, `condition`, `exit`
    #[port(choices("step", "condition", "exit"))]
    pub wrong: Option<String>,
}

#[derive(Outputs)]
pub struct RoundsOutputs {
    /// The sums of the first job of each round
    pub sums: BTreeMap<String, Node<i64>>,
    /// The outputs of the last job
    pub last: Exposed<AddJob>,
    /// What the workchain inside made of the first and the last sum
    pub total: Node<i64>,
}

#[derive(ExitCodes)]
pub enum RoundsExit {
    #[exit(400, "told so in round {round}")]
    ToldSo { round: i64 },
}

/// Numbers from 0 on: an output that is too large to be kept in a workchain's state.
#[calcfunction(name = "script.numbers")]
pub fn numbers(count: i64) -> Vec<i64> {
    (0..count).collect()
}

/// The state that it keeps.
#[derive(Default, Serialize, Deserialize)]
pub struct Rounds {
    round: i64,
    jobs: Vec<Child<AddJob>>,
    sums: Vec<Node<i64>>,
    both: Child<add>,
    numbers: Child<numbers>,
    total: Child<MultiplyAdd>,
}

/// Adds numbers in rounds of jobs.
#[workchain(name = "script.rounds")]
impl WorkChain for Rounds {
    type Inputs = RoundsInputs;
    type Outputs = RoundsOutputs;
    type Exit = RoundsExit;

    fn outline() -> Outline<Self> {
        outline! {
            while unfinished {
                launch;
                gather;
            }
            if single { sum_alone; } else { sum_both; }
            count;
            inside;
            results;
        }
    }

    fn validate(inputs: &RoundsInputs, bad: &mut Problems) {
        if inputs.rounds * inputs.width > 1000 {
            bad.at("width", "a thousand jobs are enough");
        }
        if inputs.job.ports().given().contains_key("marker") && inputs.width > 100 {
            bad.at("job.marker", "so many jobs can't share one file");
        }
    }
}

impl Rounds {
    fn unfinished(&self, cx: &Cx<Self>) -> Result<bool> {
        if self.round == 1 && cx.inputs().wrong.as_deref() == Some("condition") {
            Err("nobody can tell")?;
        }
        Ok(self.round < cx.inputs().rounds)
    }

    fn launch(&mut self, cx: &mut Cx<Self>) {
        self.round += 1;
        self.jobs.clear();
        for y in 0..cx.inputs().width {
            let mut job = cx.inputs().job.clone();
            job.x(self.round * 10).y(y);
            job.metadata().label(format!("job {y}")).link_label(format!("round_{:02}", self.round));
            self.jobs.push(cx.submit(job));
        }
    }

    fn gather(&mut self, cx: &mut Cx<Self>) -> Result {
        match cx.inputs().wrong.as_deref() {
            Some("step") => panic!("as it was told"),
            Some("exit") => Err(RoundsExit::ToldSo { round: self.round })?,
            _ => (),
        }
        let first = self.jobs.first().ok_or("there are no jobs")?.outputs()?.sum;
        report!("round {}: {}", self.round, first.value()?);
        cx.out().sums((format!("round_{}", self.round), first.clone()));
        self.sums.push(first);
        Ok(())
    }

    fn single(&self) -> bool {
        self.sums.len() == 1
    }

    fn sum_alone(&mut self, cx: &mut Cx<Self>) {
        self.both = cx.submit(add::with(&self.sums[0], 0));
    }

    fn sum_both(&mut self, cx: &mut Cx<Self>) -> Result {
        let last = self.sums.last().ok_or("there are no sums")?;
        self.both = cx.submit(add::with(&self.sums[0], last));
        Ok(())
    }

    fn count(&mut self, cx: &mut Cx<Self>) {
        self.numbers = cx.submit(numbers::with(10_000));
    }

    fn inside(&mut self, cx: &mut Cx<Self>) -> Result {
        let mut inside = Draft::<MultiplyAdd>::new();
        inside.x(self.both.outputs()?).y(2).z(&self.sums[0]);
        inside.metadata().label("inside").link_label("inside");
        self.total = cx.submit(inside);
        Ok(())
    }

    fn results(&mut self, cx: &mut Cx<Self>) -> Result {
        report!("counted to {}", self.numbers.outputs()?.value()?.len());
        let last = self.jobs.last().ok_or("there are no jobs")?.exposed()?;
        cx.out().last(last).total(self.total.outputs()?.result);
        Ok(())
    }
}
