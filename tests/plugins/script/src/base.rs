//! `script.base`: a restart workchain that adds until the sum is no longer negative.

use arithmetic::{AddExit, AddJob};
use ferry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

/// The state that it keeps.
#[derive(Default, Serialize, Deserialize)]
pub struct Base {
    next: Draft<AddJob>,
}

/// Adds two numbers, and 2 again as long as the sum is negative.
#[restart(name = "script.base", child = AddJob)]
impl Base {
    #[handler(priority = 500, on(AddExit::NegativeNumber))]
    fn mend(&mut self, run: &Child<AddJob>) -> Result<Next> {
        let sum = run.output::<i64>("sum")?.ok_or("there is no sum")?;
        self.next.x(sum).y(2);
        Ok(Next::Restart)
    }
}
