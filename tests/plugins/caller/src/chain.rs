//! Every style of workflow over children that live in other files.

use std::collections::BTreeMap;

use ferry_plugin::{Exposed, prelude::*};
use serde::{Deserialize, Serialize};

use crate::{arithmetic, script};

#[derive(Inputs)]
pub struct SumsInputs {
    /// How the jobs are run
    #[port(expose, exclude(x))]
    pub job: Draft<arithmetic::AddJob>,
    /// What is added to each of
    pub terms: BTreeMap<String, Node<i64>>,
    /// A workchain of another plugin, with all that it takes
    #[port(expose)]
    pub rounds: Draft<script::Rounds>,
}

#[derive(Outputs)]
pub struct SumsOutputs {
    /// By the names of the terms
    pub sums: BTreeMap<String, Node<i64>>,
    /// All that the workchain gives
    #[port(expose)]
    pub rounds: Exposed<script::Rounds>,
    /// The first sum and the workchain's total together
    pub total: Node<i64>,
}

#[derive(ExitCodes)]
pub enum SumsExit {
    #[exit(400, "the sum of `{term}` is negative")]
    Negative { term: String },
    #[exit(401, "the rounds ended with {status}")]
    Rounds { status: u32 },
}

/// The state that it keeps.
#[derive(Default, Serialize, Deserialize)]
pub struct Sums {
    jobs: BTreeMap<String, Child<arithmetic::AddJob>>,
    rounds: Child<script::Rounds>,
    total: Child<arithmetic::Add>,
}

/// Adds to each of some terms in jobs, beside a workchain.
#[workchain(name = "caller.sums")]
impl WorkChain for Sums {
    type Inputs = SumsInputs;
    type Outputs = SumsOutputs;
    type Exit = SumsExit;

    fn outline() -> Outline<Self> {
        outline! { launch; add; results; }
    }
}

impl Sums {
    fn launch(&mut self, cx: &mut Cx<Self>) {
        for (name, term) in &cx.inputs().terms.clone() {
            let mut job = cx.inputs().job.clone();
            job.x(term);
            job.metadata().link_label(name.clone());
            self.jobs.insert(name.clone(), cx.submit(job));
        }
        let rounds = cx.inputs().rounds.clone();
        self.rounds = cx.submit(rounds);
    }

    fn add(&mut self, cx: &mut Cx<Self>) -> Result {
        for (name, job) in &self.jobs {
            if job.exit_status() == Some(arithmetic::AddJobExit::NEGATIVE_NUMBER) {
                Err(SumsExit::Negative { term: name.clone() })?;
            }
            cx.out().sums((name, job.outputs()?.sum));
        }
        let status = self.rounds.exit_status().unwrap_or_default();
        let total = self.rounds.outputs_or(SumsExit::Rounds { status })?.total;
        let first = self.jobs.values().next().ok_or("there are no terms")?.outputs()?.sum;
        let mut add = Draft::<arithmetic::Add>::new();
        add.x(&first).y(&total);
        self.total = cx.submit(add);
        Ok(())
    }

    fn results(&mut self, cx: &mut Cx<Self>) -> Result {
        let total = self.total.outputs()?.result;
        let rounds = self.rounds.exposed()?;
        cx.out().total(total).rounds(rounds);
        Ok(())
    }
}

/// The state that it keeps.
#[derive(Default, Serialize, Deserialize)]
pub struct Base {
    next: Draft<arithmetic::AddJob>,
}

/// Adds two numbers, and 2 again as long as the sum is negative.
#[restart(name = "caller.base", child = arithmetic::AddJob)]
impl Base {
    #[handler(priority = 500, on(arithmetic::AddJobExit::NegativeNumber))]
    fn mend(&mut self, run: &Child<arithmetic::AddJob>) -> Result<Next> {
        let sum = run.output::<i64>("sum")?.ok_or("there is no sum")?;
        self.next.x(sum).y(2);
        Ok(Next::Restart)
    }
}

/// The square of `x`, if there is one.
#[workfunction(name = "caller.square")]
pub async fn square(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    let mut times = Draft::<arithmetic::Multiply>::new();
    times.x(&x).y(&x);
    times.metadata().label("square");
    Ok(cx.call(times).await?.result)
}

/// The outputs of [`both`].
#[derive(Outputs)]
pub struct BothOutputs {
    /// Of the job and the function beside it
    pub sum: Node<i64>,
    /// Of the job alone
    #[port(expose)]
    pub job: Exposed<arithmetic::AddJob>,
}

/// A job and a function side by side, a short sleep, and a function over both.
#[workfunction(name = "caller.both")]
pub async fn both(
    cx: Cx,
    x: Node<i64>,
    #[port(expose, exclude(x, y))] job: Draft<arithmetic::AddJob>,
) -> Result<BothOutputs> {
    let (mut run, mut square) = (job, Draft::<arithmetic::Multiply>::new());
    run.x(&x).y(1);
    square.x(&x).y(&x);
    let mut run = cx.submit(run);
    let square = cx.call(square).await?.result;
    cx.report("the square is there");
    cx.sleep(std::time::Duration::from_millis(50)).await;
    let sum = (&mut run).await?.sum;
    let mut both = Draft::<arithmetic::Add>::new();
    both.x(&sum).y(&square);
    Ok(BothOutputs { sum: cx.call(both).await?.result, job: run.exposed()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::{AddJob, AddJobExit, AddJobOutputs};

    fn world() -> testing::World {
        testing::world()
            .fake::<AddJob, _>(|inputs| -> Result<AddJobOutputs> {
                match inputs.x + inputs.y {
                    sum if sum < 0 => Err(AddJobExit::error(AddJobExit::NEGATIVE_NUMBER)),
                    sum => Ok(AddJobOutputs { sum }),
                }
            })
            .fake::<arithmetic::Add, _>(|inputs| arithmetic::AddOutputs { result: inputs.x + inputs.y })
            .fake::<arithmetic::Multiply, _>(|inputs| arithmetic::MultiplyOutputs {
                result: inputs.x * inputs.y,
            })
            .fake::<script::Rounds, _>(|inputs| script::RoundsOutputs {
                last: script::RoundsLastOutputs { sum: 1 },
                sums: [("round_1".to_owned(), 1)].into(),
                total: inputs.rounds * 10 + inputs.width,
            })
    }

    fn sums(terms: &[(&str, i64)]) -> Draft<Sums> {
        let mut sums = Draft::<Sums>::new();
        let mut job = Draft::<AddJob>::new();
        job.y(5);
        sums.job(job);
        for (name, term) in terms {
            sums.terms((name, *term));
        }
        sums
    }

    #[test]
    fn a_stub_is_faked_exposed_and_called() {
        let ran = world().call(sums(&[("a", 1), ("b", 2)]));
        let got = ["sums.a", "sums.b", "rounds.total", "rounds.last.sum", "total"]
            .map(|port| ran.output::<i64>(port));
        // Defaults of the interface: two rounds, two wide.
        assert_eq!(got, [Ok(6), Ok(7), Ok(22), Ok(1), Ok(28)]);
        assert_eq!(world().call(sums(&[("a", -9)])).status(), 400);
    }

    #[test]
    fn exit_codes_of_a_stub_are_handled() {
        let mut base = Draft::<Base>::new();
        let mut job = Draft::<AddJob>::new();
        job.x(-9).y(2);
        base.child(job).max_iterations(3);
        let world = testing::world().fake::<AddJob, _>(|inputs| {
            let sum = inputs.x + inputs.y;
            testing::failing(AddJobOutputs { sum }, AddJobExit::error(AddJobExit::NEGATIVE_NUMBER))
        });
        let ran = world.call(base);
        assert_eq!((ran.status(), ran.calls().len()), (401, 3));
    }

    #[test]
    fn a_workfunction_calls_and_exposes_a_stub() {
        assert_eq!(world().call(square::with(7)).value::<i64>(), Ok(49));
        let ran = world().call(both::with(3, Draft::<AddJob>::new()));
        assert_eq!([ran.output("sum"), ran.output("job.sum")], [Ok(13), Ok(4)]);
    }
}
