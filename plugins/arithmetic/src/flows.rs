//! Workfunctions: sums and products that are worked out by calling others.

use std::time::Duration;

use ferry_plugin::prelude::*;

use crate::{AddJob, add, multiply};

/// (x + y) * z, by calling `add` and `multiply`.
///
/// # Errors
/// A sum or a product that does not fit into 64 bits.
#[workfunction]
pub async fn add_mul(
    cx: Cx,
    /// One summand
    x: Node<i64>,
    /// The other
    y: Node<i64>,
    /// What their sum is multiplied with
    z: Node<i64>,
) -> Result<Node<i64>> {
    let sum = cx.call(add::with(&x, &y)).await?;
    Ok(cx.call(multiply::with(&sum, &z)).await?)
}

/// Counts to `n` by calling itself `n` levels deep, for trials of deep call trees.
///
/// # Errors
/// What went wrong deeper down.
#[workfunction]
pub async fn nested(
    cx: Cx,
    /// How deep
    #[port(range(0..))]
    n: Node<i64>,
) -> Result<Node<i64>> {
    let deeper = n.value()? - 1;
    if deeper < 0 {
        return Ok(n);
    }
    let below = cx.call(nested::with(deeper)).await?;
    Ok(cx.call(add::with(&below, 1)).await?)
}

/// Exit codes of [`race()`].
#[derive(ExitCodes, Debug)]
pub enum RaceExit {
    /// The timer won.
    #[exit(420, "the sum was not there in time")]
    Late,
}

/// Adds two integers in a job, if it is done in time; else the job is killed.
///
/// # Errors
/// `Late`, or what became of the job.
#[workfunction(exit = RaceExit)]
pub async fn race(
    cx: Cx,
    /// One summand
    x: Node<i64>,
    /// The other
    y: Node<i64>,
    /// Seconds that the job sleeps before it adds
    #[port(range(0.0..))]
    sleep: Option<Node<f64>>,
    /// Seconds that the job has
    #[port(range(0.0..))]
    limit: f64,
) -> Result<Node<i64>> {
    let limit = Duration::try_from_secs_f64(limit)?;
    let mut job = Draft::<AddJob>::new();
    job.x(&x).y(&y);
    if let Some(seconds) = &sleep {
        job.sleep(seconds);
    }
    select! {
        done = cx.call(job) => Ok(done?.sum),
        _ = cx.sleep(limit) => Err(RaceExit::Late)?,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddExit, AddOutputs};

    #[test]
    fn they_call_others() {
        let ran = testing::call(add_mul::with(3, 4, 5));
        assert_eq!((ran.value::<i64>(), ran.status()), (Ok(35), 0));
        let over = testing::call(add_mul::with(i64::MAX, 1, 1));
        let text = over.exception().unwrap();
        assert!(text.starts_with("`arithmetic.add` (") && text.ends_with("64-bit signed integer"), "{text}");
        assert_eq!(over.states_of::<multiply>(), [""; 0]);
    }

    #[test]
    fn nested_counts_its_levels() {
        let ran = testing::call(nested::with(100));
        assert_eq!((ran.value::<i64>(), ran.states_of::<nested>().len()), (Ok(100), 101));
    }

    #[test]
    fn the_winner_takes_it_all() {
        let world = testing::world().fake::<AddJob, _>(|inputs| match inputs.x + inputs.y {
            sum if sum < 0 => Err(AddExit::NegativeNumber),
            sum => Ok(AddOutputs { sum }),
        });
        let world = world.takes::<AddJob>(Duration::from_secs(10));
        let given = |x: i64, limit: f64| {
            let mut draft = Draft::<race>::new();
            draft.x(x).y(2).limit(limit);
            draft
        };
        let won = world.call(given(1, 11.0));
        assert_eq!((won.value::<i64>(), won.states_of::<AddJob>()), (Ok(3), vec!["finished"]));
        let lost = world.call(given(1, 9.0));
        assert_eq!((lost.status(), lost.states_of::<AddJob>()), (420, vec!["killed"]));
        assert_eq!(world.call(given(-5, 11.0)).status(), 410, "the job's own exit code is passed on");
    }
}
