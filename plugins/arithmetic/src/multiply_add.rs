//! `(x * y) + z` of stored numbers, the product by a calcfunction and the sum by a job: a whole workchain.

use ferry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{AddJob, multiply};

/// Inputs of [`MultiplyAdd`].
#[derive(Inputs)]
pub struct MultiplyAddInputs {
    /// One factor
    pub x: Node<i64>,
    /// The other
    pub y: Node<i64>,
    /// What is added to the product
    pub z: Node<i64>,
    /// A bash for the job that adds
    pub code: Option<Node<Code>>,
}

/// Outputs of [`MultiplyAdd`].
#[derive(Outputs)]
pub struct MultiplyAddOutputs {
    /// The sum
    pub result: Node<i64>,
}

/// Exit codes of [`MultiplyAdd`].
#[derive(ExitCodes, Debug)]
pub enum MultiplyAddExit {
    /// There is no product.
    #[exit(410, "the multiplication failed: {why}")]
    MultiplicationFailed {
        /// The end of the child, in words.
        why: String,
    },
    /// There is no sum.
    #[exit(411, "the addition failed: {why}")]
    AdditionFailed {
        /// The end of the child, in words.
        why: String,
    },
    /// The sum is there, and negative; the number is that of AiiDA's `MultiplyAddWorkChain`.
    #[exit(400, "the result is a negative number")]
    NegativeNumber,
}

/// The workchain `arithmetic.multiply_add`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct MultiplyAdd {
    product: Child<multiply>,
    sum: Child<AddJob>,
}

/// Multiplies two integers and adds a third, as AiiDA's tutorial does.
#[workchain(name = "arithmetic.multiply_add", alias = "core.arithmetic.multiply_add")]
impl WorkChain for MultiplyAdd {
    type Inputs = MultiplyAddInputs;
    type Outputs = MultiplyAddOutputs;
    type Exit = MultiplyAddExit;

    fn outline() -> Outline<Self> {
        outline! {
            multiply;
            add;
            validate_result;
            result;
        }
    }
}

impl MultiplyAdd {
    fn multiply(&mut self, cx: &mut Cx<Self>) {
        let MultiplyAddInputs { x, y, .. } = cx.inputs();
        self.product = cx.submit(multiply::with(x, y));
    }

    fn add(&mut self, cx: &mut Cx<Self>) -> Result {
        let failed = MultiplyAddExit::MultiplicationFailed { why: self.product.in_words() };
        let mut sum = Draft::<AddJob>::new();
        sum.x(self.product.outputs_or(failed)?).y(&cx.inputs().z);
        if let Some(code) = &cx.inputs().code {
            sum.code(code);
        }
        self.sum = cx.submit(sum);
        Ok(())
    }

    /// The job has an exit code of its own for a negative sum, and leaves the sum beside it.
    fn validate_result(&mut self) -> Result {
        let failed = || MultiplyAddExit::AdditionFailed { why: self.sum.in_words() };
        let sum = self.sum.output::<i64>("sum")?.ok_or_else(failed)?;
        if sum.value()? < 0 {
            Err(MultiplyAddExit::NegativeNumber)?;
        }
        Ok(())
    }

    fn result(&mut self, cx: &mut Cx<Self>) -> Result {
        let failed = MultiplyAddExit::AdditionFailed { why: self.sum.in_words() };
        cx.out().result(self.sum.outputs_or(failed)?.sum);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddExit, AddOutputs};
    use ferry_plugin::proto::CallInput;

    fn draft(x: i64, y: i64, z: i64) -> Draft<MultiplyAdd> {
        let mut draft = Draft::<MultiplyAdd>::new();
        draft.x(x).y(y).z(z).code(testing::code("bash@localhost"));
        draft
    }

    #[test]
    fn it_multiplies_then_adds() {
        let world = testing::world().fake::<AddJob, _>(|sum| AddOutputs { sum: sum.x + sum.y });
        let ran = world.call(draft(2, 3, 4));
        assert_eq!((ran.status(), ran.value::<i64>()), (0, Ok(10)));
        assert_eq!(ran.positions(), ["multiply", "add", "validate_result", "result"]);
        assert_eq!(ran.calls()[1].inputs["code"], CallInput::Node("code-bash".into()));
    }

    #[test]
    fn each_way_to_fail_has_its_exit_code() {
        let sum = |sum, exit: fn() -> AddExit| {
            let world =
                testing::world().fake::<AddJob, _>(move |_| testing::failing(AddOutputs { sum }, exit()));
            world.call(draft(2, 3, 4))
        };
        assert_eq!(sum(-34, || AddExit::NegativeNumber).status(), MultiplyAddExit::NEGATIVE_NUMBER);
        let broken = sum(10, || AddExit::ReadingOutputFile);
        let told = broken.in_words().contains("exit status 310");
        assert!(broken.status() == MultiplyAddExit::ADDITION_FAILED && told, "{broken:?}");
        let too_large = testing::call(draft(i64::MAX, 2, 0));
        assert_eq!(too_large.status(), MultiplyAddExit::MULTIPLICATION_FAILED);
    }
}
