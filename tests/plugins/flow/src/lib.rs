//! Workfunctions for trials of the engine: everything that one can do at once, long sleeps, wide and endless
//! trees, and one that depends on the clock.

use std::{
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ferry_plugin::prelude::*;

/// Adds.
#[calcfunction]
pub fn plus(x: i64, y: i64) -> i64 {
    x + y
}

/// Adds, and takes its time.
#[calcfunction]
pub fn slow_plus(x: i64, y: i64) -> i64 {
    thread::sleep(Duration::from_millis(150));
    x + y
}

/// Outputs of `mixed`.
#[derive(Outputs)]
pub struct Sums {
    /// Of one after the other
    pub chain: Node<i64>,
    /// Of several at once
    pub wide: std::collections::BTreeMap<String, Node<i64>>,
    /// Of a level below, if there is one
    pub below: Option<Node<i64>>,
}

/// Waits, joins, races, and calls itself until `levels` is 0.
#[workfunction]
pub async fn mixed(cx: Cx, levels: Node<i64>) -> Result<Sums> {
    let begun = cx.now();
    let below = match levels.value()? {
        0 => None,
        level => Some(cx.submit(mixed::with(level - 1))),
    };
    let first = cx.call(plus::with(&levels, 1)).await?;
    cx.sleep(Duration::from_millis(300)).await;
    if cx.now().duration_since(begun)? < Duration::from_millis(300) {
        Err("it slept too short")?;
    }
    let (a, b) = join!(cx.call(slow_plus::with(&first, 10)), cx.call(plus::with(&first, 20)));
    let chain = select! {
        sum = cx.call(slow_plus::with(&a?, &b?)) => sum?,
        _ = cx.sleep(Duration::from_secs(3600)) => Err("an hour was not enough")?,
    };
    let calls = (0..6).map(|n| cx.call(slow_plus::with(&chain, n)));
    let mut wide = std::collections::BTreeMap::new();
    for (n, sum) in join_all(calls).await.into_iter().enumerate() {
        wide.insert(format!("n{n}"), sum?);
    }
    let below = match below {
        Some(below) => Some(below.await?.chain),
        None => None,
    };
    cx.report("all sums are in");
    Ok(Sums { chain, wide, below })
}

/// Sleeps.
#[workfunction]
pub async fn naps(cx: Cx, seconds: f64) -> Result {
    cx.status("napping");
    cx.sleep(Duration::try_from_secs_f64(seconds)?).await;
    Ok(())
}

/// Calls a function and waits for nothing.
#[workfunction]
pub async fn lets_go(cx: Cx, x: Node<i64>) {
    cx.submit(slow_plus::with(&x, 1)).detach();
}

/// Calls itself without end.
#[workfunction]
pub async fn endless(cx: Cx) -> Result {
    Ok(cx.call(endless::with()).await?)
}

/// Adds 1 to `x`, so many times at once.
#[workfunction]
pub async fn wide(cx: Cx, x: Node<i64>, count: i64) -> Result<Node<i64>> {
    let sums = join_all((0..count).map(|_| cx.call(plus::with(&x, 1)))).await;
    Ok(sums.into_iter().last().ok_or("count is 0")??)
}

/// Calls so many at once that take their time.
#[workfunction]
pub async fn wide_and_slow(cx: Cx, x: Node<i64>, count: i64) -> Result {
    for sum in join_all((0..count).map(|_| cx.call(slow_plus::with(&x, 1)))).await {
        sum?;
    }
    Ok(())
}

/// Goes by the clock, which a workfunction may not.
#[workfunction]
pub async fn by_the_clock(cx: Cx, x: Node<i64>) -> Result<Node<i64>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let sum = cx.call(plus::with(&x, i64::try_from(now.as_nanos())?)).await?;
    cx.sleep(Duration::from_secs(2)).await;
    Ok(sum)
}

/// Adds 1 to `x`, so many times one after the other.
#[workfunction]
pub async fn long(cx: Cx, x: Node<i64>, count: i64) -> Result<Node<i64>> {
    let mut sum = x;
    for _ in 0..count {
        sum = cx.call(plus::with(&sum, 1)).await?;
    }
    Ok(sum)
}

/// A text of that length.
#[calcfunction]
pub fn long_text(length: i64) -> Result<String> {
    Ok("x".repeat(usize::try_from(length)?))
}

/// Adds the lengths of `count` long texts, which it reads after a sleep only.
#[workfunction]
pub async fn reads_long_texts(cx: Cx, count: i64) -> Result<Node<i64>> {
    let texts = join_all((0..count).map(|n| cx.call(long_text::with(10_000 + n)))).await;
    cx.sleep(Duration::from_secs(2)).await;
    let mut length = 0;
    for text in texts {
        length += i64::try_from(text?.value()?.len())?;
    }
    Ok(cx.call(plus::with(length, 0)).await?)
}
